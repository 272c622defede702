"""Several processes on one port: one service to whoever asks, whichever of them answers."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from chromaserve.settings import MIB
from chromaserve.store.versions import ModelStore
from tests.conftest import START_S, STOP_S, Server, Start, running
from tests.jobs.asking import ended, files, submitted
from tests.sample_photos import encoded, small

PHOTO = {"file": encoded(small("L"), "PNG")}
WORKERS = 2
STARTED = (
    r"worker (\d) uvicorn.error .* Application startup complete"
    r'|Application startup complete.*"worker": (\d)'
)


def wait_for_all(server: Server, times: int = 1) -> None:
    """Until each worker takes connections, for so many times by now."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert server.process.poll() is None, server.log.read_text()
        log = server.log.read_text()
        started = ["".join(each) for each in re.findall(STARTED, log)]
        if all(started.count(str(n)) >= 1 for n in range(1, WORKERS + 1)) and len(
            started
        ) >= WORKERS + (times - 1):
            server.wait_ready()
            return
        time.sleep(0.05)
    raise AssertionError(server.log.read_text())


def processes(server: Server) -> list[psutil.Process]:
    """The workers', in the order in which they were started."""
    found = psutil.Process(server.process.pid).children()
    return [each for each in found if "spawn_main" in " ".join(each.cmdline())]


def answered_by(server: Server) -> list[str]:
    """The worker of each request so far, by the log."""
    return re.findall(r"worker (\d) chromaserve.access .* (?:GET|POST) ", server.log.read_text())


def post(server: Server, count: int, path: str = "/colorize") -> list[httpx.Response]:
    """Requests at once, each on a connection of its own."""

    async def scenario() -> list[httpx.Response]:
        async def one() -> httpx.Response:
            async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
                return await client.post(path, files=PHOTO)

        return await asyncio.gather(*(one() for _ in range(count)))

    return asyncio.run(scenario())


def by_both(server: Server, path: str = "/colorize") -> list[httpx.Response]:
    """Answers to requests of which each worker has had some."""
    before, answers = len(answered_by(server)), list[httpx.Response]()
    while len(set(answered_by(server)[before:])) < WORKERS:
        assert len(answers) < 400, "one worker answers them all"
        answers += post(server, 8, path)
    return answers


def metric(server: Server, name: str, **labels: str) -> float:
    """A sample's value, 0 where it is not there; by a connection of its own."""
    for family in text_string_to_metric_families(httpx.get(server.url + "/metrics").text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return 0.0


@contextmanager
def started(folder: Path, small: dict[str, object], **settings: object) -> Iterator[Server]:
    with running(folder, **small, workers=WORKERS, max_wait_s=300) as start:
        server = start(**settings)
        wait_for_all(server)
        yield server


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, small_network: dict[str, object]
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("workers")
    with started(folder, small_network, jobs=folder / "jobs", max_memory_mb=2048) as one:
        yield one


def test_photos_are_the_same_whoever_makes_them(server: Server) -> None:
    answers = by_both(server)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


def test_connections_that_come_at_once_are_divided(server: Server) -> None:
    before = len(answered_by(server))
    assert {answer.status_code for answer in post(server, 12)} == {200}
    shares = [answered_by(server)[before:].count(n) for n in "12"]
    assert sum(shares) == 12
    assert min(shares) >= 4


def test_a_client_that_keeps_its_connection_stays_with_one_worker(server: Server) -> None:
    before = len(answered_by(server))
    with server.client() as http:
        for _ in range(6):
            assert http.post("/colorize", files=PHOTO).status_code == 200
    assert len(set(answered_by(server)[before:])) == 1


def test_any_worker_tells_the_metrics_of_all(server: Server) -> None:
    labels = {"route": "/colorize", "method": "POST", "status": "200"}
    before = metric(server, "chromaserve_requests_total", **labels)
    photos = metric(server, "chromaserve_photos_total", outcome="colorized")
    answers = by_both(server)
    for _ in range(4):
        now = metric(server, "chromaserve_requests_total", **labels)
        assert now == before + len(answers)
        now = metric(server, "chromaserve_photos_total", outcome="colorized")
        assert now == photos + len(answers)
        assert metric(server, "chromaserve_request_seconds_count", route="/colorize") >= now
        assert metric(server, "chromaserve_ready") == 1
        bounds = [
            metric(server, "chromaserve_memory_bound_bytes", use=use)
            for use in ("photos", "uploads")
        ]
        assert sum(bounds) == 2048 * MIB
        sizes = [metric(server, "process_resident_memory_bytes", worker=n) for n in "12"]
        assert all(size > 1e8 for size in sizes)
    text = httpx.get(server.url + "/metrics").text
    assert "# HELP chromaserve_requests_total Requests answered, by route" in text


def test_a_job_is_everybodys(server: Server) -> None:
    with server.client() as one, server.client() as other:
        key = {"Idempotency-Key": "the same"}
        job = submitted(one, files(24), headers=key)
        assert submitted(other, files(24), headers=key) == job
        told = ended(other, job)
        assert (told["done"], told["failed"]) == (24, 0)
    waiting = {metric(server, "chromaserve_job_photos") for _ in range(4)}
    assert max(waiting) <= 24, "each worker tells of the one queue"


def test_a_worker_that_is_killed_comes_back_and_the_others_go_on(server: Server) -> None:
    labels = {"route": "/colorize", "method": "POST", "status": "200"}
    by_both(server)
    for victim in processes(server):
        before = metric(server, "chromaserve_requests_total", **labels)
        count = len(re.findall("Application startup complete", server.log.read_text()))
        victim.kill()
        victim.wait(STOP_S)
        done = 0
        while count == len(re.findall("Application startup complete", server.log.read_text())):
            answers = post(server, 4)
            assert [answer.status_code for answer in answers] == [200] * 4
            done += 4
        assert done
        assert "was ended by signal 9; another takes its place" in server.log.read_text()
        assert metric(server, "chromaserve_requests_total", **labels) == before + done
    assert len(processes(server)) == WORKERS
    assert {answer.status_code for answer in by_both(server)} == {200}


def test_a_reload_reaches_all_and_who_comes_later_serves_what_is_served(
    tmp_path: Path, small_network: dict[str, object], small_root: Path
) -> None:
    root = tmp_path / "store"
    shutil.copytree(small_root, root)
    store = ModelStore(root)

    def publish() -> int:
        latest = store.resolve("latest")
        return store.publish(latest.path, latest.description).version

    with started(tmp_path, small_network, model_root=root, max_loaded_models=1) as server:

        def served() -> set[int]:
            answers = by_both(server)
            assert {answer.status_code for answer in answers} == {200}
            return {int(answer.headers["x-model-version"]) for answer in answers}

        old = store.versions()[-1]
        new = publish()
        assert served() == {old}
        answer = httpx.post(server.url + "/models/reload", timeout=120)
        assert answer.json() == {"version": new, "changed": True}
        assert served() == {new}
        many = post(server, 12, "/models/reload")  # each is answered, however many come at once
        assert {(answer.status_code, answer.json()["version"]) for answer in many} == {(200, new)}
        publish()
        processes(server)[0].kill()
        wait_for_all(server, times=2)
        assert served() == {new}, "nobody asked for a reload"

        aside = root.rename(tmp_path / "aside")
        processes(server)[0].kill()
        tries = 0
        while "ended with status 5; another takes its place" not in server.log.read_text():
            assert (tries := tries + 1) < 1000, "the one without a store does not end"
            assert [answer.status_code for answer in post(server, 4)] == [200] * 4
        aside.rename(root)
        wait_for_all(server, times=3)
        assert served() == {new}


def test_what_is_limited_is_divided_not_multiplied(
    tmp_path: Path, small_network: dict[str, object]
) -> None:
    with started(tmp_path, small_network, daily_limit=10, log_format="json") as server:
        log = server.log.read_text()
        assert '"worker": 2' in log
        statuses = [answer.status_code for _ in range(4) for answer in post(server, 4)]
        assert statuses.count(200) == 10
        assert statuses.count(429) == 6


def test_a_full_disk_or_a_folder_that_is_gone_ends_nobody(
    tmp_path: Path, small_network: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with started(tmp_path, small_network, daily_limit=1000) as server:
        [shared] = tmp_path.glob("chromaserve-*")
        assert [answer.status_code for answer in post(server, 4)] == [200] * 4
        mapped = [*shared.glob("*.db"), shared / "loads"]
        assert len(mapped) > WORKERS
        for file in mapped:  # there is no SIGBUS where every byte has its place
            assert file.stat().st_blocks * 512 >= file.stat().st_size, file
        workers = processes(server)
        _, most = workers[0].rlimit(psutil.RLIMIT_FSIZE)
        for worker in workers:
            worker.rlimit(psutil.RLIMIT_FSIZE, (0, most))
        answers = post(server, 8)
        for worker in workers:
            worker.rlimit(psutil.RLIMIT_FSIZE, (most, most))  # for the log
        assert [answer.status_code for answer in answers] == [200] * 8
        assert "ratelimit" not in answers[0].headers, "it could be counted"

        shutil.rmtree(shared)
        processes(server)[0].kill()
        wait_for_all(server, times=2)
        assert {answer.status_code for answer in by_both(server)} == {200}


def number_in(metrics: str, name: str) -> int:
    """What a metric is, 0 while there is none."""
    found = [line for line in metrics.splitlines() if line.startswith(f"{name} ")]
    return int(float(found[0].rpartition(" ")[2])) if found else 0


def test_sigterm_drains_all(start_server: Start) -> None:
    server = start_server(workers=WORKERS, max_wait_s=300, shutdown_timeout_s=60)
    wait_for_all(server)
    larges = [encoded(Image.new("L", (4000, 3000), 120 + n), "PNG") for n in range(8)]
    supervisor, mine = psutil.Process(server.process.pid), processes(server)

    async def scenario() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
            work = [
                asyncio.create_task(client.post("/colorize", files={"file": large}))
                for large in larges
            ]
            done = accepted = 0
            async with httpx.AsyncClient(base_url=server.url, timeout=120) as other:
                while done + accepted < len(larges):  # those that came first may be done
                    told = (await other.get("/metrics")).text
                    done = number_in(told, 'chromaserve_photos_total{outcome="colorized"}')
                    accepted = number_in(told, "chromaserve_accepted_photos")
            supervisor.send_signal(signal.SIGTERM)
            assert accepted
            return await asyncio.gather(*work)

    assert [answer.status_code for answer in asyncio.run(scenario())] == [200] * 8
    assert server.process.wait(STOP_S) == 0
    assert not any(each.is_running() for each in mine)
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url + "/healthz")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_no_worker_outlives_the_service(
    start_small: Start,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("TMPDIR", str(temporary))
    server = start_small(workers=WORKERS)
    wait_for_all(server)
    mine = processes(server)
    assert list(temporary.glob("chromaserve-*/worker-*.json"))
    server.process.send_signal(number)
    assert server.process.wait(STOP_S) == (0 if number == signal.SIGHUP else -number)
    assert not psutil.wait_procs(mine, timeout=STOP_S)[1]
    assert not list(temporary.iterdir())


def test_what_cannot_start_ends_with_its_reason(
    start_small: Start, server: Server, tmp_path: Path
) -> None:
    missing = start_small(workers=WORKERS, model_version="4711")
    taken = start_small(workers=WORKERS, port=int(server.url.rpartition(":")[2]))
    small = start_small(workers=WORKERS, max_memory_mb=512)
    empty = tmp_path / "keys"
    empty.touch()
    keys = start_small(workers=WORKERS, api_keys_file=empty)
    for one, status, words in (
        (missing, 5, "chromaserve: cannot serve: "),
        (taken, 6, "is taken; try another"),
        (small, 2, "is divided among 2 workers, and must be at least 16 times CHROMASERVE_MAX"),
        (keys, 2, "has no key in it"),
    ):
        assert one.process.wait(START_S) == status
        assert words in one.log.read_text()


def test_workers_without_a_temporary_folder_are_refused_in_a_sentence() -> None:
    nowhere = "import tempfile; tempfile._candidate_tempdir_list = lambda: ['/nowhere']"
    starting = "import runpy; runpy.run_module('app', None, '__main__')"
    done = subprocess.run(
        [sys.executable, "-c", f"{nowhere}; {starting}"],
        env=os.environ | {"CHROMASERVE_PORT": "0", "CHROMASERVE_WORKERS": "2"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(
        "chromaserve: several workers share a folder: No"
    )
    assert "Traceback" not in done.stderr
