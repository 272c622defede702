"""Clients that misbehave, by hand: raw requests, and what comes back."""

import json
import socket
import time
from typing import Any

from tests.conftest import Server


def connect(server: Server, receive_buffer: int | None = None) -> socket.socket:
    """A connection; a small receive buffer makes a client that does not read seen at once."""
    host, port = server.url.removeprefix("http://").split(":")
    line = socket.socket()
    if receive_buffer:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    line.settimeout(30)
    line.connect((host, int(port)))
    return line


def post(path: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """A request as it is sent; `length` announces another length than the body's."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: photos.test",
        f"Content-Length: {len(body) if length is None else length}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def to_the_end(line: socket.socket, within_s: float = 30) -> bytes:
    """All that comes until the server closes; AssertionError if it does not."""
    end, got = time.monotonic() + within_s, b""
    while True:
        line.settimeout(max(0.01, end - time.monotonic()))
        try:
            piece = line.recv(1 << 16)
        except ConnectionError:
            return got
        except TimeoutError as error:
            raise AssertionError(f"still open after {within_s} s: {got[:200]!r}") from error
        if not piece:
            return got
        got += piece


def asked(server: Server, raw: bytes, within_s: float = 30) -> tuple[int, bytes]:
    """Status and body of the one answer to a raw request after which the server closes."""
    with connect(server) as line:
        line.sendall(raw)
        answer = to_the_end(line, within_s)
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), body


def slug_in(body: bytes) -> str:
    return str(json.loads(body)["type"]).rpartition("/")[2]


def load(server: Server) -> dict[str, Any]:
    """What the service says of its load."""
    with server.client() as http:
        told: dict[str, Any] = http.get("/models").json()["load"]
    return told
