"""Request bodies on their way in: charged as they come, at a least rate, the slowest giving way."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import suppress

from starlette.requests import Request

from chromaserve.errors import BodyTooLarge, Busy
from chromaserve.pipeline.memory import Share

from .errors import UploadStalled
from .settings import Settings

COUNTED = "chromaserve.counted"
"""In a request's ASGI scope where what is here counts the bytes of its body."""
_COPIES = 2
"""A body is in memory twice while it is taken apart."""
SLOW = 16
"""Who sends below so many times the least rate gives way where there is no room."""
_FIRST_S = 0.25
"""A body that has just begun is judged as if it had had so much time."""


class Arrival:
    """A body that is being received."""

    def __init__(self, least_rate: float, patience_s: float) -> None:
        self._least_rate = least_rate
        self._patience_s = patience_s
        self._began = time.monotonic()
        self._wait: asyncio.Timeout | None = None
        self.received = 0
        self.cut = False

    @property
    def lasted_s(self) -> float:
        """Since it began, but for what was waited for here."""
        return time.monotonic() - self._began

    @property
    def rate(self) -> float:
        """Bytes a second so far."""
        return self.received / max(_FIRST_S, self.lasted_s)

    def next_by(self) -> float:
        """Seconds that the next piece may take: so long a silence, or the rate would be too low."""
        whole_s = self._patience_s + self.received / self._least_rate
        return min(self._patience_s, whole_s - self.lasted_s)

    def waited(self, seconds: float) -> None:
        """The client could not send: the service had no room."""
        self._began += seconds

    async def piece(self, stream: AsyncGenerator[bytes, None]) -> bytes | None:
        """The next piece, None at the end; TimeoutError where it takes too long."""
        async with asyncio.timeout(0 if self.cut else self.next_by()) as self._wait:
            return await anext(stream, None)

    def end(self) -> None:
        """Make room for others."""
        self.cut = True
        if self._wait:
            with suppress(RuntimeError):  # it is over
                self._wait.reschedule(asyncio.get_running_loop().time())


class Arrivals:
    """The bodies that are being received, so many at once at most."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._least_rate = settings.min_upload_kb_s * 1024
        self._arriving: dict[Arrival, None] = {}  # oldest first

    async def receive(self, request: Request, share: Share) -> AsyncGenerator[bytes, None]:
        """A body's pieces; `share` grows with what has come.

        Raises:
            BodyTooLarge: it exceeds the limit.
            UploadStalled: it comes too slowly.
            Busy: there is no room for it.
        """
        limit = self._settings.max_upload_bytes
        request.scope[COUNTED] = True
        if len(self._arriving) >= self._settings.max_uploads and not self._slowest_gives_way():
            raise Busy("Too many uploads arrive at once. Wait a moment and send it again.")
        arrival = Arrival(self._least_rate, self._settings.upload_timeout_s)
        self._arriving[arrival] = None
        try:
            stream = request.stream()
            while (piece := await self._piece(arrival, stream)) is not None:
                arrival.received += len(piece)
                if arrival.received > limit:
                    raise too_large(limit)
                await self._charge(arrival, share)
                yield piece
        finally:
            del self._arriving[arrival]

    async def _piece(self, arrival: Arrival, stream: AsyncGenerator[bytes, None]) -> bytes | None:
        try:
            return await arrival.piece(stream)
        except TimeoutError as error:
            least = f"{self._settings.min_upload_kb_s:g} KiB a second"
            raise UploadStalled(
                "The service is full, and other uploads come faster. Send the request again."
                if arrival.cut
                else f"The upload came more slowly than {least}, or nothing of it came for"
                f" {self._settings.upload_timeout_s:g} s. Send the request again."
            ) from error

    async def _charge(self, arrival: Arrival, share: Share) -> None:
        amount = _COPIES * arrival.received
        if share.has_to_wait(amount):
            self._slowest_gives_way(arrival)
        start = time.monotonic()
        await share.grow(amount)
        arrival.waited(time.monotonic() - start)

    def _slowest_gives_way(self, asking: Arrival | None = None) -> bool:
        """End the slowest other body; False where none is slow."""
        others = [each for each in self._arriving if each is not asking and not each.cut]
        slowest = min(others, key=lambda each: each.rate, default=None)
        if slowest is None or slowest.rate > SLOW * self._least_rate:
            return False
        slowest.end()
        return True


def too_large(limit: int) -> BodyTooLarge:
    """The error for a body of more than `limit` bytes."""
    return BodyTooLarge(
        f"A request body may have {limit:,} bytes at most. Send fewer photos in one request, or"
        " smaller ones.",
        limit=limit,
    )
