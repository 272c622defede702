"""Engines that raise, hang or answer nonsense: readiness says so, and the service recovers."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.conftest import Server, Start
from tests.sample_photos import encoded, small

PHOTO = encoded(small("L"), "PNG")


def colorize(server: Server) -> int:
    return httpx.post(f"{server.url}/colorize", files={"file": PHOTO}, timeout=60).status_code


def ready(server: Server) -> int:
    return httpx.get(f"{server.url}/readyz", timeout=10).status_code


def until(condition: Callable[[], bool], within_s: float = 120) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end


@pytest.fixture
def armed(tmp_path: Path) -> Path:
    """What the engine is to do."""
    return tmp_path / "armed"


@pytest.fixture
def server(start_server: Start, armed: Path) -> Server:
    started = start_server(
        command=["-m", "tests.app.broken_engine", str(armed)],
        engine="ncnn",
        engine_timeout_s=6,
        shutdown_timeout_s=3,
    )
    started.wait_ready()
    return started


@pytest.mark.parametrize("mode", ["raise", "exit", "nan", "hang"])
def test_readiness_tells_of_an_engine_that_is_broken_and_it_is_replaced(
    server: Server, armed: Path, mode: str
) -> None:
    assert colorize(server) == 200
    armed.write_text(mode)
    until(lambda: colorize(server) in (500, 503) and ready(server) == 503)
    assert httpx.get(f"{server.url}/healthz").status_code == 200
    assert httpx.get(f"{server.url}/v2/models/colorizer/ready").status_code == 503
    refused = httpx.post(f"{server.url}/colorize", files={"file": PHOTO})
    assert int(refused.headers["retry-after"]) > 0
    armed.unlink()
    until(lambda: ready(server) == 200)
    assert colorize(server) == 200
    assert server.stop() == 0


def test_a_hanging_engine_does_not_keep_the_process_from_ending(
    server: Server, armed: Path
) -> None:
    armed.write_text("hang")
    with pytest.raises(httpx.HTTPError), httpx.Client(timeout=0.5) as client:
        client.post(f"{server.url}/colorize", files={"file": PHOTO})
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(30)
    assert time.monotonic() - began < 3 + 5  # its limit, and a busy machine


def test_hanging_up_ends_the_service_as_sigterm_does(start_server: Start) -> None:
    server = start_server()
    server.wait_ready()
    server.process.send_signal(signal.SIGHUP)
    assert server.process.wait(30) == 0


def test_a_start_is_ended_at_once(start_server: Start) -> None:
    server = start_server()
    server.wait_for("/healthz")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(10) == 0
