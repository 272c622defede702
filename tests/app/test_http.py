"""HTTP as simple clients, probes and old proxies speak it: HEAD, OPTIONS, half-closed, 1.0."""

import contextlib
import io
import re
import socket
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.app.sockets import connect, load, post, slug_in, to_the_end
from tests.conftest import Server, Start, serving
from tests.sample_photos import decoded, encoded, small

PHOTO = encoded(small("L"), "PNG")
GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = (
    b"POST /colorize HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(PHOTO), PHOTO)
)


@pytest.fixture(scope="module")
def keeping(
    tmp_path_factory: pytest.TempPathFactory, small_network: dict[str, object]
) -> Iterator[Server]:
    """A server that keeps jobs."""
    folder = tmp_path_factory.mktemp("keeping")
    with serving(folder, **small_network, jobs=folder / "jobs") as server:
        yield server


def half_closed(server: Server, sent: bytes) -> tuple[list[int], bytes]:
    """What a client is told that sends, closes its own side and reads: statuses, the last body."""
    with connect(server) as line:
        line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        told = to_the_end(line)
    statuses = [int(each) for each in re.findall(rb"HTTP/1\.1 (\d+) [A-Z]", told)]
    return [each for each in statuses if each >= 200], told.rpartition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (GET, [200]),
        (GET + GET, [200, 200]),
        (b"GET /healthz HTTP/1.0\r\n\r\n", [200]),
        (post("/colorize", PHOTO, "Content-Type: image/png"), [200]),
        (CHUNKED, [200]),
        (CHUNKED + post("/colorize", b"none", "Content-Type: image/png") + GET, [200, 415, 200]),
        (CHUNKED + GET[:9], [200]),
    ],
)
def test_a_client_that_closes_its_own_side_is_answered(
    small_server: Server, sent: bytes, statuses: list[int]
) -> None:
    assert half_closed(small_server, sent)[0] == statuses


@pytest.mark.parametrize(
    ("sent", "missing"),
    [
        (GET[:-2], "head"),
        (CHUNKED[:-9], "body"),
        (post("/colorize", PHOTO, length=len(PHOTO) + 1), "body"),
        (post("/colorize", PHOTO).replace(b"HTTP/1.1", b"HTTP/1.0"), "answer"),
    ],
)
def test_what_is_missing_when_a_client_closes_its_side_is_told(
    small_server: Server, sent: bytes, missing: str
) -> None:
    statuses, body = half_closed(small_server, sent)
    assert (statuses, slug_in(body)) == ([400], "malformed-request")
    assert missing in body.decode()


@pytest.mark.slow
@pytest.mark.parametrize(("at_once", "most"), [(1, 7), (3, 8)])
def test_what_nobody_waits_for_any_more_is_not_coloured(
    start_server: Start, at_once: int, most: int
) -> None:
    """A client that has left closes its side, too; with requests sent ahead, those go with it.

    Where so much is sent ahead that no more is read, it is seen to have left after its first photo.
    """
    server = start_server(engine_threads=1)  # works at one batch at a time
    server.wait_ready()
    larges = [encoded(small("L", (2000, 1500 + i)), "JPEG") for i in range(8 * at_once)]
    ahead = [post("/colorize", large, "Content-Type: image/jpeg") for large in larges]
    for first in range(0, len(ahead), at_once):
        with connect(server) as line:
            line.sendall(b"".join(ahead[first : first + at_once]))
    while load(server)["accepted"]:
        time.sleep(0.01)  # leave the core to the service
    held = "accepted", "memory_mb", "uploads_mb"
    for _ in range(1000):  # what a photo took is given back when its thread ends
        now = load(server)
        if not any(now[each] for each in held):
            break
    assert [now[each] for each in held] == [0, 0, 0]
    with server.client() as http:  # behind what was in work when its client left
        assert http.post("/colorize", files=[("file", PHOTO)]).status_code == 200
    assert load(server)["photos"] - 1 <= most
    assert "Traceback" not in server.log.read_text()


@pytest.mark.slow
def test_requests_that_are_sent_ahead_are_bounded(start_small: Start) -> None:
    """They are read, and had their place in memory, before the first is answered."""
    server = start_small()
    server.wait_ready()
    ahead = GET * 20_000
    before = memory_kb(server)
    with contextlib.ExitStack() as lines:
        for _ in range(20):
            line = lines.enter_context(connect(server, receive_buffer=4096))
            line.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                line.send(ahead)
        with server.client() as http:
            assert http.get("/healthz").status_code == 200
        assert memory_kb(server) - before < 60_000
    with connect(server) as line:
        line.sendall(GET * 30)
        line.shutdown(socket.SHUT_WR)
        assert to_the_end(line).count(b"HTTP/1.1 200 ") == 30
    with connect(server) as line:
        line.sendall(GET * 100)
        told = to_the_end(line)
    assert 30 < told.count(b"HTTP/1.1 200 ") < 100, "those that were taken are answered"
    assert told.lower().count(b"connection: close") == 1


def memory_kb(server: Server) -> int:
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@pytest.mark.slow
def test_whoever_listens_for_events_keeps_nobody_out(tmp_path: Path, start_small: Start) -> None:
    server = start_small(jobs=tmp_path / "jobs", max_connections=8)
    server.wait_ready()
    large = encoded(small("L", (3000, 2000)), "JPEG")
    with server.client() as http, contextlib.ExitStack() as lines:
        job = http.post("/jobs", files=[("file", large)] * 8).json()["self"]
        for _ in range(12):
            line = lines.enter_context(connect(server))
            line.sendall(f"GET {job}/events HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert line.recv(9) == b"HTTP/1.1 "
        assert "ended" not in http.get(job).json()
        assert http.delete(job).status_code == 200
        with http.stream("GET", f"{job}/events") as events:
            assert "event: end" in events.read().decode()


def test_a_target_may_name_the_host_as_proxies_are_asked(small_server: Server) -> None:
    with connect(small_server) as line:
        line.sendall(b"GET http://A:80/healthz HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n")
        assert to_the_end(line).startswith(b"HTTP/1.1 200 ")


def test_a_trailer_is_no_part_of_the_head(small_server: Server) -> None:
    """What looks at heads, a proxy perhaps, has not seen it."""
    sent = CHUNKED.replace(b"Host: a", b"Host: a\r\nConnection: close")
    with connect(small_server) as line:
        line.sendall(sent[:-2] + b"Accept: application/zip\r\n\r\n")
        assert b"content-type: image/png" in to_the_end(line).lower()


def test_a_refusal_reaches_who_sends_on_whatever_is_expected(small_server: Server) -> None:
    body = bytes(4_000_000)
    sent = post("/colorize", body, "Content-Type: text/plain", "Expect: tea", "Connection: close")
    with connect(small_server) as line:
        line.sendall(sent)
        assert b" 415 " in to_the_end(line)


def test_http_1_0_gets_no_chunks(small_server: Server) -> None:
    sent = post("/colorize", PHOTO, "Accept: application/zip", "Expect: 100-continue")
    with connect(small_server) as line:
        line.sendall(sent.replace(b"HTTP/1.1", b"HTTP/1.0"))
        head, _, body = to_the_end(line).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"transfer-encoding" not in head
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert decoded(archive.read("photo.png")).shape == (80, 120, 3)


@pytest.mark.slow
def test_head_is_get_without_the_body(keeping: Server) -> None:
    with keeping.client() as http:
        job = http.post("/jobs", files={"file": PHOTO}).json()["self"]
        paths = [
            path.replace("/jobs/{id}", job).format(
                slug="busy", number=0, name="colorizer", version=1
            )
            for path, operations in http.get("/openapi.json").json()["paths"].items()
            if "get" in operations
        ]
        with http.stream("GET", f"{job}/events") as events:
            assert list(events.iter_lines())
        assert {"/healthz", "/readyz", "/metrics", f"{job}/results", f"{job}/events"} < {*paths}
        for path in [*paths, "/", "/docs", "/page/index.html", "/nothing"]:
            got, asked = http.get(path), http.head(path)
            assert asked.status_code == got.status_code, path
            assert asked.content == b""
            of = "content-type", "content-disposition"
            assert [asked.headers.get(x) for x in of] == [got.headers.get(x) for x in of]


def test_head_of_a_jobs_events_does_not_wait_for_the_job(keeping: Server) -> None:
    with keeping.client() as http:
        large = encoded(small("L", (3000, 2000)), "JPEG")
        job = http.post("/jobs", files=[("file", large)] * 8).json()["self"]
        assert http.head(f"{job}/events").status_code == 200
        assert "ended" not in http.get(job).json()
        http.delete(job)


@pytest.mark.parametrize(
    ("path", "takes"),
    [
        ("/", {"GET", "HEAD"}),
        ("/healthz", {"GET", "HEAD"}),
        ("/colorize", {"POST"}),
        ("/jobs", {"GET", "HEAD", "POST"}),
        ("/jobs/any", {"GET", "HEAD", "DELETE"}),
    ],
)
def test_what_a_path_takes_is_told_whole(
    small_http: httpx.Client, path: str, takes: set[str]
) -> None:
    asked, refused = small_http.options(path), small_http.put(path)
    assert (asked.status_code, refused.status_code) == (204, 405)
    for answer in (asked, refused):
        assert set(answer.headers["allow"].split(", ")) == takes | {"OPTIONS"}


def test_options_of_what_is_not_there_and_of_the_server(
    small_server: Server, small_http: httpx.Client
) -> None:
    assert small_http.options("/nothing").status_code == 404
    with connect(small_server) as line:  # as load balancers ask
        line.sendall(b"OPTIONS * HTTP/1.0\r\n\r\n")
        assert to_the_end(line).startswith(b"HTTP/1.1 204 ")


def test_what_is_wrong_with_a_line_is_told(small_server: Server) -> None:
    with connect(small_server) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n")
        told = slug_in(body := to_the_end(line).partition(b"\r\n\r\n")[2])
    assert (told, b"header" in body.lower()) == ("malformed-request", True)
