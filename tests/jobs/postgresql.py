"""A real PostgreSQL server of a test's own, where its programs are installed."""

import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import free_port

_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def _program(name: str) -> str | None:
    places = [str(place / name) for place in _PLACES if (place / name).exists()]
    return places[0] if places else shutil.which(name)


@contextmanager
def postgresql() -> Iterator[str]:
    """Its address; the test is left out where there is no PostgreSQL, or no psycopg."""
    initdb, server = _program("initdb"), _program("postgres")
    if not initdb or not server or not find_spec("psycopg"):
        pytest.skip("PostgreSQL and psycopg are not installed")
    # It refuses to run as root, and nobody else may enter pytest's own folders.
    user = "nobody" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory() as folder:
        if user:
            shutil.chown(folder, user)
        with _running(initdb, server, Path(folder) / "data", user) as address:
            yield address


@contextmanager
def _running(initdb: str, server: str, data: Path, user: str | None) -> Iterator[str]:
    port = free_port()
    subprocess.run(
        [initdb, "-D", data, "-A", "trust", "-U", "tests", "-E", "UTF8"],
        user=user, cwd="/", check=True, capture_output=True,
    )  # fmt: skip
    process = subprocess.Popen(
        [server, "-D", data, "-p", str(port), "-k", data, "-h", "127.0.0.1"],
        user=user, cwd="/", stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr
    try:
        for line in process.stderr:
            if "ready to accept connections" in line:
                break
        yield f"postgresql://tests@127.0.0.1:{port}/postgres"
    finally:
        process.send_signal(signal.SIGINT)  # it does not wait for its clients then
        process.communicate(timeout=60)


class Line:
    """What lies between a service and its PostgreSQL, and can break."""

    def __init__(self, address: str) -> None:
        self._server = urlsplit(address)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        port = self._listener.getsockname()[1]
        self.address = address.replace(f":{self._server.port}", f":{port}")
        self.broken = False
        """Whether nobody gets through; who is through already is cut by `cut`."""
        self.loses_acceptance = False
        """Whether the next job is accepted, and the service is not told: the line breaks."""

    def run(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                client, _ = self._listener.accept()
                if self.broken:
                    client.close()
                else:
                    threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def cut(self) -> None:
        self.broken = True
        for each in list(self._open):
            each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _carry(self, client: socket.socket) -> None:
        accepting = lost = False
        with client, socket.create_connection((self._server.hostname, self._server.port)) as server:
            self._open.add(client)
            with suppress(OSError, EOFError):
                while not lost:
                    for end in select.select([client, server], [], [])[0]:
                        if not (data := end.recv(2**16)):
                            raise EOFError
                        if end is client:
                            server.sendall(data)
                            accepting |= b"INSERT INTO job" in data
                            if accepting and b"COMMIT" in data and self.loses_acceptance:
                                lost = bool(server.recv(1))
                                self.loses_acceptance = False
                        elif not lost:
                            client.sendall(data)
            self._open.discard(client)


@contextmanager
def breakable() -> Iterator[Line]:
    """A line to a server of a test's own."""
    with postgresql() as address:
        line = Line(address)
        threading.Thread(target=line.run, daemon=True).start()
        try:
            yield line
        finally:
            line.close()
