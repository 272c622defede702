"""What the command says where no service answers, or a package is missing."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chromaserve.command_line.main import command
from tests.command_line.command import PROGRAM, environment, said


@pytest.fixture
def another(tmp_path: Path) -> Iterator[str]:
    """A web server that is no colorization service."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_web_server_that_is_no_service_is_named(another: str) -> None:
    done = CliRunner().invoke(command, ["models", "--url", another])
    assert done.exit_code == 4
    assert f"chromaserve: {another} answered " in done.stderr
    assert "404" in done.stderr


def test_a_package_that_is_missing_is_named() -> None:
    lacking = "import sys; sys.modules['httpx'] = None"
    done = subprocess.run(
        [sys.executable, "-c", lacking + PROGRAM, "models", "--url", "127.0.0.1:9"],
        capture_output=True, env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert said(done).startswith("chromaserve: a package is missing: ")
    assert "httpx" in said(done)
