"""A server whose answers have no end, or nearly, fills no client's memory."""

import gzip
import io
import json
import struct
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat

import pytest

from chromaserve import AnswerTooLarge, Client, ProblemError, Result, Unreachable
from chromaserve.photos.names import ZIP_FIELD

PIECE = bytes(2**16).replace(b"\0", b" ")
ALL = 96 * 2**20
"""Bytes after which even what is called endless ends here."""
SOON = 40 * 2**20
"""Of which so many at most are on their way when the client leaves."""
JOB = {
    **{"id": "a", "state": "working", "photos": 1, "done": 0, "failed": 0},
    "created": "2026-01-01T00:00:00Z",
}


OF_RESULTS = ("image/png", "text/plain")
"""Types of what a result is answered with, whose events are in order."""


class Told:
    """What is answered to everything but a job's status, and how much of it was taken."""

    def __init__(self) -> None:
        self.status, self.headers = 200, dict[str, str]()
        self.pieces: Iterator[bytes] = iter(())
        self.sent = 0
        self.over, self.speaks = threading.Event(), threading.Event()
        self.speaks.set()

    def answers(
        self,
        media_type: str,
        pieces: Iterator[bytes],
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.headers = {"Content-Type": media_type, **(headers or {})}
        self.pieces, self.status = pieces, status


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def client(told: Told) -> Iterator[Client]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.path == "/jobs/a":
                told.speaks.wait(60)
                self._head(200, {"Content-Type": "application/json"})
                self.wfile.write(json.dumps(JOB).encode())
                return
            if self.path == "/jobs/a/events" and told.headers["Content-Type"] in OF_RESULTS:
                entry = {"index": 0, "input": "a", "output": "a.png", "media_type": "image/png"}
                self._head(200, {"Content-Type": "text/event-stream"})
                self.wfile.write(f"event: photo\nid: 1\ndata: {json.dumps(entry)}\n\n".encode())
                return
            pieces = told.pieces  # those of the next answer may be told once the head is there
            self._head(told.status, told.headers)
            try:
                for piece in pieces:
                    self.wfile.write(piece)
                    told.sent += len(piece)
                    if told.sent >= ALL:
                        break
            except OSError:
                pass  # the client has left
            told.over.set()

        def do_POST(self) -> None:
            self.do_GET()

        def _head(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for each in headers.items():
                self.send_header(*each)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        with Client(f"http://127.0.0.1:{server.server_port}", retries=1, max_result_mb=1) as client:
            yield client
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def entry(name: str, size: int, content: bytes, page: str = "") -> bytes:
    """An entry of a ZIP (APPNOTE 4.3.7) that says that it has so many bytes."""
    extra = b""
    if page:
        said = json.dumps({"page": page}).encode()
        extra = struct.pack("<HH", ZIP_FIELD, len(said)) + said
    sizes = struct.pack("<IIIHH", zlib.crc32(content), size, size, len(name), len(extra))
    head = b"PK\3\4" + struct.pack("<5H", 10, 0, 0, 0, 0) + sizes
    return head + name.encode() + extra + content


@pytest.mark.parametrize("status", [503, 500, 404])
def test_an_error_without_end_is_the_error_all_the_same(
    client: Client, told: Told, status: int
) -> None:
    told.answers("application/problem+json", chain([b'{"title": "'], repeat(PIECE)), status)
    with pytest.raises(ProblemError) as caught:
        client.colorize(b"photo")
    assert caught.value.status == status
    assert told.over.wait(60)
    assert told.sent < SOON


@pytest.mark.parametrize(
    "ask",
    [Client.models, Client.info, Client.jobs, lambda client: client.submit([b"photo"])],
    ids=["models", "info", "jobs", "submit"],
)
def test_json_without_end(client: Client, told: Told, ask: object) -> None:
    assert callable(ask)
    told.answers("application/json", chain([b"{"], repeat(PIECE)))
    with pytest.raises(AnswerTooLarge, match="16 MiB"):
        ask(client)
    assert told.over.wait(60)
    assert told.sent < SOON


@pytest.mark.slow
def test_json_that_is_small_as_it_comes_and_large_unpacked(client: Client, told: Told) -> None:
    packed = gzip.compress(b"{" + bytes(ALL).replace(b"\0", b" ") + b"}")
    assert len(packed) < 2**20
    told.answers("application/json", iter([packed]), headers={"Content-Encoding": "gzip"})
    with pytest.raises(AnswerTooLarge):
        client.models()
    told.answers(
        "application/json", iter([gzip.compress(b"{}")]), headers={"Content-Encoding": "gzip"}
    )
    assert client.models() == {}


def test_json_that_is_deeper_than_python_goes(client: Client, told: Told) -> None:
    told.answers("application/json", iter([b"[" * 2**20]))
    with pytest.raises(ProblemError):
        client.models()
    told.answers("application/problem+json", iter([b"[" * 2**20]), 422)
    with pytest.raises(ProblemError, match="422"):
        client.colorize(b"photo")


def test_a_result_without_end_and_one_that_says_that_it_is_too_large(
    client: Client, told: Told
) -> None:
    told.answers("image/png", repeat(PIECE))
    with pytest.raises(AnswerTooLarge, match="max_result_mb"):
        client.colorize(b"photo")
    assert told.over.wait(60)
    assert told.sent < SOON
    # Refused by its head: its body never comes.
    told.answers("image/png", iter(()), headers={"Content-Length": str(2**40)})
    with pytest.raises(AnswerTooLarge):
        client.colorize(b"photo")
    told.answers("image/png", iter([bytes(2**20)]))
    assert len(client.colorize(b"photo").data) == 2**20, "as many as are taken"


@pytest.mark.parametrize(
    "pieces",
    [
        chain([entry("0-a.png", 2**31, b"")], repeat(PIECE)),
        (entry(f"{n}-a.png", 2**16, PIECE) for n in range(1, 10**6)),
        (entry(f"0-a-page-{n}.png", 2**16, PIECE, f"{n} of 9") for n in range(2, 10**6)),
        chain([entry("manifest.json", 2**30, b"")], repeat(PIECE)),
    ],
    ids=["entry", "photos that were not sent", "pages", "manifest"],
)
def test_a_zip_without_end(client: Client, told: Told, pieces: Iterator[bytes]) -> None:
    told.answers("application/zip", pieces)
    with pytest.raises((AnswerTooLarge, Unreachable)):
        list(client.colorize_many([b"photo"], pages="all"))
    assert told.over.wait(60)
    assert told.sent < SOON


def test_events_and_results_of_a_job_without_end(client: Client, told: Told) -> None:
    endless = chain([b"event: photo\ndata: "], repeat(PIECE))
    many = chain([b"event: photo\n"], repeat(b"data: " + PIECE + b"\n"))
    for pieces in (endless, many):
        told.over.clear()
        told.sent = 0
        told.answers("text/event-stream", pieces)
        with pytest.raises(AnswerTooLarge):
            list(client.job("a").results())
        assert told.over.wait(60)
        assert told.sent < SOON
    told.answers("image/png", repeat(PIECE))
    told.sent = 0
    with pytest.raises(AnswerTooLarge):
        next(client.job("a").results())
    told.answers("image/png", iter([b"small"]))
    found = next(client.job("a").results()).outcome
    assert isinstance(found, Result)
    assert found.data == b"small"


def test_what_is_answered_by_others_is_no_job_s(client: Client, told: Told) -> None:
    for media_type in ("text/html", "text/plain"):  # for its events, for a result
        told.answers(media_type, iter([b"Sign in first"]))
        with pytest.raises(ProblemError, match="200 OK: Sign in first"):
            list(client.job("a").results())


def test_a_job_is_waited_for_as_long_as_is_said(client: Client, told: Told) -> None:
    job, begun = client.job("a"), time.monotonic()
    with pytest.raises(TimeoutError, match=r"0\.6 s"):
        job.wait(0.6)
    assert time.monotonic() - begun >= 0.6
    told.speaks.clear()  # it hangs
    begun = time.monotonic()
    try:
        with pytest.raises(TimeoutError):
            job.wait(0.6)
        assert time.monotonic() - begun < 30
    finally:
        told.speaks.set()


def test_a_zip_that_was_zipped_by_others_is_read_as_before(client: Client, told: Told) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("0-photo.png", b"result")
        archive.writestr("manifest.json", json.dumps({"photos": [{"input": "0-photo"}]}))
    told.answers("application/zip", iter([made.getvalue()]))
    [each] = client.colorize_many([b"photo"])
    assert isinstance(each.outcome, Result)
    assert each.outcome.data == b"result"


def test_room_for_no_result_is_told() -> None:
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="max_result_mb"):
            Client("http://localhost", max_result_mb=wrong)
