"""A real PostgreSQL server of a test's own, where its programs are installed."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

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
