"""What jobs are kept by is out of reach for a while: nothing is lost, and nothing is given up."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import Server, Start
from tests.hurried import HURRIED
from tests.jobs.asking import ended, events, files, slug, submitted
from tests.jobs.postgresql import Line, breakable
from tests.sample_photos import encoded, small

PHOTOS = 40


@pytest.fixture
def line() -> Iterator[Line]:
    with breakable() as one:
        yield one


@pytest.fixture
def service(start_small: Start, tmp_path: Path, line: Line) -> Server:
    server = start_small(HURRIED, jobs=tmp_path / "queue", jobs_database=line.address)
    server.wait_ready()
    return server


@pytest.fixture
def client(service: Server) -> Iterator[httpx.Client]:
    with service.client() as one:
        yield one


def test_a_job_whose_acceptance_was_not_heard_of_is_kept(client: httpx.Client, line: Line) -> None:
    line.loses_acceptance = True
    key = {"Idempotency-Key": "one"}
    job = submitted(client, files(2), headers=key)
    assert not line.loses_acceptance
    assert submitted(client, files(2), headers=key) == job
    told = ended(client, job)
    assert (told["done"], told["failed"]) == (2, 0)


def test_a_queue_that_is_away_is_told_of_and_comes_back(
    client: httpx.Client, service: Server, line: Line
) -> None:
    job = submitted(client, files(PHOTOS))
    with client.stream("GET", f"/jobs/{job}/events") as stream:
        pieces = stream.iter_text()
        next(pieces)
        line.cut()
        assert "event: end" not in "".join(pieces), "a client goes on by Last-Event-ID"
    for path in ("", "/events", "/results", "/results/0"):
        answer = client.get(f"/jobs/{job}{path}")
        assert (answer.status_code, slug(answer)) == (503, "jobs-away")
        assert int(answer.headers["retry-after"]) > 0
    for answer in (client.post("/jobs", files=files(1)), client.delete(f"/jobs/{job}")):
        assert (answer.status_code, slug(answer)) == (503, "jobs-away")
    line.broken = False
    told = ended(client, job)
    assert (told["done"], told["failed"]) == (PHOTOS, 0)
    assert [kind for kind, _, _ in events(client, job)] == [*["photo"] * PHOTOS, "end"]
    assert "Traceback" not in service.log.read_text()


def test_a_folder_that_is_away_gives_no_photo_up(
    client: httpx.Client, service: Server, tmp_path: Path
) -> None:
    """As one of another machine may be."""
    job = submitted(client, files(PHOTOS))
    while client.get(f"/jobs/{job}/results/0").status_code != 200:
        pass
    aside = (tmp_path / "queue").rename(tmp_path / "aside")
    answer = client.get(f"/jobs/{job}/results/0")
    assert (answer.status_code, slug(answer)) == (503, "jobs-away")
    while " waits: " not in service.log.read_text():
        assert client.get(f"/jobs/{job}").json()["failed"] == 0
    aside.rename(tmp_path / "queue")
    told = ended(client, job)
    assert (told["done"], told["failed"]) == (PHOTOS, 0)


def test_results_that_expire_while_they_are_taken_are_cut_off(
    start_small: Start, tmp_path: Path
) -> None:
    server = start_small(HURRIED, jobs=tmp_path / "queue", jobs_keep_s=1)
    server.wait_ready()
    larges = [encoded(small("L", (1400, 1000 + n)), "PNG") for n in range(12)]
    with server.client() as client:
        job = submitted(client, [("file", (f"{n}.png", each)) for n, each in enumerate(larges)])
        ended(client, job)
        with client.stream("GET", f"/jobs/{job}/results") as answer:
            pieces = answer.iter_raw(1024)
            next(pieces)
            while (tmp_path / "queue" / "results" / job).exists():
                pass
            with pytest.raises(httpx.TransportError):
                list(pieces)
    assert "results expired while a client took them" in server.log.read_text()
    assert "Traceback" not in server.log.read_text()
