"""An ASGI layer that lets each key, or address, ask for so much work a minute."""

import math
import time
from collections import OrderedDict

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access_log import KEY_NAME
from .errors import RateLimited
from .problems import error_response

_MINUTE_S = 60
_MOST_CALLERS = 10_000
"""Callers that are remembered; who has not asked for longest is forgotten, and starts afresh."""


class RateLimit:
    """A token bucket a caller, of a minute's requests; refusals say when to come again.

    Only POST counts: that is what work is asked for with. Headers as in the IETF's draft of
    RateLimit header fields for HTTP.
    """

    def __init__(self, app: ASGIApp, per_minute: int) -> None:
        self._app = app
        self._size = per_minute
        self._per_s = per_minute / _MINUTE_S
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, when

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        client = scope.get("client") or ("",)
        left = self._take(str(scope.get(KEY_NAME, client[0])))
        rest, full_s = max(0, math.floor(left)), self._seconds(self._size - left)
        told = {
            "RateLimit-Policy": f'"minute";q={self._size};w={_MINUTE_S}',
            "RateLimit": f'"minute";r={rest};t={full_s}',
        }
        app = self._app
        if left < 0:
            again_s = self._seconds(-left)
            told["Retry-After"] = str(again_s)
            app = error_response(
                RateLimited(
                    f"At most {self._size} requests a minute are taken. Send it again in"
                    f" {again_s} s."
                ),
                scope["path"],
            )

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(told)
            await send(message)

        await app(scope, receive, sending)

    def _take(self, caller: str) -> float:
        """Requests that the caller has left after this one; below 0: it is one too many."""
        now = time.monotonic()
        tokens, when = self._buckets.pop(caller, (float(self._size), now))
        tokens = min(float(self._size), tokens + (now - when) * self._per_s)
        left = tokens - 1
        self._buckets[caller] = (left if left >= 0 else tokens, now)
        while len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        return left

    def _seconds(self, tokens: float) -> int:
        return math.ceil(tokens / self._per_s)
