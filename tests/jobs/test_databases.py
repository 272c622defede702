"""What the queue's database does as a process starts."""

import sqlite3
import threading
from pathlib import Path

import pytest

from app.jobs import database
from app.jobs.database import DatabaseFault, Sqlite
from tests.jobs.postgresql import postgresql


def test_an_older_queue_is_brought_up_to_date_or_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "jobs.sqlite3"
    Sqlite(file).close()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("ALTER TABLE photo DROP COLUMN tries")
    monkeypatch.setattr(database, "_WAIT_S", 0.1)
    other.execute("BEGIN IMMEDIATE")  # somebody writes for long
    with pytest.raises(DatabaseFault, match="locked"):
        Sqlite(file)
    other.execute("ROLLBACK")
    opened = Sqlite(file)
    assert opened.read("SELECT tries FROM photo") == []
    opened.close()
    other.close()


def test_what_postgresql_cannot_keep_of_a_text_is_replaced() -> None:
    with postgresql() as address:
        from app.jobs.postgresql import Postgresql

        opened = Postgresql(address)
        assert opened.read("SELECT ? AS told", ("a\0.jpg",))[0]["told"] == "a\ufffd.jpg"
        opened.close()


def test_a_process_starts_while_somebody_reads_and_holds_up_nobody() -> None:
    with postgresql() as address:
        import psycopg

        from app.jobs.postgresql import Postgresql

        first = Postgresql(address)
        with psycopg.connect(address) as reader:
            reader.execute("SELECT 1 FROM photo")  # and the transaction stays open
            reader.execute("SELECT 1 FROM queue")
            started = list[str]()
            start = threading.Thread(target=lambda: started.append(Postgresql(address).name))
            start.start()
            start.join(8)  # a statement that waits is given up after 10 s
            assert started == [first.name]
        first.close()
