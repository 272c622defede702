"""An ASGI layer that lets each key, or address, ask for so much work a minute, and a day."""

import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access_log import KEY_NAME
from .errors import RateLimited
from .problems import error_response

_MOST_CALLERS = 10_000
"""Callers that are remembered; who has not asked for longest is forgotten, and starts afresh."""


@dataclass(frozen=True)
class Window:
    """So many requests in so long."""

    name: str
    seconds: int
    requests: int

    def seconds_for(self, tokens: float) -> int:
        """How long it takes until so many tokens have come in."""
        return math.ceil(tokens * self.seconds / self.requests)


class RateLimit:
    """A token bucket a caller and window, of its requests; refusals say when to come again.

    Only POST counts: that is what work is asked for with. Headers as in the IETF's draft of
    RateLimit header fields for HTTP. Written here: the package limits counts by the wall clock,
    which jumps, and remembers any number of callers.
    """

    def __init__(self, app: ASGIApp, windows: Sequence[Window]) -> None:
        self._app = app
        self._windows = windows
        self._full = tuple(float(window.requests) for window in windows)
        self._buckets: OrderedDict[str, tuple[tuple[float, ...], float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        client = scope.get("client") or ("",)
        each = list(
            zip(self._windows, self._take(str(scope.get(KEY_NAME, client[0]))), strict=True)
        )
        told = {
            "RateLimit-Policy": ", ".join(
                f'"{w.name}";q={w.requests};w={w.seconds}' for w, _ in each
            ),
            "RateLimit": ", ".join(
                f'"{w.name}";r={max(0, math.floor(left))};t={w.seconds_for(w.requests - left)}'
                for w, left in each
            ),
        }
        app = self._app
        window, left = max(each, key=lambda one: one[0].seconds_for(-one[1]))
        if left < 0:
            again_s = window.seconds_for(-left)
            told["Retry-After"] = str(again_s)
            app = error_response(
                RateLimited(
                    f"At most {window.requests} requests a {window.name} are taken. Send it again"
                    f" in {again_s} s."
                ),
                scope["path"],
            )

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(told)
            await send(message)

        await app(scope, receive, sending)

    def _take(self, caller: str) -> tuple[float, ...]:
        """Requests that the caller has left, a window each; below 0: this is one too many."""
        now = time.monotonic()
        had, when = self._buckets.pop(caller, (self._full, now))
        tokens = tuple(
            min(full, rest + (now - when) * full / window.seconds)
            for window, full, rest in zip(self._windows, self._full, had, strict=True)
        )
        left = tuple(rest - 1 for rest in tokens)
        # Who is refused has spent nothing.
        self._buckets[caller] = (left if min(left) >= 0 else tokens, now)
        while len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        return left
