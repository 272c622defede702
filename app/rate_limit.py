"""An ASGI layer that lets each key, or address, ask for so much work a minute, and a day."""

import json
import logging
import math
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access_log import KEY_NAME
from .errors import RateLimited
from .networks import network
from .problems import error_response

log = logging.getLogger("chromaserve")

_MOST_CALLERS = 10_000
"""Callers that are remembered; who has not asked for longest is forgotten, and starts afresh."""
_WAIT_S = 5.0
_TABLE = """
CREATE TABLE IF NOT EXISTS bucket (caller TEXT PRIMARY KEY, tokens TEXT, at REAL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS bucket_at ON bucket (at);
"""


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

    def __init__(self, app: ASGIApp, windows: Sequence[Window], folder: Path | None = None) -> None:
        """Every caller has all tokens at first.

        Args:
            app: what is asked where there are some left.
            windows: in each of which a caller has tokens.
            folder: that other workers have buckets in, too, which are then the same ones.
        """
        self._app = app
        self._windows = windows
        self._full = tuple(float(window.requests) for window in windows)
        file = folder / "rate-limits.sqlite3" if folder else ":memory:"
        self._buckets = sqlite3.connect(file, timeout=_WAIT_S, isolation_level=None)
        # Outlives a process that is killed; a power cut has ended the service.
        self._buckets.execute("PRAGMA journal_mode = WAL")
        self._buckets.execute("PRAGMA synchronous = OFF")
        self._buckets.executescript(_TABLE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        client = scope.get("client") or ("",)
        try:
            taken, left_of = self._take(
                scope[KEY_NAME] if KEY_NAME in scope else network(client[0])
            )
        except sqlite3.Error as error:  # a full disk, say, which is no reason to serve nobody
            log.error("requests cannot be counted, nor limited: %s", error)
            await self._app(scope, receive, send)
            return
        each = list(zip(self._windows, left_of, strict=True))
        told = {
            "RateLimit-Policy": ", ".join(
                f'"{w.name}";q={w.requests};w={w.seconds}' for w, _ in each
            ),
            "RateLimit": ", ".join(
                f'"{w.name}";r={math.floor(left)};t={w.seconds_for(w.requests - left)}'
                for w, left in each
            ),
        }
        app = self._app
        if not taken:
            again_s, window = max(
                ((w.seconds_for(1 - left), w) for w, left in each), key=lambda one: one[0]
            )
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

    def _take(self, caller: str) -> tuple[bool, tuple[float, ...]]:
        """Whether this request is one of the caller's, and what is left of them, a window each."""
        with self._buckets:
            self._buckets.execute("BEGIN IMMEDIATE")
            now = time.monotonic()  # the same in all processes
            known = self._buckets.execute(
                "SELECT tokens, at FROM bucket WHERE caller = ?", (caller,)
            ).fetchone()
            had, when = (json.loads(known[0]), known[1]) if known else (self._full, now)
            tokens = tuple(
                min(full, rest + (now - when) * full / window.seconds)
                for window, full, rest in zip(self._windows, self._full, had, strict=True)
            )
            taken = min(tokens) >= 1
            # Who is refused has spent nothing.
            left = tuple(rest - taken for rest in tokens)
            self._buckets.execute(
                "INSERT INTO bucket VALUES (?, ?, ?) ON CONFLICT (caller) DO UPDATE"
                " SET tokens = excluded.tokens, at = excluded.at",
                (caller, json.dumps(left), now),
            )
            if not known:
                self._buckets.execute(
                    "DELETE FROM bucket WHERE caller IN (SELECT caller FROM bucket ORDER BY at"
                    " LIMIT max(0, (SELECT count(*) FROM bucket) - ?))",
                    (_MOST_CALLERS,),
                )
        return taken, left
