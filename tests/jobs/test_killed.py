"""Processes that end in the middle: nothing that was accepted is lost, nothing is done twice."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import Server, Start
from tests.hurried import HURRIED
from tests.jobs.asking import ended, events, files, submitted, unzipped
from tests.jobs.postgresql import postgresql

PHOTOS = 40
BROKEN = (*HURRIED, "tests.app.broken_engine")


def done(client: httpx.Client, job: str) -> int:
    time.sleep(0.01)  # leave the core to the service
    return int(client.get(f"/jobs/{job}").json()["done"])


def colorized(client: httpx.Client) -> int:
    """Photos that its server's model was asked about."""
    text = client.get("/metrics").text
    lines = [line for line in text.splitlines() if 'photos_total{outcome="colorized"}' in line]
    return int(float(lines[0].split()[-1])) if lines else 0


def kill(server: Server) -> None:
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(60)


@pytest.fixture(params=["sqlite", "postgresql"])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, object]]:
    """Settings of a queue that processes share."""
    if request.param == "sqlite":
        yield {"jobs": tmp_path / "queue"}
        return
    with postgresql() as address:
        yield {"jobs": tmp_path / "queue", "jobs_database": address}


@pytest.mark.slow
def test_of_two_workers_one_is_killed_and_each_photo_is_done_once(
    start_small: Start, queue: dict[str, object], tmp_path: Path
) -> None:
    limits = [tmp_path / name for name in ("first", "second")]
    for limit in limits:
        limit.write_text("10")
    servers = [start_small((*BROKEN, str(limit)), **queue, max_photos=8) for limit in limits]
    for server in servers:
        server.wait_ready()
    first, second = servers
    with first.client() as one, second.client() as other:
        job = submitted(other, files(PHOTOS))
        # The second asks the queue while the first works on it, and both are in the middle.
        while not (colorized(one) and colorized(other)) or done(one, job) < PHOTOS // 4:
            assert done(one, job) < PHOTOS, "all was done before"
        kill(second)
        before = done(one, job)
        assert before < PHOTOS
        limits[0].unlink()
        told = ended(one, job)
        assert (told["done"], told["failed"]) == (PHOTOS, 0)
        seen = [
            (number, data["index"]) for kind, number, data in events(one, job) if kind == "photo"
        ]
        assert [number for number, _ in seen] == [str(n) for n in range(1, PHOTOS + 1)]
        assert sorted(index for _, index in seen) == list(range(PHOTOS))
        results, manifest = unzipped(one.get(f"/jobs/{job}/results"))
        assert [entry["index"] for entry in manifest["photos"]] == list(range(PHOTOS))
        for name, data in given(results):
            plain = one.post("/colorize", files={"file": data})
            assert results[name] == plain.content, name


def given(results: dict[str, bytes]) -> list[tuple[str, bytes]]:
    """Some of the photos by the names of their results."""
    photos = {name: data for _, (name, data) in files(PHOTOS)}
    assert results.keys() == photos.keys()
    return list(photos.items())[:: PHOTOS // 4]


def test_what_was_accepted_outlives_a_kill_and_what_is_done_stays_done(
    start_small: Start, tmp_path: Path
) -> None:
    queue, limit = tmp_path / "queue", tmp_path / "limit"
    limit.write_text("15")
    server = start_small((*BROKEN, str(limit)), jobs=queue)
    server.wait_ready()
    with server.client() as client:
        job = submitted(client, files(PHOTOS))
        while done(client, job) < PHOTOS // 4:
            pass
        stamps = {p: p.stat().st_mtime_ns for p in (queue / "results").rglob("*.1")}
        kill(server)
    again = start_small(HURRIED, jobs=queue)
    again.wait_ready()
    with again.client() as client:
        assert ended(client, job)["done"] == PHOTOS
        kept = [p for p, stamp in stamps.items() if p.exists() and p.stat().st_mtime_ns == stamp]
        assert len(kept) >= PHOTOS // 4
        results, _ = unzipped(client.get(f"/jobs/{job}/results"))
        assert len(results) == PHOTOS


@pytest.mark.slow
def test_a_service_that_ends_gives_back_what_it_has_not_done(
    start_server: Start, start_small: Start, tmp_path: Path
) -> None:
    queue = tmp_path / "queue"
    server = start_server(jobs=queue)
    server.wait_ready()
    with server.client() as client:
        job = submitted(client, files(PHOTOS))
        while done(client, job) == 0:
            pass
    start = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - start < 20  # it does not wait for the whole job
    again = start_small(jobs=queue)
    again.wait_ready()
    with again.client() as client:
        assert ended(client, job)["done"] == PHOTOS
