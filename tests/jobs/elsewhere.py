"""A server that photos come from, results go to and callbacks are sent to, which notes it all."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Elsewhere:
    """What is there, what it answers, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, list[int]] = field(default_factory=dict)
    """By path: statuses for its first requests; then 200."""
    codings: dict[str, str] = field(default_factory=dict)
    """By path: the Content-Encoding of its file."""
    endless: set[str] = field(default_factory=set)
    """Paths whose answers never end: a piece now and then."""
    piece: bytes = b"x"
    silent: set[str] = field(default_factory=set)
    """Paths that are not answered at all."""
    closed: threading.Event = field(default_factory=threading.Event)
    asked: list[Asked] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)

    def of(self, path: str) -> list[Asked]:
        return [each for each in self.asked if each.path == path]

    def wait_for(self, path: str, count: int, timeout: float = 60) -> list[Asked]:
        with self.came:
            assert self.came.wait_for(lambda: len(self.of(path)) >= count, timeout), self.asked
            return self.of(path)


@contextmanager
def elsewhere(tls: ssl.SSLContext | None = None) -> Iterator[Elsewhere]:
    there = Elsewhere()

    def note(asked: Asked) -> None:
        with there.came:
            there.asked.append(asked)
            there.came.notify_all()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length)
            path = self.path.partition("?")[0]
            headers = {name.lower(): value for name, value in self.headers.items()}
            planned = there.answers.get(path, [])
            status = planned.pop(0) if planned else 200
            found = there.files.get(path, b"")
            known = there.files.keys() | there.endless
            if self.command == "GET" and path not in known and status == 200:
                status = 404
            if self.command == "PUT" and status == 200:
                there.files[path] = body
            if path in there.endless | there.silent:
                note(Asked(self.command, path, headers, body))
            if path in there.silent:
                there.closed.wait()
                return
            self.send_response(status)
            if path in there.endless:
                self.end_headers()
                with suppress(OSError):
                    while not there.closed.wait(0.02):
                        self.wfile.write(there.piece)
                return
            if 300 <= status < 400:
                self.send_header("Location", f"{there.url}/closed/secret")
            if coding := there.codings.get(path):
                self.send_header("Content-Encoding", coding)
            self.send_header("Content-Length", str(len(found) if self.command == "GET" else 0))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(found)
            note(Asked(self.command, path, headers, body))

        do_PUT = do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    there.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield there
    finally:
        there.closed.set()
        server.shutdown()
        server.server_close()
        thread.join()
