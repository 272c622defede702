"""The queue in PostgreSQL, where the processes that share it are on several machines."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row

from .database import TABLES, DatabaseFault, Rows, Run

_LOCK = 0x6368726F6D61
"""A number that writers of this queue take, so that one writes at a time, as in SQLite."""
_PATIENCE = "-c statement_timeout=30s -c idle_in_transaction_session_timeout=30s"


class Postgresql:
    """A connection to a server, made anew where it was lost."""

    def __init__(self, address: str) -> None:
        """Connect, and make the tables where there are none.

        Args:
            address: as libpq has it, postgresql://USER:PASSWORD@HOST/DATABASE. Tables are in the
                first schema of the user's search path.

        Raises:
            DatabaseFault: it cannot be reached, or the tables cannot be made.
        """
        self._address = address
        self._connection: psycopg.Connection[DictRow] | None = None
        with self.transaction() as run:
            for statement in TABLES.split(";"):
                if statement.strip():
                    run(statement)

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        """See `Database`."""
        try:
            connection = self._connected()
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                yield partial(_run, connection)
        except psycopg.Error as error:
            raise DatabaseFault(type(error).__name__) from error

    def read(self, statement: str, parameters: tuple[Any, ...] = ()) -> Sequence[Any]:
        """See `Database`."""
        try:
            connection = self._connected()
            try:
                return _run(connection, statement, parameters).fetchall()
            except psycopg.OperationalError:
                if not connection.closed:
                    raise
                # It was lost while nobody asked.
                return _run(self._connected(), statement, parameters).fetchall()
        except psycopg.Error as error:
            raise DatabaseFault(type(error).__name__) from error

    def close(self) -> None:
        """See `Database`."""
        if self._connection:
            self._connection.close()

    def _connected(self) -> "psycopg.Connection[DictRow]":
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._address,
                autocommit=True,
                row_factory=dict_row,
                connect_timeout=10,
                # A server that is gone without a word is noticed in half a minute, too.
                tcp_user_timeout=30_000,
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=4,
                options=_PATIENCE,
                application_name="chromaserve",
            )
        return self._connection


def _run(
    connection: "psycopg.Connection[DictRow]", statement: str, parameters: tuple[Any, ...] = ()
) -> Rows:
    # No statement has a question mark or a percent sign of its own.
    rows: Rows = connection.execute(statement.replace("?", "%s").encode(), parameters)
    return rows
