"""One request's photos on their way: several at a time, results in order, gone clients noticed."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from chromaserve.errors import without_locals
from chromaserve.loop_thread import cancel
from chromaserve.pipeline.backlog import Ticket
from chromaserve.pipeline.body import Body, Upload
from chromaserve.pipeline.foreseen import foreseen
from chromaserve.pipeline.memory import Share
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.pipeline import Colored, Pipeline

T = TypeVar("T")
Outcome = Colored | Exception


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await the work, and cancel it if the client closes the connection.

    Raises:
        ClientDisconnect: it has; nobody is there to read a response.
    """
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        await _cancel(gone)
        await _cancel(task)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _cancel(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.wait({task})


class PhotoRun:
    """Colorizes a request's photos, at most `window` at once; iterates over outcomes in order.

    An outcome is a result or the error that the photo met. A result's memory share is the
    receiver's to give back; `close` gives back what was not received and stops what runs.
    """

    def __init__(
        self, pipeline: Pipeline, body: Body, order: Order, ticket: Ticket, window: int
    ) -> None:
        """Nothing runs until the first outcome is asked for."""
        self._pipeline = pipeline
        self._body = body
        self._order = order
        self._ticket = ticket
        self._window = window
        self._foreseen = foreseen(body.uploads, order, pipeline.cache)
        self._waiting = deque(enumerate(body.uploads))
        self._running: deque[asyncio.Task[Outcome]] = deque()
        self._ready: deque[Outcome] = deque()
        self._given: Share | None = None
        self._asked = False
        self._busy = 0

    async def first_success(self) -> Colored | None:
        """The first result, which stays to be iterated over; None if every photo fails."""
        while (outcome := await self._next()) is not None:
            self._ready.append(outcome)
            if isinstance(outcome, Colored):
                return outcome
        return None

    @property
    def held(self) -> int:
        """Bytes of results that are done and not yet given back."""
        done = (each.result() for each in self._running if each.done() and not each.cancelled())
        shares = [each.share for each in (*self._ready, *done) if isinstance(each, Colored)]
        return sum(share.amount for share in shares) + (self._given.amount if self._given else 0)

    @property
    def errors(self) -> list[Exception]:
        """Errors met on the way to the first success."""
        return [outcome for outcome in self._ready if isinstance(outcome, Exception)]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        outcome = self._ready.popleft() if self._ready else await self._next()
        if outcome is None:
            raise StopAsyncIteration
        self._given = outcome.share if isinstance(outcome, Colored) else None
        return outcome

    async def _next(self) -> Outcome | None:
        self._asked = True
        self._rest()
        try:
            while self._waiting and len(self._running) < self._window:
                self._busy += 1
                self._running.append(asyncio.create_task(self._outcome(*self._waiting.popleft())))
            if not self._running:
                return None
            await asyncio.wait({self._running[0]})
            return self._running.popleft().result()
        finally:
            self._asked = False
            self._rest()

    async def _outcome(self, index: int, upload: Upload) -> Outcome:
        telling = False
        try:
            order = self._order.nth(index)
            result = await self._pipeline.colorize(self._body, upload, order, self._ticket)
            telling = not result.timings.cached
            return result
        except Exception as error:
            return without_locals(error)
        finally:
            took = self._foreseen[index]
            self._ticket.done(took.pixels, took.looks, took.turns, telling=telling)
            self._busy -= 1
            self._rest()

    def _rest(self) -> None:
        """Tell whether there is something to do before the client takes results."""
        self._ticket.resting = not self._asked and not self._busy

    async def close(self) -> None:
        """Stop, and give back all memory; harmless when everything was received."""
        stopped = await cancel(self._running)
        for outcome in (*self._ready, *stopped):
            if isinstance(outcome, Colored):
                outcome.share.shrink(0)
        for _, upload in self._waiting:
            self._body.release(upload)
        self._running.clear()
        self._ready.clear()
        self._waiting.clear()
