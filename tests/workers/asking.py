"""A service of several workers, and requests to it."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import START_S, Server, running
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
