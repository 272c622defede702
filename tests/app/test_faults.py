"""The machine fails: the process is killed, the disk behind its output is full, the clock jumps."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path

import httpx
import pytest

from chromaserve import Client, Retries
from tests.app.sockets import load
from tests.app.test_readers import until
from tests.conftest import Start
from tests.sample_photos import decoded, encoded, small

pytestmark = pytest.mark.slow

PHOTO = encoded(small("L"), "PNG")
PATIENT = Retries(attempts=100, budget_s=120, base_s=0.2, cap_s=0.5)
YEAR_S = 365 * 86_400
ONTO_A_FULL_DISK = """
import os, runpy
full = os.open("/dev/full", os.O_WRONLY)
os.dup2(full, 1)
os.dup2(full, 2)
runpy.run_module("app", run_name="__main__")
"""
BY_A_CLOCK_THAT_JUMPS = """
import os, pathlib, runpy, time
by_the_machine, ahead = time.time, pathlib.Path(os.environ["CLOCK"])
time.time = lambda: by_the_machine() + float(ahead.read_text())
runpy.run_module("app", run_name="__main__")
"""


def test_killed_under_load_and_started_anew_it_loses_no_photo_of_a_client_that_retries(
    start_server: Start,
) -> None:
    first = start_server()
    first.wait_ready()

    def ask(_: int) -> tuple[int, ...]:
        with Client(first.url, retries=PATIENT) as client:
            return decoded(client.colorize(PHOTO).data).shape

    with ThreadPoolExecutor(6) as threads:
        asked = [threads.submit(ask, number) for number in range(6)]
        until(lambda: load(first)["accepted"] > 2)
        first.process.send_signal(signal.SIGKILL)
        assert first.process.wait(10) == -signal.SIGKILL
        again = start_server(port=first.url.rpartition(":")[2])
        assert [each.result() for each in asked] == [(80, 120, 3)] * 6
    assert again.process.poll() is None


def test_a_full_disk_behind_its_log_keeps_nobody_from_being_served(start_small: Start) -> None:
    server = start_small(command=("-c", ONTO_A_FULL_DISK))
    server.wait_ready()
    answer = httpx.post(f"{server.url}/colorize", files={"file": PHOTO}, timeout=60)
    assert answer.status_code == 200
    assert server.stop() == 0


def test_a_clock_that_jumps_delays_no_photo_and_renews_no_limit(
    start_small: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = tmp_path / "clock"

    def jump(years: int) -> None:
        (tmp_path / "next").write_text(str(years * YEAR_S))
        (tmp_path / "next").replace(clock)

    jump(0)
    monkeypatch.setenv("CLOCK", str(clock))
    server = start_small(rate_limit=10, command=("-c", BY_A_CLOCK_THAT_JUMPS))
    server.wait_ready()
    with server.client() as http, ThreadPoolExecutor(3) as threads:

        def jumped(years: int) -> bool:  # uvicorn looks at the clock once a second
            told = parsedate_to_datetime(http.get("/readyz").headers["date"])
            return round((told.timestamp() - time.time()) / YEAR_S) == years

        for years in (1, -10, 0):
            asked = [
                threads.submit(http.post, "/colorize", content=PHOTO, timeout=30) for _ in range(3)
            ]
            jump(years)
            answers = [each.result() for each in asked]
            assert [each.status_code for each in answers] == [200] * 3
            until(partial(jumped, years), 30)
        for years in (1, -10):  # a limit by this clock would begin anew
            jump(years)
            statuses = [http.post("/colorize", content=PHOTO).status_code for _ in range(12)]
            assert statuses.count(200) < 8
            assert statuses.count(429) == 12 - statuses.count(200)
    assert server.stop() == 0
