"""Starting, being ready, failing to start, and ending."""

import asyncio
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from PIL import Image

from app.__main__ import _listen
from app.settings import Settings
from chromaserve.engines.ncnn_engine import FOLDER, WEIGHTS
from tests.app.sockets import connect, load, post, to_the_end
from tests.conftest import START_S, STOP_S, Server, Start
from tests.sample_photos import decoded, encoded, noise, raw


def test_alive_at_once_and_ready_when_warm(start_server: Start) -> None:
    server = start_server()
    server.wait_for("/healthz")
    with server.client() as http_:
        early = http_.get("/readyz")
        photo = http_.post("/colorize", files={"file": raw("camera.png")})
        if early.status_code != 200:  # it is while TensorFlow is imported, for seconds
            assert early.status_code == 503
            assert early.headers["content-type"] == "application/problem+json"
            assert int(early.headers["retry-after"]) > 0
        assert photo.status_code in (200, 503)
        server.wait_ready()
        ready = http_.get("/readyz").json()
        assert ready["status"] == "ready"
        assert ready["device"].startswith(("CPU", "GPU"))
        assert ready["device"] in server.log.read_text()
        listed = http_.get("/models").json()
        assert listed["device"] == ready["device"]
        [default] = [model for model in listed["models"] if model["default"]]
        assert default["loaded"]
        assert default["version"] == ready["model_version"]
        assert "metrics" in default
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("127.0.0.1", None, "is taken; try another"),
        ("192.0.2.1", 8000, "192.0.2.1 is no address of this machine"),  # RFC 5737
        ("nowhere.invalid", 8000, "nowhere.invalid is no address of this machine"),
    ],
)
def test_a_port_that_cannot_be_had_is_told_before_anything_is_loaded(
    host: str, port: int | None, words: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "app"],
            env=os.environ | {"CHROMASERVE_HOST": host, "CHROMASERVE_PORT": str(port or taken)},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 6
    assert words in done.stderr.splitlines()[-1]
    assert (port is None) == (f"make serve PORT={taken + 1}" in done.stderr)
    assert "fastapi" not in done.stderr
    assert not done.stdout


def test_of_a_hosts_addresses_those_that_there_are_have_one_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of localhost, where its name stands for ::1 too and the machine has no IPv6."""
    names = ("192.0.2.1", "127.0.0.1", "127.0.0.2")
    told = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (name, 0)) for name in names]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: told)
    with ExitStack() as opened:
        sockets = [opened.enter_context(each) for each in _listen("localhost", 0)]
        port = sockets[0].getsockname()[1]
        assert [each.getsockname() for each in sockets] == [(name, port) for name in names[1:]]


def test_sigterm_finishes_what_was_accepted(start_small: Start) -> None:
    server = start_small()
    server.wait_ready()
    large, small = encoded(Image.new("L", (3000, 2000), 120), "PNG"), raw("camera.png")
    # A request whose body is half sent when the signal comes.
    line = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)
    line.putrequest("POST", "/colorize")
    line.putheader("Content-Type", "image/png")
    line.putheader("Content-Length", str(len(small)))
    line.endheaders()
    line.send(small[:1000])

    async def scenario() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
            work = [
                asyncio.create_task(client.post("/colorize", files={"file": large}))
                for _ in range(6)
            ]
            while (await client.get("/models")).json()["load"]["accepted"] < 6:
                pass
            server.process.send_signal(signal.SIGTERM)
            return await asyncio.gather(*work)

    answers = asyncio.run(scenario())
    assert [response.status_code for response in answers] == [200] * 6
    assert all(decoded(response.content).shape == (2000, 3000, 3) for response in answers)
    line.send(small[1000:])
    late = line.getresponse()
    assert late.status == 200
    assert late.getheader("connection") == "close"
    assert decoded(late.read()).shape == (512, 512, 3)
    assert server.process.wait(STOP_S) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signals", "timeout_s"), [([signal.SIGTERM], 1), ([signal.SIGINT] * 2, 60)]
)
def test_what_an_end_breaks_off_is_told_in_a_line_each(
    start_small: Start, signals: list[signal.Signals], timeout_s: int
) -> None:
    server = start_small(shutdown_timeout_s=timeout_s)
    server.wait_ready()
    request = httpx.Request("POST", server.url, files=[("file", noise(600))] * 8)
    kind = f"Content-Type: {request.headers['content-type']}"
    with connect(server, 4096) as begun, connect(server) as waiting:
        begun.sendall(post("/colorize", request.read(), kind))
        assert b" 200 " in begun.recv(100)  # and no more is taken of it
        waiting.sendall(post("/colorize", b"\x89PNG", "Content-Type: image/png", length=1000))
        while load(server)["uploads_mb"] == 0:
            pass
        for number in signals:
            server.process.send_signal(number)
            while "Shutting down" not in server.log.read_text():
                pass
        server.process.wait(STOP_S)
        assert b" 503 " in (told := to_the_end(waiting))
        assert b"/problems/not-ready" in told
        assert not to_the_end(begun).endswith(b"0\r\n\r\n")
    log = server.log.read_text()
    assert "Traceback" not in log
    assert sorted(re.findall(r"POST /colorize (.+) in", log)) == ["500", "503 not-ready"]
    assert ("broken off" in log) == (len(signals) == 2)


def broken(tmp_path: Path, model_root: Path) -> Path:
    """A copy of the store whose newest version has one byte changed."""
    root = tmp_path / "store"
    shutil.copytree(model_root, root)
    newest = max((p for p in (root / "colorizer").iterdir() if p.name.isdecimal()),
                 key=lambda p: int(p.name))  # fmt: skip
    data = newest / FOLDER / WEIGHTS
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    return root


def ends_with(server: Server) -> tuple[int, str]:
    status = server.process.wait(START_S)
    return status, server.log.read_text().strip().splitlines()[-1]


def test_a_damaged_model_is_not_served(
    start_small: Start, tmp_path: Path, small_root: Path
) -> None:
    status, last = ends_with(start_small(model_root=broken(tmp_path, small_root)))
    assert status == 5
    assert last.startswith("chromaserve: cannot serve: ")
    assert "has changed" in last


def test_a_missing_version_ends_the_start(start_small: Start) -> None:
    status, last = ends_with(start_small(model_version="4711"))
    assert status == 5
    assert "4711" in last


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_batch": "0"}, "CHROMASERVE_MAX_BATCH: "),
        (
            {"max_photos": 9, "max_queue": 8},
            "settings: CHROMASERVE_MAX_PHOTOS must not exceed CHROMASERVE_MAX_QUEUE",
        ),
        (
            {"max_upload_mb": 64, "max_memory_mb": 256},
            "MAX_MEMORY_MB=256 must be at least eight times CHROMASERVE_MAX_UPLOAD_MB=64",
        ),
    ],
)
def test_settings_that_make_no_sense_are_named(
    start_small: Start, settings: dict[str, object], words: str
) -> None:
    status, last = ends_with(start_small(**settings))
    assert status == 2
    assert words in last


@pytest.mark.slow
def test_other_versions_are_loaded_on_request(
    start_small: Start, tmp_path: Path, small_root: Path
) -> None:
    root = tmp_path / "store"
    shutil.copytree(small_root, root)
    versions = sorted(int(p.name) for p in (root / "colorizer").iterdir() if p.name.isdecimal())
    newest = versions[-1] + 1
    shutil.copytree(root / "colorizer" / str(versions[-1]), root / "colorizer" / str(newest))
    description = root / "colorizer" / str(newest) / "model.json"
    fields = json.loads(description.read_text())
    description.write_text(json.dumps(fields | {"version": newest}))
    server = start_small(model_root=root, model_version=versions[-1])
    server.wait_ready()
    photo = {"file": raw("camera.png")}
    ready = f"/v2/models/colorizer/versions/{newest}/ready"
    with server.client() as client:
        early = client.get(ready)
        assert early.status_code == 503
        assert "loaded by the first request for it" in early.json()["detail"]
        default = client.post("/colorize", files=photo)
        assert default.headers["x-model-version"] == str(versions[-1])
        for asked in (str(newest), "latest"):
            other = client.post("/colorize", files=photo, data={"model": asked})
            assert other.headers["x-model-version"] == str(newest)
        assert client.get(ready).status_code == 200
        missing = client.post("/colorize", files=photo, data={"model": str(newest + 1)})
        assert missing.status_code == 404
        assert str(newest) in missing.json()["detail"]
        loaded = {m["version"]: m["loaded"] for m in client.get("/models").json()["models"]}
        assert loaded[newest]
        assert loaded[versions[-1]]


def test_the_documentation_describes_uploads_and_problems(small_http: httpx.Client) -> None:
    assert small_http.get("/docs").status_code == 200
    document = small_http.get("/openapi.json").json()
    operation = document["paths"]["/colorize"]["post"]
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert form["file"]["items"] == {"type": "string", "format": "binary"}
    options = {
        "vividness",
        "postprocess",
        "hints",
        "deadline_s",
        "model",
        "format",
        "quality",
        "metadata",
        "pages",
        "damaged",
        "colour",
        "proposal",
        "proposals",
        "page",
        "confidence",
        "look",
        "album",
    }
    assert form.keys() == {"file", "reference"}  # options once
    assert {p["name"] for p in operation["parameters"]} == options
    for status in ("400", "404", "406", "413", "415", "422", "500", "503"):
        content = operation["responses"][status]["content"]
        assert list(content) == ["application/problem+json"]
    assert "Problem" in document["components"]["schemas"]


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMASERVE_MAX_PIXELS", "1000")
    monkeypatch.setenv("CHROMASERVE_DEVICE", "cpu")
    settings = Settings()
    assert (settings.max_pixels, settings.device) == (1000, "cpu")


@pytest.mark.slow
def test_a_body_of_no_known_length_does_not_keep_the_service_from_ending(
    start_small: Start,
) -> None:
    server = start_small(shutdown_timeout_s=2)
    server.wait_ready()
    host, port = server.url.removeprefix("http://").split(":")
    head = b"POST /colorize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as line:
        line.sendall(head + b"5\r\nphoto\r\n")
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(6)  # two seconds, and a second of grace


@pytest.mark.slow
def test_the_port_that_was_picked_is_told(start_small: Start) -> None:
    server = start_small(port=0)
    while "Try:  curl" not in server.log.read_text():
        assert server.process.poll() is None
    server.url = server.log.read_text().split("starting on ")[1].split()[0]
    server.wait_ready()
    assert server.stop() == 0


def test_a_service_whose_output_is_closed_serves_and_ends_well(start_small: Start) -> None:
    closing = "import os, runpy; [os.close(n) for n in range(3)]"
    server = start_small(["-c", f"{closing}; runpy.run_module('app', None, '__main__')"])
    server.wait_ready()
    with server.client() as http_:
        assert http_.post("/colorize", content=raw("camera.png")).status_code == 200
    assert server.stop() == 0
