"""The queue itself: who holds a photo, for how long, and whose result counts."""

import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import IdempotencyKeyReused, JobsFull
from app.jobs.database import Database, DatabaseFault, Sqlite
from app.jobs.queued import Claim, NewJob, NewPhoto
from app.jobs.records import Records
from app.jobs.store import MOST_FAULTS, Store
from tests.jobs.postgresql import postgresql

LEASE = 10.0


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Database]:
    """Opens the queue once more, as another process does; empty at first."""
    if request.param == "sqlite":
        return lambda: Sqlite(tmp_path / "jobs.sqlite3")
    address = request.getfixturevalue("server")
    from app.jobs.postgresql import Postgresql

    emptied = Postgresql(address)
    with emptied.transaction() as run:
        run("DELETE FROM job")
        run("DELETE FROM worker")
    emptied.close()
    return lambda: Postgresql(address)


@pytest.fixture
def database(opened: Callable[[], Database]) -> Iterator[Database]:
    connection = opened()
    yield connection
    connection.close()


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database, 10_000)


def job(id: str, photos: int, *, size: int = 10, key: str | None = None) -> NewJob:
    each = [NewPhoto(None, f"{n}", n * size, size, 100, 20) for n in range(photos)]
    return NewJob(id, "me", key, id, "{}", "{}", "https://hook", each)


def claim(store: Store, worker: str, most: int, now: float) -> list[Claim]:
    mine = store.beat(worker, now + LEASE)
    return store.claim(worker, most, now, now + LEASE, mine)


def settle(store: Store, held: Claim, worker: str, now: float) -> str:
    return store.settle(held, worker, now, "{}", fine=True, size=5, crc=7)


@pytest.mark.slow
def test_two_workers_never_hold_the_same_photo(
    opened: Callable[[], Database], store: Store
) -> None:
    other = opened()
    store.accept(job("a", 10), 0)
    one, two = claim(store, "one", 4, 1), claim(Store(other, 10_000), "two", 9, 1)
    other.close()
    assert [c.n for c in one] == [0, 1, 2, 3]
    assert [c.n for c in two] == [4, 5, 6, 7, 8, 9]
    assert claim(store, "three", 9, 1 + LEASE / 2) == []


def test_jobs_take_turns_a_photo_each(store: Store) -> None:
    store.accept(job("many", 6), 0)
    claim(store, "w", 2, 1)
    store.accept(job("few", 2), 2)
    assert [(c.job, c.n) for c in claim(store, "w", 9, 3)] == [
        ("many", 2), ("few", 0), ("many", 3), ("few", 1), ("many", 4), ("many", 5),
    ]  # fmt: skip


def test_a_job_waits_for_the_photos_that_turns_put_before_its_last(
    store: Store, database: Database
) -> None:
    for now, (id, photos) in enumerate([("five", 5), ("two", 2), ("seven", 7), ("done", 1)]):
        store.accept(job(id, photos), now)
    [held] = [c for c in claim(store, "w", 4, 4) if c.job == "done"]
    settle(store, held, "w", 5)
    told = {each.row["id"]: each for each in Records(database).of("me", 9, 6)}
    assert {id: (each.before, each.ahead, each.ahead_pixels) for id, each in told.items()} == {
        "five": (0, 2 + 5, 700),
        "two": (1, 2 + 2, 400),
        "seven": (2, 5 + 2, 700),
        "done": (0, 0, 0),
    }
    assert told["two"].workers == 1


def test_what_a_lost_worker_held_is_done_by_another_and_counts_once(
    store: Store, database: Database
) -> None:
    store.accept(job("a", 1), 0)
    [first] = claim(store, "lost", 1, 0)
    assert claim(store, "other", 1, LEASE - 1) == []
    [second] = claim(store, "other", 1, LEASE + 1)
    assert (second.n, second.attempt, second.faults) == (0, 2, 1)
    assert store.beat("lost", 99) == set()
    # The lost one comes back with its result, before the other and after it.
    assert settle(store, first, "lost", 12) == "lost"
    store.release(first, "lost", 0)
    assert settle(store, second, "other", 13) == "ended"
    assert settle(store, first, "lost", 14) == "lost"
    standing = Records(database).standing("a", "me", 15)
    assert standing is not None
    assert (standing.row["done"], standing.row["ended"]) == (1, 13)


def test_a_worker_that_is_heard_of_keeps_its_photos(store: Store) -> None:
    store.accept(job("a", 2), 0)
    held = {(c.job, c.n, c.attempt) for c in claim(store, "slow", 2, 0)}
    for now in (5, 12, 19):
        assert store.beat("slow", now + LEASE) == held
        assert claim(store, "other", 2, now) == []


def test_a_clock_that_is_set_back_holds_nothing_up(store: Store, database: Database) -> None:
    year = 365 * 86_400
    store.accept(job("a", 2), year)
    first, _ = claim(store, "lost", 2, year)
    store.release(first, "lost", year + 60)
    assert claim(store, "other", 2, year + 1) == [], "the clock is right as yet"
    taken = claim(store, "other", 1, 5) + claim(store, "third", 1, 5)
    assert [(c.n, c.attempt) for c in taken] == [(0, 2), (1, 2)]
    settle(store, taken[0], "other", 6)
    assert settle(store, taken[1], "third", year) == "ended"
    notice = Records(database).due(7, 7 + LEASE)
    assert notice is not None
    assert notice.job == "a"


def test_tries_that_came_to_nothing_are_counted_and_other_waits_are_not(store: Store) -> None:
    store.accept(job("a", 1), 0)
    for tries, more in ((0, 0), (0, 1), (1, 1), (2, 0)):
        [held] = claim(store, "w", 1, 1)
        assert held.tries == tries
        store.release(held, "w", 0, tries=more)


def test_what_a_worker_does_not_know_that_it_holds_waits_again(store: Store) -> None:
    """Where the answer to a claim was lost, or what became of a photo could not be told."""
    store.accept(job("a", 3), 0)
    first, *_ = claim(store, "w", 2, 0)
    again = store.claim("w", 9, 1, 1 + LEASE, {first.held})
    assert [(c.n, c.attempt, c.faults) for c in again] == [(1, 2, 0), (2, 1, 0)]
    assert store.claim("w", 9, 2, 2 + LEASE, {first.held, *(c.held for c in again)}) == []
    settle(store, first, "w", 3)
    assert [c.n for c in store.claim("w", 9, 4, 4 + LEASE, set())] == [1, 2], "nothing else waits"


def test_a_photo_that_was_looked_at_is_no_suspect_any_more(store: Store) -> None:
    store.accept(replace(job("a", 1), album_bytes=100), 0)
    claim(store, "killed", 1, 0)
    later = LEASE + 1
    [looked] = claim(store, "w", 1, later)
    assert (looked.step, looked.faults) == ("look", 1)
    store.seen(looked, "w")
    [agreeing] = claim(store, "w", 1, later + 1)
    assert (agreeing.step, agreeing.faults) == ("agree", 0)


def test_an_album_is_looked_at_then_agreed_on_by_one_worker_and_then_coloured(
    store: Store, database: Database
) -> None:
    def at(now: float, *workers: str) -> list[tuple[str, int, str]]:
        return [(worker, c.n, c.step) for worker in workers for c in held(worker, now)]

    def held(worker: str, now: float) -> list[Claim]:
        found[worker] = claim(store, worker, 9, now)
        return found[worker]

    found: dict[str, list[Claim]] = {}
    store.accept(replace(job("a", 3), album_bytes=300), 0)
    assert Records(database).load() == (3, 390)
    assert at(1, "one", "two") == [("one", 0, "look"), ("one", 1, "look"), ("one", 2, "look")]
    looked = found["one"]
    store.seen(looked[0], "one")
    assert at(2, "two") == [], "not before all were looked at"
    settle(store, looked[1], "one", 3)  # which cannot be read
    store.seen(looked[2], "lost")
    assert at(4, "two") == []
    store.seen(looked[2], "one")
    assert at(5, "one", "two") == [("one", 0, "agree")]
    assert at(6 + LEASE, "two") == [("two", 0, "agree")], "the first one is lost"
    store.agreed("a")
    assert at(7 + LEASE, "three") == [("three", 2, "colour")]
    assert settle(store, found["two"][0], "two", 8 + LEASE) == "settled"
    assert settle(store, found["three"][0], "three", 9 + LEASE) == "ended"
    assert Records(database).load() == (0, 15)


def test_a_photo_that_processes_end_with_takes_no_others_with_it(store: Store) -> None:
    """A worker has one suspect at a time, and is told how often each was there."""
    store.accept(job("a", 5), 0)
    now = 0.0
    assert len(claim(store, "w0", 3, now)) == 3
    for ends in range(1, MOST_FAULTS):
        now += LEASE + 1
        worker = f"w{ends}"
        held = claim(store, worker, 5, now)
        assert [c.faults for c in held if c.faults] == [ends]
        for c in held:
            if not c.faults:
                settle(store, c, worker, now)
    now += LEASE + 1
    held = claim(store, "last", 5, now)
    assert [(c.n, c.faults) for c in held] == [(0, MOST_FAULTS)]
    now += LEASE + 1  # the one that was to give it up is killed as well
    held = claim(store, "very last", 5, now)
    assert [(c.n, c.faults) for c in held] == [(0, MOST_FAULTS + 1)]
    settle(store, held[0], "very last", now)
    [held_next] = claim(store, "very last", 5, now)
    assert (held_next.n, held_next.faults) == (1, 1)


def test_a_cancelled_job_takes_no_more_results(store: Store, database: Database) -> None:
    store.accept(job("a", 3), 0)
    held = claim(store, "w", 2, 1)
    settle(store, held[0], "w", 2)
    store.cancel("a", 3)
    assert settle(store, held[1], "w", 4) == "lost"
    assert store.beat("w", 9) == set()
    assert claim(store, "w", 2, 5) == []
    standing = Records(database).standing("a", "me", 6)
    assert standing is not None
    assert (standing.row["done"], standing.row["ended"]) == (1, 3)
    assert Records(database).load() == (0, 5)


def test_room_is_held_for_results_and_free_once_they_are_forgotten(
    store: Store, database: Database
) -> None:
    records = Records(database)
    store.accept(job("a", 100), 0)  # 100 × (10 + 20)
    store.accept(job("b", 200), 0)
    assert records.load() == (300, 9000)
    with pytest.raises(JobsFull):
        store.accept(job("c", 100), 0)
    for held in claim(store, "w", 1000, 1):
        settle(store, held, "w", 2)
    assert records.load() == (0, 1500)
    store.accept(job("c", 100), 3)
    assert sorted(records.forget(before=2.5)) == ["a", "b"]
    assert records.load() == (100, 3000)
    assert records.photos("a") == []


def test_a_disk_that_is_full_is_told_of_as_such(tmp_path: Path) -> None:
    database = Sqlite(tmp_path / "jobs.sqlite3")
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, unlimited[1]))  # no file grows
    try:
        with pytest.raises(DatabaseFault, match="disk"), database.transaction() as run:
            run("INSERT INTO worker (id, until) VALUES (?, 1)", ("long" * 2**20,))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert not database.read("SELECT * FROM worker")
    database.close()


def test_a_key_of_idempotency_is_one_job_even_at_the_same_time(store: Store) -> None:
    assert store.accept(job("a", 1, key="k"), 0) == "a"
    assert store.accept(replace(job("b", 1, key="k"), digest="a"), 0) == "a"
    with pytest.raises(IdempotencyKeyReused):
        store.accept(job("c", 1, key="k"), 0)


def test_one_process_at_a_time_sends_a_callback(store: Store, database: Database) -> None:
    records = Records(database)
    store.accept(job("a", 1), 0)
    assert records.due(1, 61) is None
    [held] = claim(store, "w", 1, 1)
    settle(store, held, "w", 2)
    notice = records.due(3, 63)
    assert notice
    assert (notice.job, notice.notices) == ("a", 0)
    assert records.due(4, 64) is None
    records.noticed("a", 100)
    assert records.due(99, 159) is None
    assert records.due(101, 161, ["https://other.test", "https://hook"]) is None
    again = records.due(101, 161, ["https://other.test"])
    assert again
    assert again.notices == 1
    records.noticed("a", None)
    assert records.due(1000, 1060) is None
