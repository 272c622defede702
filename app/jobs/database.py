"""The queue's database: its tables, and transactions that survive a crash.

The statements are those that SQLite and PostgreSQL have in common, with `?` for parameters.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from chromaserve.library.files import identity

Row = Mapping[str, Any]


class Rows(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """Rows that it changed."""

    def fetchone(self) -> Any:  # noqa: ANN401 - a Row, or None
        """The next row."""

    def fetchall(self) -> Sequence[Any]:
        """The rows that are left."""


Run = Callable[..., Rows]
"""Runs a statement with its parameters."""


class DatabaseFault(Exception):  # noqa: N818 - reads as a fact
    """The database cannot be asked now."""


class DatabaseAway(DatabaseFault):
    """Its server or its disk is not there, or takes nothing; that may pass."""


class Database(Protocol):
    """One process's connection; used by one thread at a time."""

    name: str
    """Of the queue, by which it is told from all others that a folder may have."""

    def keeps_to(self, folder: str) -> bool:
        """Whether the queue's photos are in that folder; the first that is named has them.

        Raises:
            DatabaseFault: it could not be asked.
        """

    def transaction(self) -> AbstractContextManager[Run]:
        """All that is run in the block takes effect, and is on disk, or nothing is.

        No other process writes meanwhile.

        Raises:
            DatabaseFault: it could not be.
        """

    def read(self, statement: str, parameters: tuple[Any, ...] = ()) -> Sequence[Any]:
        """The rows of one statement that changes nothing.

        Raises:
            DatabaseFault: it could not be asked.
        """

    def close(self) -> None:
        """Close the connection."""


_WAIT_S = 10.0
"""For another process's transaction, which takes milliseconds."""
_PASSING = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
"""Of an error that may pass; a full disk is one of input and output where SQLite maps a file."""

# A job's counts are in its row, so that no answer counts photos. Times are seconds since 1970.
# `look` has what comes before an album's first photo is coloured: a look at each, and at last what
# makes them agree, as -1.
TABLES = """
CREATE TABLE IF NOT EXISTS worker (id TEXT PRIMARY KEY, until DOUBLE PRECISION NOT NULL);
CREATE TABLE IF NOT EXISTS job (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    key TEXT,
    digest TEXT NOT NULL,
    options TEXT NOT NULL,
    manifest TEXT NOT NULL,
    callback TEXT,
    created DOUBLE PRECISION NOT NULL,
    started DOUBLE PRECISION,
    ended DOUBLE PRECISION,
    cancelled BIGINT NOT NULL DEFAULT 0,
    turn BIGINT NOT NULL,
    photos BIGINT NOT NULL,
    done BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    pixels_left BIGINT NOT NULL,
    inputs BIGINT NOT NULL,
    held BIGINT NOT NULL,
    notify_at DOUBLE PRECISION,
    notices BIGINT NOT NULL DEFAULT 0,
    UNIQUE (owner, key)
);
CREATE INDEX IF NOT EXISTS job_turns ON job (turn) WHERE ended IS NULL;
CREATE TABLE IF NOT EXISTS photo (
    job TEXT NOT NULL REFERENCES job ON DELETE CASCADE,
    n BIGINT NOT NULL,
    name TEXT,
    stem TEXT NOT NULL,
    source TEXT,
    target TEXT,
    start BIGINT NOT NULL,
    size BIGINT NOT NULL,
    pixels BIGINT NOT NULL,
    reserved BIGINT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting',
    worker TEXT,
    attempt BIGINT NOT NULL DEFAULT 0,
    faults BIGINT NOT NULL DEFAULT 0,
    tries BIGINT NOT NULL DEFAULT 0,
    due DOUBLE PRECISION NOT NULL DEFAULT 0,
    number BIGINT,
    told TEXT,
    bytes BIGINT NOT NULL DEFAULT 0,
    crc BIGINT,
    PRIMARY KEY (job, n)
);
CREATE INDEX IF NOT EXISTS photo_states ON photo (state, job, n);
CREATE INDEX IF NOT EXISTS photo_numbers ON photo (job, number);
CREATE TABLE IF NOT EXISTS look (
    job TEXT NOT NULL REFERENCES job ON DELETE CASCADE,
    n BIGINT NOT NULL,
    PRIMARY KEY (job, n)
);
"""


class Sqlite:
    """An embedded database, of the processes of one machine."""

    name = "SQLite"  # it lies in the folder

    def __init__(self, file: Path) -> None:
        """Open the file, which is made where there is none.

        Raises:
            DatabaseFault: it cannot be, or is no database.
            OSError: it cannot be made.
        """
        self._file = file
        _keep_private(file)
        try:
            self._connection = sqlite3.connect(
                file, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
            )
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            # A commit outlives a loss of power.
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.executescript(TABLES)
            self._which = identity(file)
        except sqlite3.Error as error:
            raise _fault(error) from error
        lacks = "SELECT 1 WHERE 'tries' NOT IN (SELECT name FROM pragma_table_info('photo'))"
        if self.read(lacks):  # a queue of long ago
            with self.transaction() as run:
                if run(lacks).fetchone():
                    run("ALTER TABLE photo ADD COLUMN tries BIGINT NOT NULL DEFAULT 0")

    def keeps_to(self, folder: str) -> bool:  # noqa: ARG002 - it lies in it
        """See `Database`."""
        return True

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        """See `Database`."""
        try:
            # What is written to a file that has no name any more is lost with this process.
            if identity(self._file) != self._which:
                raise DatabaseFault(f"{self._file.name} is gone, or another one in its place")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection.execute
            except BaseException:
                if self._connection.in_transaction:  # on a full disk SQLite has rolled back itself
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise _fault(error) from error

    def read(self, statement: str, parameters: tuple[Any, ...] = ()) -> Sequence[Any]:
        """See `Database`."""
        try:
            return self._connection.execute(statement, parameters).fetchall()
        except sqlite3.Error as error:
            raise _fault(error) from error

    def close(self) -> None:
        """See `Database`."""
        self._connection.close()


def _keep_private(file: Path) -> None:
    """Have a file that only this user may read, wherever its folder was made by others.

    Files that SQLite puts beside it have its mode; those that are there need not.
    """
    with suppress(FileExistsError):  # nor is it opened: to close it would end SQLite's locks
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    for each in file.parent.glob(f"{file.name}*"):
        with suppress(OSError):  # it is another user's, or gone
            each.chmod(0o600)


def _fault(error: sqlite3.Error) -> DatabaseFault:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # above are the details
    return (DatabaseAway if code in _PASSING else DatabaseFault)(str(error))
