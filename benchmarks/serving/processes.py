"""A server with all its processes: start, memory and CPU time of the whole tree, end.

Processes are known by a variable in their environment, which descendants inherit: some servers
start daemons of their own, which leave the process group and the tree.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.serving.photos import ROOT

MARK = "CHROMASERVE_BENCHMARK"
TERM_S = 15.0
INTERVAL_S = 1.0


class Tree:
    """The marked processes; a thread looks at them once a second while they are not paused."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._known: dict[tuple[int, float], bool] = {}
        self._cpu_s: dict[tuple[int, float], float] = {}
        self._peak = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._awake = threading.Event()
        self._awake.set()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def cpu_s(self) -> float:
        """CPU seconds, user and system, of all of them so far, those that have ended too."""
        self._look(memory=False)
        with self._lock:
            return sum(self._cpu_s.values())

    def peak_mb(self) -> float:
        """Most memory since the last call, in MiB: proportional set sizes added up."""
        self._look(memory=True)
        with self._lock:
            peak, self._peak = self._peak, 0
        return peak / 2**20

    def processes(self) -> list[psutil.Process]:
        """Those that live."""
        return [process for process in psutil.process_iter() if self._is_mine(process)]

    def pause(self) -> None:
        """Stop them all where they are: they take no processor until `go_on`."""
        self._awake.clear()
        while running := [p for p in self.processes() if p.status() != psutil.STATUS_STOPPED]:
            self._signal(running, signal.SIGSTOP)

    def go_on(self) -> None:
        """Undo `pause`."""
        self._signal(self.processes(), signal.SIGCONT)
        self._awake.set()

    @staticmethod
    def _signal(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def close(self) -> None:
        """Stop looking."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(INTERVAL_S):
            if self._awake.is_set():
                self._look(memory=True)

    def _look(self, *, memory: bool) -> None:
        total = 0
        for process in self.processes():
            try:
                times = process.cpu_times()
                with self._lock:
                    self._cpu_s[_key(process)] = times.user + times.system
                if memory:
                    total += process.memory_full_info().pss
            except psutil.Error:
                continue
        with self._lock:
            self._peak = max(self._peak, total)

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            key = _key(process)
            # A child has its parent's environment until it becomes another program, and keeps it.
            if key not in self._known:
                self._known[key] = process.environ().get(MARK) == self._mark
            return self._known[key] and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):
            return False


def _key(process: psutil.Process) -> tuple[int, float]:
    return process.pid, process.create_time()


@contextmanager
def running(
    words: Sequence[str], environment: Mapping[str, str], log: Path
) -> Iterator[tuple["subprocess.Popen[bytes]", Tree]]:
    """Start a server; at the end SIGTERM, then SIGKILL to whatever of it is left."""
    mark = uuid.uuid4().hex
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench", ignore_cleanup_errors=True) as folder:
        own = {MARK: mark, "TMPDIR": folder, "RAY_TMPDIR": folder, "BENTOML_HOME": folder}
        with log.open("wb") as output:
            process = subprocess.Popen(
                words, env=os.environ | environment | own, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        tree = Tree(mark)
        try:
            yield process, tree
        finally:
            tree.close()
            tree.go_on()
            process.send_signal(signal.SIGTERM)
            until = time.monotonic() + TERM_S
            while tree.processes() and time.monotonic() < until:
                process.poll()
                time.sleep(0.2)
            for left in tree.processes():
                left.kill()
            process.wait()


@dataclass(frozen=True)
class Service:
    """A service that is ready: its address, a client of it, its process, and all its processes."""

    url: str
    http: httpx.Client
    process: "subprocess.Popen[bytes]"
    tree: Tree
    log: Path


@contextmanager
def service(folder: Path, *, timeout_s: float = 120, **settings: object) -> Iterator[Service]:
    """Start the service on a free port; settings are named as in the environment, in lower case."""
    port = free_port()
    given = {"port": port, "log_level": "warning"} | settings
    environment = {f"CHROMASERVE_{name.upper()}": str(value) for name, value in given.items()}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *sys.path])
    words, log = [sys.executable, "-m", "app"], folder / f"server-{port}.log"
    url = f"http://127.0.0.1:{port}"
    with (
        running(words, environment, log) as (process, tree),
        httpx.Client(base_url=url, timeout=timeout_s) as http,
    ):
        while process.poll() is None:
            with suppress(httpx.TransportError):
                if http.get("/readyz").is_success:
                    break
            time.sleep(0.1)
        else:
            raise SystemExit("The service did not start.")
        yield Service(url, http, process, tree, log)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
