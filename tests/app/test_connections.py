"""Connections that are silent, slow, ambiguous or too many: bounded, and nobody else's trouble."""

import contextlib
import re
import resource
import socket
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.responses import Sink
from tests.app.sockets import asked, connect, load, post, slug_in, to_the_end
from tests.conftest import Server, Start, serving
from tests.hurried import HURRIED
from tests.sample_photos import encoded, small

PHOTO = encoded(small("L"), "PNG")


@pytest.fixture(scope="module")
def strict(
    tmp_path_factory: pytest.TempPathFactory, small_network: dict[str, object]
) -> Iterator[Server]:
    """A server of short patience."""
    with serving(
        tmp_path_factory.mktemp("strict"),
        HURRIED,
        **small_network,
        head_timeout_s=1,
        upload_timeout_s=1,
        send_timeout_s=1,
        max_uploads=4,
        max_upload_mb=8,
        max_memory_mb=256,
        max_connections=40,
    ) as server:
        yield server


def colorizes(server: Server) -> int:
    with server.client(30) as http:
        return http.post("/colorize", files={"file": PHOTO}).status_code


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "status", "slug"),
    [
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "malformed-request"),
        ("GET / HTTP/1.1\r\n\r\n", 400, "malformed-request"),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "malformed-request"),
        ("GET / HTTP/1.1\r\nHost: x@a\r\n\r\n", 400, "malformed-request"),
        ("GET http://b/healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed-request"),
        ("GET http://x@a/healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400, "malformed-request"),
        (
            "POST /colorize HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "malformed-request",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            400,
            "malformed-request",
        ),
        (
            "POST /colorize HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            501,
            "unsupported-transfer",
        ),
        ("nonsense\r\n\r\n", 400, "malformed-request"),
        ("GET / HTTP/1.1\r\nHost: a\r\n" + "x: y\r\n" * 200 + "\r\n", 431, "head-too-large"),
        (f"GET /{'a' * 20_000} HTTP/1.1\r\nHost: a\r\n\r\n", 431, "head-too-large"),
        (f"GET / HTTP/1.1\r\nHost: a\r\nx: {'a' * 70_000}\r\n\r\n", 431, "head-too-large"),
        (f"GET / HTTP/1.1\r\nHost: a\r\nx: {'a' * 2_000_000}", 431, "head-too-large"),
        ("GET / HTTP/1.1\r\nHost: a\r\nx: ", 408, "head-timeout"),
    ],
)
def test_heads_that_no_two_programs_read_alike_are_refused(
    strict: Server, head: str, status: int, slug: str
) -> None:
    got, body = asked(strict, head.encode(), within_s=5)
    assert (got, slug_in(body)) == (status, slug)
    explained = httpx.get(f"{strict.url}/problems/{slug}")
    assert explained.json()["status"] == status


def test_a_trailer_is_bounded_as_a_head_is(strict: Server) -> None:
    head = post("/v2/repository/index", b"", "X: y").split(b"Content-Length")[0]
    with connect(strict) as line:
        line.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                line.sendall(b"a" * 10_000)
        to_the_end(line, 5)


@pytest.mark.slow
def test_silent_connections_are_closed(strict: Server) -> None:
    with connect(strict) as silent:
        assert to_the_end(silent, 5) == b""
    with connect(strict) as kept:  # answered once, then half a head
        kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = b""
        while b"alive" not in answer:
            answer += kept.recv(1 << 16)
        kept.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert b" 408 " in to_the_end(kept, 5)


def test_more_connections_than_there_are_places_keep_nobody_out(strict: Server) -> None:
    with contextlib.ExitStack() as lines:
        for i in range(150):
            line = lines.enter_context(connect(strict))
            with contextlib.suppress(ConnectionError):
                line.sendall(b"GET / HTTP/1.1\r\nHost:" if i % 2 else b"")
            if i % 30 == 0:
                assert colorizes(strict) == 200
        assert colorizes(strict) == 200


def test_answers_whose_bodies_never_come_keep_nobody_out(strict: Server) -> None:
    with contextlib.ExitStack() as lines:
        for _ in range(60):
            line = lines.enter_context(connect(strict))
            line.sendall(post("/colorize", b"", "Content-Type: text/plain", length=100_000))
            with contextlib.suppress(ConnectionError):
                assert b" 4" in line.recv(100)
        assert httpx.get(f"{strict.url}/healthz").status_code == 200


@pytest.mark.slow
def test_more_connections_than_file_descriptors_keep_nobody_out(start_small: Start) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    server = start_small()
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (256, 256))
    server.wait_ready()
    before = server.log.stat().st_size
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 1024)), hard))
    try:
        with contextlib.ExitStack() as lines:
            for _ in range(400):
                lines.enter_context(connect(server))
            assert httpx.get(f"{server.url}/healthz", timeout=10).status_code == 200
            assert colorizes(server) == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert server.log.stat().st_size - before < 20_000
    assert "Too many open files" not in server.log.read_text()


@pytest.mark.slow
def test_slow_uploads_keep_nobody_out_and_are_ended(strict: Server) -> None:
    with contextlib.ExitStack() as lines:
        slow = [lines.enter_context(connect(strict)) for _ in range(12)]
        for line in slow:  # three times as many as there are places, all announcing the most
            line.sendall(post("/colorize", b"\x89PNG", "Content-Type: image/png", length=8_000_000))
        for _ in range(3):
            assert colorizes(strict) == 200
        assert load(strict)["uploads_mb"] < 1
        for line in slow:
            status = to_the_end(line, 15).split(b" ")[1]
            assert status in (b"408", b"503")
    assert load(strict)["uploads_mb"] == 0


def test_an_upload_that_trickles_is_ended(strict: Server) -> None:
    began = time.monotonic()
    with connect(strict) as line:
        line.sendall(post("/colorize", b"\x89PNG", "Content-Type: image/png", length=8_000_000))
        line.settimeout(0.2)
        answer = b""
        while b"upload-stalled" not in answer and time.monotonic() - began < 20:
            with contextlib.suppress(TimeoutError, ConnectionError):
                answer += line.recv(1 << 16)
            with contextlib.suppress(ConnectionError):
                line.send(b"\0")  # never silent for as long as upload_timeout_s
    assert b" 408 " in answer
    assert b"upload-stalled" in answer


@pytest.mark.slow
def test_bodies_that_routes_read_whole_are_bounded_before_they_are_read(strict: Server) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    head = post("/v2/repository/index", b"").split(b"Content-Length")[0]
    status_kb = int(_status(strict, "VmRSS"))
    with connect(strict) as line:
        line.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(3200):  # 200 MiB
                line.sendall(chunk)
        with contextlib.suppress(ConnectionError):
            line.shutdown(socket.SHUT_WR)
        answer = to_the_end(line, 20)
    assert b" 413 " in answer or not answer  # cut off while it still sends
    assert int(_status(strict, "VmRSS")) - status_kb < 50_000
    assert asked(strict, post("/v2/repository/index", b"[1]", "Connection: close"))[0] == 400
    said = asked(strict, post("/v2/repository/index", b" " * 100_000, "Connection: close"))
    assert (said[0], slug_in(said[1])) == (413, "body-too-large")


def _status(server: Server, name: str) -> str:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(name))


@pytest.mark.parametrize("chunked", [True, False])
def test_a_request_that_asks_for_another_protocol_is_answered_in_this_one(
    strict: Server, chunked: bool
) -> None:
    """Java's client and `curl --http2` send such; their body is no request of its own."""
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    hops = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk"
    coding = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(smuggled)}"
    head = f"POST /colorize HTTP/1.1\r\nHost: a\r\n{hops}\r\nContent-Type: image/png\r\n{coding}"
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(smuggled), smuggled) if chunked else smuggled
    last = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    whole = head.encode() + b"\r\n\r\n" + body + last
    for at in (len(whole), len(head) + 2, len(head) + 4, len(head) + 9):
        with connect(strict) as line:
            line.sendall(whole[:at])
            line.sendall(whole[at:])
            answers = to_the_end(line, 10)
        assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"415", b"200"]
        assert b"unsupported-format" in answers
    assert "smuggled" not in strict.log.read_text()


def test_a_body_that_breaks_off_in_nonsense_is_answered(strict: Server) -> None:
    head = post("/colorize", b"", "Content-Type: image/png").split(b"Content-Length")[0]
    head += b"Content-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    status, body = asked(strict, head + b"2\r\n\x89P\r\nzz\r\n", within_s=5)
    assert (status, slug_in(body)) == (400, "malformed-request")
    assert colorizes(strict) == 200


def test_a_zip_that_is_given_up_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client has left, and the garbage collector closes what it is written to first."""
    said: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    sink = Sink()
    archive = zipfile.ZipFile(sink, "w")
    archive.writestr("a.png", PHOTO)
    sink.close()
    del archive
    assert not said
