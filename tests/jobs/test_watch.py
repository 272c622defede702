"""What many who wait for news of jobs cost the queue."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.errors import JobNotFound
from app.jobs.database import DatabaseFault, Sqlite
from app.jobs.queued import NewJob, NewPhoto
from app.jobs.records import Progress, Records
from app.jobs.store import Store
from app.jobs.watch import News, Watch

STREAMS, LOOKS = 40, 3


class Counted(Sqlite):
    """Counts what it is asked."""

    asked = 0

    def read(self, statement: str, parameters: tuple[Any, ...] = ()) -> Any:  # noqa: ANN401
        self.asked += 1
        return super().read(statement, parameters)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Counted]:
    opened = Counted(tmp_path / "jobs.sqlite3")
    store = Store(opened, 2**30)
    for n in range(STREAMS):
        photos = [NewPhoto(None, f"{i}", 0, 1, 1, 1) for i in range(2)]
        store.accept(NewJob(f"job-{n}", "me", None, "", "{}", "{}", None, photos), n)
    yield opened
    opened.close()


async def followed(watch: Watch, job: str, after: int = 0) -> list[News]:
    return [await watch.news(job, after) for _ in range(LOOKS)]


def asked_by(database: Counted, streams: int, jobs: int) -> int:
    """Questions that so many streams of so many jobs have put, in a few looks each."""

    async def follow() -> None:
        watch = watching(database)
        await asyncio.gather(*(followed(watch, f"job-{n % jobs}", 2) for n in range(streams)))

    before = database.asked
    asyncio.run(follow())
    return database.asked - before


def watching(database: Counted) -> Watch:
    async def ask(wanted: Mapping[str, int]) -> Mapping[str, Progress]:
        return Records(database).watched(wanted, 1)

    return Watch(ask)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, STREAMS])
def test_many_streams_ask_as_often_as_one(database: Counted, jobs: int) -> None:
    one = asked_by(database, 1, 1)
    assert one
    assert asked_by(database, STREAMS, jobs) == one


def test_each_stream_has_the_photos_that_it_has_not_had(database: Counted) -> None:
    store = Store(database, 2**30)
    for claim in store.claim("one", 2 * STREAMS, 1, 1e9, set()):
        assert store.settle(claim, "one", 2, "{}", fine=True, size=1, crc=0) != "lost"

    async def follow() -> list[list[News]]:
        watch = watching(database)
        asked = [("job-0", 0), ("job-0", 1), ("job-0", 7), ("job-1", 0)]
        return await asyncio.gather(*(followed(watch, *each) for each in asked))

    for news, numbers in zip(asyncio.run(follow()), ([1, 2], [2], [], [1, 2]), strict=True):
        for standing, photos in news:
            assert (standing.row["done"], [each["number"] for each in photos]) == (2, numbers)


def test_a_job_that_is_gone_and_a_queue_that_is_away_end_no_other_look(database: Counted) -> None:
    away = True

    async def ask(wanted: Mapping[str, int]) -> Mapping[str, Progress]:
        if away:
            raise DatabaseFault("away")
        return Records(database).watched(wanted, 1)

    async def follow() -> None:
        nonlocal away
        watch = Watch(ask)
        with pytest.raises(DatabaseFault):
            await watch.news("job-0", 0)
        away = False
        gone, left, there = (
            asyncio.create_task(watch.news(job, 0)) for job in ("no-such", "job-0", "job-1")
        )
        await asyncio.sleep(0)
        left.cancel()
        with pytest.raises(JobNotFound):
            await gone
        assert (await there)[0].row["id"] == "job-1"

    asyncio.run(follow())
