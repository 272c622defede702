"""An ASGI layer that gives requests ids, and tells of each in the log and the metrics."""

import logging
import re
import time
import uuid
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .logs import REQUEST_ID_HEADER, request_id
from .metrics import Metrics
from .problems import CLIENT_CLOSED, PROBLEM_KEY
from .root_path import HEALTH, enter

access_log = logging.getLogger("chromaserve.access")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
WATCHED = (*HEALTH, "/metrics")
"""Asked for every few seconds: not worth a line, or a trace, each."""
KEY_NAME = "chromaserve.key"
"""Where in its ASGI scope the name of the key is noted that a request came with."""
GONE = "chromaserve.gone"
"""Where a request has what tells whether its connection is, so that nothing more is sent."""
BROKEN_OFF = "chromaserve.broken-off"
"""Where the status is noted of an answer that the service itself broke off after its beginning."""
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


class Observation:
    """Gives every request an id, and tells of it in the log and the metrics when it is over.

    A client's own X-Request-ID is kept where it is plain ASCII of at most 128 characters; the
    answer carries the id in any case. An answer whose end was not sent counts as what ended it.
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
        gone = scope.get(GONE, lambda: False)
        status, left, whole = 0, -1, False

        async def sending(message: Message) -> None:
            nonlocal status, left, whole
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = identity
                left = int(headers.get("content-length", -1))
            lost = gone()
            await send(message)
            if message["type"] == "http.response.body" and not (lost or gone()):
                left -= len(message.get("body", b""))
                whole = whole or left == 0 or not message.get("more_body", False)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            scope[PROBLEM_KEY] = "internal-error"
            scope[BROKEN_OFF] = 500
            raise
        finally:
            if not whole:
                status = scope.get(BROKEN_OFF, CLIENT_CLOSED)
            self._tell(scope, status, time.perf_counter() - start)

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
