"""What jobs are kept by is out of reach for a while: nothing is lost, and nothing is given up."""

import re
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import httpx
import psutil
import pytest

from app.jobs.store import MOST_FAULTS
from tests.conftest import Server, Start
from tests.hurried import HURRIED
from tests.jobs.asking import ended, events, files, slug, submitted
from tests.jobs.postgresql import Line, breakable, postgresql
from tests.sample_photos import encoded, small

pytestmark = pytest.mark.slow

PHOTOS = 40
LONGEST_S = 25
"""That a question may take which a database does not answer, by a service that is hurried."""


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


def test_a_queue_that_hangs_is_told_of_and_comes_back(
    client: httpx.Client, service: Server
) -> None:
    """Its system goes on acknowledging what it is sent, and takes new connections."""
    job = submitted(client, files(PHOTOS))
    hung = [each for each in psutil.Process().children(recursive=True) if each.name() == "postgres"]
    assert hung
    for each in hung:
        each.suspend()
    try:
        with ThreadPoolExecutor(8) as pool:
            asked = [f"/jobs/{job}", f"/jobs/{job}/results/0"] * 4
            answers = list(pool.map(lambda path: client.get(path, timeout=LONGEST_S), asked))
        answers.append(client.post("/jobs", files=files(1), timeout=LONGEST_S))
        told = [(answer.status_code, slug(answer)) for answer in answers]
        assert told == [(503, "jobs-away")] * len(answers)
        assert client.post("/colorize", files=files(1)).status_code == 200
    finally:
        for each in hung:
            each.resume()
    told_last = ended(client, job)
    assert (told_last["done"], told_last["failed"]) == (PHOTOS, 0)
    assert "Traceback" not in service.log.read_text()


def test_a_database_that_is_not_there_is_no_wrong_setting(
    start_small: Start, tmp_path: Path, line: Line
) -> None:
    """After status 2 systemd does not start it again."""
    line.broken = True
    server = start_small(jobs=tmp_path / "queue", jobs_database=line.address)
    assert server.process.wait(60) == 4
    assert "chromaserve: CHROMASERVE_JOBS_DATABASE: no database" in server.log.read_text()


def test_a_folder_of_another_queue_is_refused_and_so_is_another_folder(
    start_small: Start, tmp_path: Path, line: Line
) -> None:
    """They would sweep each other's photos away."""
    chosen = {"jobs": tmp_path / "queue", "jobs_database": line.address}
    for _ in range(2):  # two of one queue share it
        start_small(**chosen).wait_ready()
    other = start_small(jobs=tmp_path / "queue")
    assert other.process.wait(60) == 2
    said = other.log.read_text()
    assert re.search(
        "CHROMASERVE_JOBS: .* the queue in PostgreSQL .* and this one is in SQLite", said
    )
    with postgresql() as another:
        third = start_small(jobs=tmp_path / "queue", jobs_database=another)
        assert third.process.wait(60) == 2
    # Photos that it accepted would be where the others cannot read them.
    elsewhere = start_small(jobs=tmp_path / "elsewhere", jobs_database=line.address)
    assert elsewhere.process.wait(60) == 2
    assert "photos and results in another folder" in elsewhere.log.read_text()
    (tmp_path / "queue" / "queue").unlink()  # as it says
    start_small(jobs=tmp_path / "queue").wait_ready()


def test_a_folder_that_is_away_gives_no_photo_up(
    client: httpx.Client, service: Server, tmp_path: Path
) -> None:
    """As one of another machine may be."""
    job = submitted(client, files(PHOTOS))
    while client.get(f"/jobs/{job}/results/0").status_code != 200:
        time.sleep(0.01)  # leave the core to the service
    aside = (tmp_path / "queue").rename(tmp_path / "aside")
    answer = client.get(f"/jobs/{job}/results/0")
    assert (answer.status_code, slug(answer)) == (503, "jobs-away")
    while " waits: " not in service.log.read_text():
        assert client.get(f"/jobs/{job}").json()["failed"] == 0
    aside.rename(tmp_path / "queue")
    told = ended(client, job)
    assert (told["done"], told["failed"]) == (PHOTOS, 0)


def test_a_folder_that_hangs_holds_up_only_who_asks_for_what_is_in_it(
    start_small: Start, tmp_path: Path
) -> None:
    sign, queue, asked = tmp_path / "sign", tmp_path / "queue", 12
    command = (*HURRIED, "tests.jobs.hanging", str(sign), str(queue))
    server = start_small(command, jobs=queue)
    server.wait_ready()
    with server.client() as client, ThreadPoolExecutor(2 * asked) as pool:
        job = submitted(client, files(1))
        ended(client, job)
        sign.touch()
        paths = [f"/jobs/{job}/results"] * (asked - 1)
        waiting = [pool.submit(client.get, path) for path in paths]
        waiting.append(pool.submit(client.delete, f"/jobs/{job}"))
        try:
            deadline = time.monotonic() + 20
            hangs = re.compile(f"hangs: .*{re.escape(job)}")  # not a sweep, which is of no job
            while len(hangs.findall(server.log.read_text())) < asked:
                assert time.monotonic() < deadline, "one holds up the others"
            with server.client(timeout=20) as other:
                assert other.get("/healthz").status_code == 200
                assert other.post("/colorize", files=files(1)).status_code == 200
                assert other.post("/models/reload").status_code == 200
            more = [pool.submit(client.get, path) for path in paths]  # than there are threads for
            refused = next(each.result() for each in as_completed(more))
            new = client.post("/jobs", files=files(1))  # which would hold what it brings
            for answer in (refused, new):
                assert (answer.status_code, slug(answer)) == (503, "jobs-away")
        finally:
            sign.unlink()
        assert [each.result().status_code for each in waiting] == [200] * asked
    assert "Traceback" not in server.log.read_text()


def test_options_of_another_version_wait_for_one_that_knows_them(
    start_small: Start, tmp_path: Path
) -> None:
    """Processes of both share a queue during an upgrade, and an upgrade may be undone."""
    server = start_small(HURRIED, jobs=tmp_path / "queue")
    server.wait_ready()
    queue = sqlite3.connect(tmp_path / "queue" / "jobs.sqlite3", timeout=30, isolation_level=None)
    queue.execute(
        "CREATE TRIGGER newer AFTER INSERT ON job BEGIN"
        " UPDATE job SET options = json_set(options, '$.newer', 1) WHERE id = new.id; END"
    )
    with server.client() as client:
        job, other = (submitted(client, files(1)) for _ in range(2))
        queue.execute("DROP TRIGGER newer")
        deadline = time.monotonic() + 60
        while server.log.read_text().count(f"of job {job} waits: ") <= MOST_FAULTS:
            assert client.get(f"/jobs/{job}").json()["failed"] == 0
            assert time.monotonic() < deadline, server.log.read_text()
        assert client.delete(f"/jobs/{other}").json()["state"] == "cancelled"
        queue.execute("UPDATE job SET options = json_remove(options, '$.newer')")
        told = ended(client, job)
        assert (told["done"], told["failed"]) == (1, 0)
    queue.close()
    assert "Traceback" not in server.log.read_text()


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
                time.sleep(0.01)
            with pytest.raises(httpx.TransportError):
                list(pieces)
    assert "results expired while a client took them" in server.log.read_text()
    deadline = time.monotonic() + 30
    while f"GET /jobs/{job}/results 500 in" not in server.log.read_text():
        assert time.monotonic() < deadline, server.log.read_text()
    assert "Traceback" not in server.log.read_text()
