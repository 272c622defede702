"""A real HTTP proxy on the way to a service, which fails as it is told to."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

_PIECE = 1 << 16


@dataclass
class Fault:
    """Instead of the service's answer."""

    status: int | None = None
    """An answer of the proxy's own; with None the service's is passed on."""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut_after: int | None = None
    """Bytes of the answer's body after which the connection ends; 0: no answer at all."""
    hold_after: int | None = None
    """Bytes of the answer's body after which the rest waits for `Proxy.release`."""


@dataclass
class Seen:
    """A request as it came."""

    headers: dict[str, str]
    size: int
    photos: int


class Proxy:
    """Passes requests on, unless a fault is due: one a request, in their order."""

    def __init__(self, target: str, prefix: str) -> None:
        self.target = target
        self.prefix = prefix
        self.url = ""
        self.faults: deque[Fault] = deque()
        self.seen: list[Seen] = []
        self.release = threading.Event()


@contextmanager
def proxy_to(target: str, prefix: str = "") -> Iterator[Proxy]:
    """Runs a proxy that serves the target under a path, which it strips."""
    proxy = Proxy(target, prefix)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass(b"", proxy.faults.popleft() if proxy.faults else None)

        def do_POST(self) -> None:
            left = int(self.headers["content-length"])
            fault = proxy.faults.popleft() if proxy.faults else Fault()
            kept, photos = bytearray(), 0
            while left:
                piece = self.rfile.read(min(left, _PIECE))
                left -= len(piece)
                photos += piece.count(b'name="file"')
                if fault.status is None:
                    kept += piece
            size = int(self.headers["content-length"])
            proxy.seen.append(Seen({k.lower(): v for k, v in self.headers.items()}, size, photos))
            self._pass(bytes(kept), fault)

        def _pass(self, body: bytes, fault: Fault | None = None) -> None:
            fault = fault or Fault()
            if fault.cut_after == 0:
                self.close_connection = True
                return
            if fault.status is not None:
                self._answer(fault.status, fault.headers, fault.body)
                return
            if not self.path.startswith(f"{proxy.prefix}/"):
                self._answer(404, {}, b"")
                return
            url = proxy.target + self.path.removeprefix(proxy.prefix)
            headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
            answer = httpx.request(
                self.command, url, content=body, headers=headers, timeout=60, verify=False
            )
            if fault.cut_after is None and fault.hold_after is None:
                self._answer(answer.status_code, dict(answer.headers), answer.content)
                return
            self._head(answer.status_code, dict(answer.headers), len(answer.content))
            at = fault.cut_after or fault.hold_after
            self.wfile.write(answer.content[:at])
            self.wfile.flush()
            if fault.cut_after:
                self.close_connection = True
            else:
                assert proxy.release.wait(60)
                self.wfile.write(answer.content[at:])

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self._head(status, headers, len(body))
            self.wfile.write(body)

        def _head(self, status: int, headers: dict[str, str], length: int) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.url = f"http://127.0.0.1:{server.server_port}{prefix}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.release.set()
        server.shutdown()
        thread.join()
        server.server_close()
