"""Several workers start, drain and end together, or say why they cannot."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image

from tests.conftest import START_S, STOP_S, Start
from tests.sample_photos import encoded
from tests.workers.asking import WORKERS, processes, wait_for_all


def number_in(metrics: str, name: str) -> int:
    """What a metric is, 0 while there is none."""
    found = [line for line in metrics.splitlines() if line.startswith(f"{name} ")]
    return int(float(found[0].rpartition(" ")[2])) if found else 0


def test_sigterm_drains_all(start_small: Start) -> None:
    server = start_small(workers=WORKERS, max_wait_s=300, shutdown_timeout_s=60)
    wait_for_all(server)
    larges = [encoded(Image.new("L", (2000, 1500), 120 + n), "PNG") for n in range(8)]
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_what_cannot_start_ends_with_its_reason(start_small: Start, tmp_path: Path) -> None:
    empty = tmp_path / "keys"
    empty.touch()
    with socket.create_server(("127.0.0.1", 0)) as other:
        missing = start_small(workers=WORKERS, model_version="4711")
        taken = start_small(workers=WORKERS, port=other.getsockname()[1])
        small = start_small(workers=WORKERS, max_memory_mb=512)
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


def test_arguments_that_the_service_does_not_take_are_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "--port", "9000"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "CHROMASERVE_PORT" in done.stderr
    assert done.stderr.endswith("unrecognized arguments: --port 9000\n")
