"""Engines that raise, hang or answer nonsense: readiness says so, and the service recovers."""

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.conftest import Server, Start
from tests.sample_photos import encoded, small

pytestmark = pytest.mark.slow

PHOTO = encoded(small("L"), "PNG")


def colorize(server: Server) -> int:
    with server.client(60) as http:
        return http.post("/colorize", files={"file": PHOTO}).status_code


def ready(server: Server) -> int:
    with server.client(10) as http:
        return http.get("/readyz").status_code


def until(condition: Callable[[], bool], within_s: float = 120) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)  # leave the core to the service


@pytest.fixture
def armed(tmp_path: Path) -> Path:
    """What the engine is to do."""
    return tmp_path / "armed"


@pytest.fixture
def server(start_small: Start, armed: Path) -> Server:
    started = start_small(
        command=["-m", "tests.app.broken_engine", str(armed)],
        engine_timeout_s=1.5,
        shutdown_timeout_s=3,
    )
    started.wait_ready()
    return started


def test_readiness_tells_of_an_engine_that_is_broken_and_it_is_replaced(
    server: Server, armed: Path
) -> None:
    assert colorize(server) == 200
    for mode in ("raise", "exit", "nan", "hang"):
        armed.write_text(mode)
        until(lambda: colorize(server) in (500, 503) and ready(server) == 503)
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        assert httpx.get(f"{server.url}/v2/models/colorizer/ready").status_code == 503
        refused = httpx.post(f"{server.url}/colorize", files={"file": PHOTO})
        assert int(refused.headers["retry-after"]) > 0
        assert httpx.post(f"{server.url}/models/reload", timeout=60).status_code == 200
        armed.unlink()
        until(lambda: ready(server) == 200)
        assert colorize(server) == 200, mode
    assert server.stop() == 0


def test_a_process_that_was_stopped_does_not_take_that_for_a_hanging_engine(
    server: Server, armed: Path
) -> None:
    """As a laptop's is that slept, or one in a container that was paused."""
    armed.write_text("wait")
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(colorize, server)
        until(armed.with_suffix(".waits").exists)
        server.process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        until(lambda: time.monotonic() > stopped + 2.5)  # longer than a batch may take
        armed.unlink()
        server.process.send_signal(signal.SIGCONT)
        assert answer.result() == 200
    assert ready(server) == 200
    assert "hangs" not in server.log.read_text()


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


def test_hanging_up_ends_the_service_as_sigterm_does(start_small: Start) -> None:
    server = start_small()
    server.wait_ready()
    server.process.send_signal(signal.SIGHUP)
    assert server.process.wait(30) == 0


def test_a_start_is_ended_at_once(start_server: Start) -> None:
    server = start_server()
    server.wait_for("/healthz")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(10) == 0
