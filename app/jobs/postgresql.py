"""The queue in PostgreSQL, where the processes that share it are on several machines."""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg import waiting
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row

from .database import TABLES, DatabaseAway, DatabaseFault, Rows, Run

_LOCK = 0x6368726F6D61
"""A number that writers of this queue take, so that one writes at a time, as in SQLite."""
_PATIENCE = "-c statement_timeout=10s -c idle_in_transaction_session_timeout=10s"
SILENCE_S = 15.0
"""After which a server that says nothing hangs: it does not see to its own limits then."""
_QUEUE = "CREATE TABLE IF NOT EXISTS queue (name TEXT PRIMARY KEY, folder TEXT)"
_ADDED = (("queue", "folder", "TEXT"), ("photo", "tries", "BIGINT NOT NULL DEFAULT 0"))
"""Columns that a queue of long ago lacks."""
_HAS = (
    "SELECT 1 FROM pg_attribute WHERE attrelid = CAST(? AS regclass) AND attname = ?"
    " AND NOT attisdropped"
)

T = TypeVar("T")


class _Silent(psycopg.OperationalError):
    """The server is there, by its system's word, and says nothing."""


class _Connection(psycopg.Connection[DictRow]):
    """One that waits for so long at most, and is closed then."""

    def wait(self, gen: PQGen[T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401 - psycopg's
        """Have something of the server, in steps; psycopg's own waits for ever."""
        try:
            return super().wait(_bounded(gen), *args, **kwargs)
        except _Silent:
            self.close()
            raise


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
        self._connection: _Connection | None = None
        with self.transaction() as run:
            for statement in (*TABLES.split(";"), _QUEUE):
                if statement.strip():
                    run(statement)
            for table, column, kind in _ADDED:
                # ALTER TABLE waits for whoever reads, and has all others wait for it.
                if not run(_HAS, (table, column)).fetchone():
                    run(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
            row = run("SELECT name FROM queue").fetchone()
            self.name: str = row["name"] if row else f"PostgreSQL {secrets.token_hex(8)}"
            if not row:
                run("INSERT INTO queue (name) VALUES (?)", (self.name,))

    def keeps_to(self, folder: str) -> bool:
        """See `Database`."""
        with self.transaction() as run:
            run("UPDATE queue SET folder = ? WHERE folder IS NULL", (folder,))
            [row] = run("SELECT folder FROM queue").fetchall()
            return bool(row["folder"] == folder)

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        """See `Database`."""
        try:
            connection = self._connected()
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                yield partial(_run, connection)
        except psycopg.Error as error:
            raise _fault(error) from error

    def read(self, statement: str, parameters: tuple[Any, ...] = ()) -> Sequence[Any]:
        """See `Database`."""
        try:
            connection = self._connected()
            try:
                return _run(connection, statement, parameters).fetchall()
            except psycopg.OperationalError as error:
                if not connection.closed or isinstance(error, _Silent):
                    raise
                # It was lost while nobody asked.
                return _run(self._connected(), statement, parameters).fetchall()
        except psycopg.Error as error:
            raise _fault(error) from error

    def close(self) -> None:
        """See `Database`."""
        if self._connection:
            self._connection.close()

    def _connected(self) -> _Connection:
        if self._connection is None or self._connection.closed:
            options = conninfo_to_dict(self._address).get("options") or ""
            self._connection = _Connection.connect(
                self._address,
                autocommit=True,
                row_factory=dict_row,
                connect_timeout=10,
                # A server that is gone without a word is noticed in half a minute, too.
                tcp_user_timeout=30_000,
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=4,
                options=f"{options} {_PATIENCE}",  # of two of a name the last one counts
                application_name="chromaserve",
            )
        return self._connection


def _fault(error: psycopg.Error) -> DatabaseFault:
    kind = DatabaseAway if isinstance(error, psycopg.OperationalError) else DatabaseFault
    return kind(type(error).__name__.strip("_"))


def _bounded(gen: PQGen[T]) -> PQGen[T]:
    """The same steps, as long as the server says something every `SILENCE_S`."""
    heard = time.monotonic()
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if ready != waiting.READY_NONE:
                heard = time.monotonic()
            elif time.monotonic() - heard > SILENCE_S:
                raise _Silent("the server says nothing")
            wanted = gen.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result


def _run(
    connection: "psycopg.Connection[DictRow]", statement: str, parameters: tuple[Any, ...] = ()
) -> Rows:
    # No statement has a question mark or a percent sign of its own; no text may have a NUL.
    told = [p.replace("\0", "\ufffd") if isinstance(p, str) else p for p in parameters]
    rows: Rows = connection.execute(statement.replace("?", "%s").encode(), told)
    return rows
