"""An ASGI layer that keeps one connection's client from harming the rest."""

import asyncio
import contextlib
import logging
import resource

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chromaserve.errors import NotReady

from .access_log import BROKEN_OFF
from .arrivals import COUNTED
from .errors import UnsupportedTransfer
from .problems import CLIENT_CLOSED, error_response
from .root_path import HEALTH, route_path
from .service import Service

log = logging.getLogger("chromaserve.http")

ABORT = "chromaserve.abort"
"""Where in its ASGI scope a request has what ends its connection at once."""
YIELD = "chromaserve.yield"
"""Where it has what lets its connection's place go to another one that comes."""
_SMALL_BODY = 64 * 1024
"""Bytes of any other body, which a framework would read whole before anything is checked."""
_LINGER_S = 10.0
_CHUNKED = "chunked"


class Connections:
    """Keeps one connection's client from harming the rest.

    - A client that does not take its response loses its connection after `send_timeout_s`.
    - A refusal of a body that is still arriving (413, 415, 503…) would be lost to a client that
      sends before it reads: the rest of the body is read and thrown away for a while first.
    - A body in a transfer coding beside chunks is refused (501): its bytes are not what was sent.
    - A body that no route takes care of ends at `_SMALL_BODY` bytes (413).
    - A stream of events, whose client comes again and goes on from there, gives its connection's
      place to others.
    - While the service shuts down, new requests on open connections get 503 and a close; so do
      those that its end does not wait for, unless their answers have begun, which are cut off.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        timeout_s = self._service.settings.send_timeout_s
        more_to_read = _has_body(scope)  # until the application has read it
        arrived = 0
        lingering = started = False

        async def reading() -> Message:
            nonlocal more_to_read, arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > _SMALL_BODY and COUNTED not in scope and not lingering:
                raise HTTPException(413, f"A body of {_SMALL_BODY:,} bytes at most is read here.")
            more_to_read = message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def patient(message: Message) -> None:
            try:
                async with asyncio.timeout(timeout_s):
                    await send(message)
            except TimeoutError as error:
                raise _Stalled from error

        async def sending(message: Message) -> None:
            nonlocal lingering, started
            started = True
            last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if last and more_to_read:
                await patient({**message, "more_body": True})
                lingering = True
                if give_way := scope.get(YIELD):  # it has its answer
                    give_way()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LINGER_S):
                        while more_to_read and not self._service.draining:
                            await reading()
                message = {"type": "http.response.body", "body": b""}
            if message["type"] == "http.response.start" and YIELD in scope and _is_events(message):
                scope[YIELD]()
            if message["type"] == "http.response.start" and self._service.draining:
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await patient(message)

        app = self._app
        if self._service.draining and route_path(scope) not in HEALTH:
            app = _ending(scope)
        coding = Headers(scope=scope).get("transfer-encoding", _CHUNKED)
        if coding.strip().lower() != _CHUNKED:
            told = (
                f"The transfer coding {coding[:50]!r} is not undone here. Send the body without it."
            )
            app = error_response(UnsupportedTransfer(told), scope["path"])
        try:
            await app(scope, reading, sending)
        except _Stalled:
            log.info("a client took nothing for %g s and was dropped", timeout_s)
            await cut_off(scope, CLIENT_CLOSED)
        except asyncio.CancelledError:
            if not self._service.draining:
                raise
            if started:
                await cut_off(scope, 500)
            else:
                await _ending(scope)(scope, receive, sending)


def _ending(scope: Scope) -> ASGIApp:
    error = NotReady("The service is shutting down. Send the request again shortly.")
    return error_response(error, scope["path"])


async def cut_off(scope: Scope, status: int) -> bool:
    """End a request's connection in the middle of its answer, which then counts as that status.

    Returns whether the server can; another one than the service's own, Ray's say, cannot.
    """
    scope[BROKEN_OFF] = status
    abort = scope.get(ABORT)
    if abort is None:
        return False
    abort()  # closing would wait for what is unsent
    await asyncio.sleep(0)  # the server hears of it, and is not surprised
    return True


class _Stalled(Exception):  # noqa: N818 - never leaves this module
    """The client does not take its response."""


def _is_events(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type", "").startswith("text/event-stream")


def _has_body(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    if headers.get(b"expect", b"").lower() == b"100-continue":
        return False  # the client waits for our word before it sends
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


def file_descriptors() -> int:
    """How many file descriptors this process may have, as many as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):
            return soft
    return hard if hard != resource.RLIM_INFINITY else 2**20
