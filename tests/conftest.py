"""Real servers for the tests: `python -m app` in a process of its own, on a free port."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from chromaserve.store.versions import BUNDLED_ROOT
from tests.small_network import publish
from tests.tls import certificate

# Hundreds of processes are started: each would compile what it imports anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Hundreds of clients are opened, too: each would read all the world's authorities.
AUTHORITIES = tempfile.TemporaryDirectory()  # until the tests end
os.environ["SSL_CERT_FILE"] = str(certificate(Path(AUTHORITIES.name)))

TESTS = Path(__file__).parent
LONGEST = (
    "cluster",
    "training/test_train.py",
    "training/test_publish.py",
    "page",
    "video/test_film_hints.py",
    "command_line/test_colorize.py",
    "test_project.py",
    "engines",
    "library",
    "packaging",
    "training/test_thesis.py",
    "pipeline/test_memory.py",
    "jobs",
    "training",
    "app",
    "command_line",
    "video",
    "examples",
    "client",
)
"""Files and folders that take longest: they begin, and short ones fill the end on every core."""

SHARED = {"max_upload_mb": 8, "max_photos": 8, "max_wait_s": 300, "shutdown_timeout_s": 60}
START_S = 120.0
STOP_S = 60.0
ENDED_S = 5.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    assert all((TESTS / name).exists() for name in LONGEST)

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(TESTS)
        names = (path.as_posix(), path.parts[0])
        return min((LONGEST.index(name) for name in names if name in LONGEST), default=len(LONGEST))

    items.sort(key=place)


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """Files stay whole, and those that share a Ray cluster or a wheel stay together."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        folders = (f"{TESTS.name}/{name}" for name in ("cluster", "packaging"))
        return next((folder for folder in folders if file.startswith(f"{folder}/")), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


@dataclass
class Server:
    """A running service."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def client(self, timeout: float = 120) -> httpx.Client:
        # No certificates: to read them takes longer than many an answer.
        return httpx.Client(base_url=self.url, timeout=timeout, verify=False)

    def wait_ready(self) -> None:
        self.wait_for("/readyz")

    def wait_for(self, path: str) -> None:
        deadline = time.monotonic() + START_S
        with self.client(5) as client:
            while time.monotonic() < deadline:
                assert self.process.poll() is None, f"the server ended:\n{self.log.read_text()}"
                try:
                    if client.get(path).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                time.sleep(0.05)
        raise AssertionError(f"{path} was not 200 in time:\n{self.log.read_text()}")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)


Start = Callable[..., Server]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(folder: Path, **settings: object) -> Iterator[Start]:
    """Starts servers, and ends them all when the block does."""
    servers: list[Server] = []

    def start(command: Sequence[str] = ("-m", "app"), **more: object) -> Server:
        port = free_port()
        chosen = {
            "host": "127.0.0.1",
            "port": port,
            "model_root": model_root_path(),
            "cache_mb": 0,  # the network has to run where a test asks twice
            **settings,
            **more,
        }
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CHROMASERVE_")}
        environment |= {f"CHROMASERVE_{k.upper()}": str(v) for k, v in chosen.items()}
        log = folder / f"server-{port}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *command],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=Path(__file__).parent.parent,
            )
        servers.append(Server(f"http://127.0.0.1:{port}", process, log))
        return servers[-1]

    try:
        yield start
    finally:
        for server in servers:
            server.process.terminate()
        for server in servers:
            try:
                server.process.wait(ENDED_S)  # by itself, so that what it ran is counted
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait(STOP_S)


@contextmanager
def serving(
    folder: Path, command: Sequence[str] = ("-m", "app"), /, **settings: object
) -> Iterator[Server]:
    """A server that is ready, and ends when the block does."""
    with running(folder) as start:
        server = start(command, **settings)
        server.wait_ready()
        yield server


def model_root_path() -> Path:
    return Path(os.environ.get("CHROMASERVE_MODEL_ROOT", BUNDLED_ROOT))


@pytest.fixture(scope="session")
def model_root() -> Path:
    """The store that the tests' servers serve from."""
    return model_root_path()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that do not harm it; its upload limit is small on purpose."""
    with serving(tmp_path_factory.mktemp("server"), **SHARED) as started:
        yield started


@pytest.fixture(scope="session")
def http(server: Server) -> Iterator[httpx.Client]:
    """A client of `server`."""
    with server.client() as client:
        yield client


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Start]:
    """Starts servers with settings of a test's own; they end with the test."""
    with running(tmp_path) as start:
        yield start


@pytest.fixture(scope="session")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose network is small, for tests of what is done around it."""
    root = tmp_path_factory.mktemp("small")
    publish(root)
    return root


@pytest.fixture(scope="session")
def small_network(small_root: Path) -> dict[str, object]:
    """Settings of a service with that network."""
    return {"model_root": small_root, "engine": "ncnn"}


@pytest.fixture(scope="session")
def small_server(
    tmp_path_factory: pytest.TempPathFactory, small_network: dict[str, object]
) -> Iterator[Server]:
    """As `server`, with that network."""
    with serving(tmp_path_factory.mktemp("server"), **SHARED, **small_network) as started:
        yield started


@pytest.fixture(scope="session")
def small_http(small_server: Server) -> Iterator[httpx.Client]:
    """A client of `small_server`."""
    with small_server.client() as client:
        yield client


@pytest.fixture
def start_small(tmp_path: Path, small_network: dict[str, object]) -> Iterator[Start]:
    """As `start_server`, with that network."""
    with running(tmp_path, **small_network) as start:
        yield start
