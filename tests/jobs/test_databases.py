"""What the queue's database does as a process starts."""

import os
import resource
import sqlite3
import threading
from pathlib import Path

import pytest

from app.jobs import database
from app.jobs.database import DatabaseAway, DatabaseFault, Sqlite
from tests.conftest import Start
from tests.jobs.conftest import SECRET
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


@pytest.mark.slow
def test_a_queue_that_is_in_use_or_a_full_disk_is_no_wrong_setting(
    start_small: Start, tmp_path: Path
) -> None:
    """After status 2 systemd does not start it again."""
    folder = tmp_path / "queue"
    folder.mkdir()
    other = sqlite3.connect(folder / "jobs.sqlite3", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    server = start_small(jobs=folder)
    assert server.process.wait(60) == 4
    assert "CHROMASERVE_JOBS: " in server.log.read_text()
    assert "database is locked" in server.log.read_text()
    other.close()
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, unlimited[1]))  # no file grows
    try:
        with pytest.raises(DatabaseAway, match="disk"):
            Sqlite(tmp_path / "jobs.sqlite3")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)


def test_a_folder_that_others_made_shows_them_no_queue(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    file, before = tmp_path / "jobs.sqlite3", os.umask(0o022)
    try:
        for _ in range(2):
            opened = Sqlite(file)
            with opened.transaction() as run:
                run("DELETE FROM worker")
            kept = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
            assert kept == {f"{file.name}{end}": 0o600 for end in ("", "-shm", "-wal")}
            opened.close()
            file.chmod(0o644)  # as one of long ago
    finally:
        os.umask(before)


@pytest.mark.slow
def test_what_an_address_says_of_its_own_holds(start_small: Start, tmp_path: Path) -> None:
    with postgresql() as address:
        import psycopg

        from app.jobs.postgresql import Postgresql

        with psycopg.connect(address) as owner:
            owner.execute("CREATE SCHEMA colour")
            owner.execute("CREATE USER stranger")
        opened = Postgresql(f"{address}?options=-csearch_path%3Dcolour")
        [[where]] = (row.values() for row in opened.read("SELECT to_regclass('colour.job') ::text"))
        assert where == "job"
        assert opened.read("SHOW statement_timeout")[0]["statement_timeout"] == "10s"
        opened.close()
        stranger = address.replace("tests@", "stranger@")
        for wrong in (stranger, address.replace("://", "//")):
            server = start_small(jobs=tmp_path / "queue", jobs_database=wrong)
            assert server.process.wait(60) == 2
            assert "chromaserve: CHROMASERVE_JOBS_DATABASE: " in server.log.read_text()


@pytest.mark.parametrize(
    "told",
    [
        {"jobs_database": "postgresql://localhost/jobs"},
        {"jobs_addresses": "https://a.test"},
        {"jobs_secret": SECRET},
    ],
    ids=lambda told: next(iter(told)),
)
def test_a_setting_of_jobs_without_their_folder_ends_the_start(
    start_small: Start, told: dict[str, str]
) -> None:
    server = start_small(**told)
    assert server.process.wait(60) == 2
    [name] = told
    assert f"CHROMASERVE_{name.upper()} needs jobs" in server.log.read_text()


@pytest.mark.slow
def test_what_postgresql_cannot_keep_of_a_text_is_replaced() -> None:
    with postgresql() as address:
        from app.jobs.postgresql import Postgresql

        opened = Postgresql(address)
        assert opened.read("SELECT ? AS told", ("a\0.jpg",))[0]["told"] == "a\ufffd.jpg"
        opened.close()


@pytest.mark.slow
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
