"""Results on their way out: where photos wait for memory, the slowest reader gives way."""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from chromaserve.pipeline.memory import Budget

from .requests import PhotoRun

log = logging.getLogger("chromaserve.http")

_LOOK_S = 0.5
_FIRST_S = 1.0
"""A reader who has just begun is judged as if it had had so much time."""


class Departure:
    """A request's results, of which the client takes one piece after another."""

    def __init__(self, run: PhotoRun, limit: asyncio.Timeout) -> None:
        self._run = run
        self._limit = limit
        self._began = time.monotonic()
        self.sent = 0
        """Bytes that the client has taken."""
        self.cut = False

    @property
    def held(self) -> int:
        """Bytes of results that are done and not yet taken."""
        return self._run.held

    def needs_s(self) -> float:
        """How long the client takes, at its rate so far, for what is held."""
        rate = self.sent / max(_FIRST_S, time.monotonic() - self._began)
        return self.held / max(rate, 1)

    def end(self) -> None:
        """Make room for others."""
        self.cut = True
        with suppress(RuntimeError):  # it is over
            self._limit.reschedule(asyncio.get_running_loop().time())


class Departures:
    """The results that are being sent."""

    def __init__(self, memory: Budget, patience_s: float) -> None:
        """`patience_s`: longest time that a photo waits for memory."""
        self._memory = memory
        self._patience_s = patience_s
        self._leaving: dict[Departure, None] = {}

    @contextmanager
    def leaving(self, run: PhotoRun, limit: asyncio.Timeout) -> Iterator[Departure]:
        """Results are being sent in this block, which `limit` ends early."""
        departure = Departure(run, limit)
        self._leaving[departure] = None
        try:
            yield departure
        finally:
            del self._leaving[departure]

    async def watch(self) -> None:
        """Make room where photos wait for it, for ever."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if wanted := self._memory.wanted:
                self._make_room(wanted)

    def _make_room(self, wanted: int) -> None:
        """End the slowest, where results alone leave no room, and for longer than one may wait."""
        others = [each for each in self._leaving if not each.cut]
        if sum(each.held for each in others) + wanted <= self._memory.total:
            return
        slowest = max(others, key=Departure.needs_s)
        if slowest.needs_s() > self._patience_s:
            log.info("a client took results too slowly for a full service and was dropped")
            slowest.end()
