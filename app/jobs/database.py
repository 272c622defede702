"""The queue's database, an embedded SQLite: its tables, and transactions that survive a crash."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Run = Callable[..., sqlite3.Cursor]
"""Runs a statement with its parameters."""

_WAIT_S = 30.0
"""For another process's transaction, which takes milliseconds."""

# A job's counts are in its row, so that no answer counts photos. Times are seconds since 1970.
_TABLES = """
CREATE TABLE IF NOT EXISTS worker (id TEXT PRIMARY KEY, until REAL NOT NULL);
CREATE TABLE IF NOT EXISTS job (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    key TEXT,
    digest TEXT NOT NULL,
    options TEXT NOT NULL,
    manifest TEXT NOT NULL,
    callback TEXT,
    created REAL NOT NULL,
    started REAL,
    ended REAL,
    cancelled INTEGER NOT NULL DEFAULT 0,
    turn INTEGER NOT NULL,
    photos INTEGER NOT NULL,
    done INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    pixels_left INTEGER NOT NULL,
    inputs INTEGER NOT NULL,
    held INTEGER NOT NULL,
    notify_at REAL,
    notices INTEGER NOT NULL DEFAULT 0,
    UNIQUE (owner, key)
);
CREATE INDEX IF NOT EXISTS job_turns ON job (turn) WHERE ended IS NULL;
CREATE TABLE IF NOT EXISTS photo (
    job TEXT NOT NULL REFERENCES job ON DELETE CASCADE,
    n INTEGER NOT NULL,
    name TEXT,
    stem TEXT NOT NULL,
    source TEXT,
    target TEXT,
    start INTEGER NOT NULL,
    size INTEGER NOT NULL,
    pixels INTEGER NOT NULL,
    reserved INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting',
    worker TEXT,
    attempt INTEGER NOT NULL DEFAULT 0,
    faults INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL DEFAULT 0,
    number INTEGER,
    told TEXT,
    bytes INTEGER NOT NULL DEFAULT 0,
    crc INTEGER,
    PRIMARY KEY (job, n)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS photo_states ON photo (state, job, n);
CREATE INDEX IF NOT EXISTS photo_numbers ON photo (job, number);
"""


class Database:
    """One process's connection; used by one thread at a time."""

    def __init__(self, file: Path) -> None:
        """Open the file, which is made where there is none.

        Raises:
            sqlite3.Error: it cannot be, or is no database.
        """
        self._connection = sqlite3.connect(
            file, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")  # a commit outlives a loss of power
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.executescript(_TABLES)

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        """All that is run in the block takes effect, and is on disk, or nothing is.

        No other process writes meanwhile.
        """
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection.execute
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def read(self, statement: str, parameters: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        """The rows of one statement that changes nothing."""
        return self._connection.execute(statement, parameters).fetchall()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
