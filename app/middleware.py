"""ASGI layers around the application: what is told of requests; slow clients, shutting down."""

import asyncio
import contextlib
import logging
import re
import time
import uuid
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chromaserve.errors import NotReady

from .logs import REQUEST_ID_HEADER, request_id
from .metrics import Metrics
from .problems import CLIENT_CLOSED, PROBLEM_KEY, error_response
from .root_path import enter, route_path
from .service import Service

log = logging.getLogger("chromaserve.http")
access_log = logging.getLogger("chromaserve.access")

_LINGER_S = 10.0
HEALTH = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
WATCHED = (*HEALTH, "/metrics")
"""Asked for every few seconds: not worth a line, or a trace, each."""
KEY_NAME = "chromaserve.key"
"""Where in its ASGI scope the name of the key is noted that a request came with."""
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


class Observation:
    """Gives every request an id, and tells of it in the log and the metrics when it is over.

    A client's own X-Request-ID is kept where it is plain ASCII of at most 128 characters; the
    answer carries the id in any case.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        own = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        identity = own if _REQUEST_ID.fullmatch(own) else uuid.uuid4().hex
        # Never reset: what handles an unknown error runs after this, in the same context.
        request_id.set(identity)
        enter(scope)
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = identity
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            scope[PROBLEM_KEY] = "internal-error"
            status = status or 500
            raise
        finally:
            self._tell(scope, status or CLIENT_CLOSED, time.perf_counter() - start)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        problem = scope.get(PROBLEM_KEY)
        self._metrics.request(route, method, status, seconds)
        if problem:
            self._metrics.refusal(problem)
        said = f" {problem}" if problem else ""
        watched = route in WATCHED
        key = {"key": scope[KEY_NAME]} if KEY_NAME in scope else {}
        access_log.log(
            logging.DEBUG if watched else logging.INFO,
            "%s %s %d%s in %.1f ms",
            *(method, quote(scope["path"]), status, said, 1000 * seconds),
            extra={"route": route, "status": status, "seconds": round(seconds, 4), **key},
        )


class Connections:
    """Keeps one connection's client from harming the rest.

    - A client that does not take its response loses its connection after `send_timeout_s`.
    - A refusal of a body that is still arriving (413, 415, 503…) would be lost to a client that
      sends before it reads: the rest of the body is read and thrown away for a while first.
    - While the service shuts down, new requests on open connections get 503 and a close.
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

        async def reading() -> Message:
            nonlocal more_to_read
            message = await receive()
            more_to_read = message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def patient(message: Message) -> None:
            try:
                async with asyncio.timeout(timeout_s):
                    await send(message)
            except TimeoutError as error:
                raise _Stalled from error

        async def sending(message: Message) -> None:
            last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if last and more_to_read:
                await patient({**message, "more_body": True})
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LINGER_S):
                        while more_to_read:
                            await reading()
                message = {"type": "http.response.body", "body": b""}
            if message["type"] == "http.response.start" and self._service.draining:
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await patient(message)

        app = self._app
        if self._service.draining and route_path(scope) not in HEALTH:
            error = NotReady("The service is shutting down. Send the request again shortly.")
            app = error_response(error, scope["path"])
        try:
            await app(scope, reading, sending)
        except _Stalled:
            log.info("a client took nothing for %g s and was dropped", timeout_s)


class _Stalled(Exception):  # noqa: N818 - never leaves this module
    """The client does not take its response."""


def _has_body(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    if b"expect" in headers:
        return False  # the client waits for our word before it sends
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
