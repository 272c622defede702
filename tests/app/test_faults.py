"""The machine fails: the process is killed, the disk behind its output is full, the clock jumps."""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from chromaserve import Client, Retries
from tests.app.sockets import load
from tests.app.test_readers import until
from tests.conftest import Start
from tests.sample_photos import decoded, encoded, small

PHOTO = encoded(small("L"), "PNG")
PATIENT = Retries(attempts=100, budget_s=120, base_s=0.2, cap_s=0.5)
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
ONTO_A_FULL_DISK = """
import os, runpy
full = os.open("/dev/full", os.O_WRONLY)
os.dup2(full, 1)
os.dup2(full, 2)
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


def test_a_full_disk_behind_its_log_keeps_nobody_from_being_served(start_server: Start) -> None:
    server = start_server(command=("-c", ONTO_A_FULL_DISK))
    server.wait_ready()
    answer = httpx.post(f"{server.url}/colorize", files={"file": PHOTO}, timeout=60)
    assert answer.status_code == 200
    assert server.stop() == 0


@pytest.mark.skipif(not FAKETIME, reason="needs libfaketime, Debian's package faketime")
def test_a_clock_that_jumps_delays_no_photo_and_renews_no_limit(
    start_server: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0")
    for name, value in (
        ("LD_PRELOAD", FAKETIME),
        ("FAKETIME_TIMESTAMP_FILE", clock),
        ("FAKETIME_NO_CACHE", 1),
        ("FAKETIME_DONT_FAKE_MONOTONIC", 1),
    ):
        monkeypatch.setenv(name, str(value))
    server = start_server(rate_limit=10)
    server.wait_ready()
    with server.client() as http, ThreadPoolExecutor(3) as threads:
        dates = []
        for jump in ("+1y", "-10y", "+0"):
            asked = [
                threads.submit(http.post, "/colorize", content=PHOTO, timeout=30) for _ in range(3)
            ]
            clock.write_text(jump)
            answers = [each.result() for each in asked]
            assert [each.status_code for each in answers] == [200] * 3
            dates.append(http.get("/readyz").headers["date"])
            assert http.get("/readyz").status_code == 200
        assert len({date.split()[3] for date in dates}) == 3  # it did jump, by years
        for jump in ("+1y", "-10y"):  # a limit by this clock would begin anew
            clock.write_text(jump)
            statuses = [http.post("/colorize", content=PHOTO).status_code for _ in range(12)]
            assert statuses.count(200) < 8
            assert statuses.count(429) == 12 - statuses.count(200)
    assert server.stop() == 0
