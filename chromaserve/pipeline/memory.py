"""Bounds on what is in memory at once: who may go on, who waits, who is turned away."""

import asyncio
import ctypes
import gc
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from chromaserve.errors import Busy, TooManyPixels

_REST_S = 5.0
_Line = deque[tuple[int, asyncio.Future[None]]]


class Budget:
    """Bytes shared first come, first served; a bounded number may wait, a bounded time.

    The first in line holds the line, so that a large photo is not starved by small ones. Who waits
    in the background stands behind the line, for as long as it takes. Who holds bytes and needs
    more goes before the line, which may wait for those; one in the background lets others by.
    """

    def __init__(self, total: int, *, max_waiting: int, timeout_s: float) -> None:
        self.total = total
        self.used = 0
        self.granted = 0
        """How often bytes were given."""
        self.peak = 0
        self._max_waiting = max_waiting
        self._timeout_s = timeout_s
        self._before: _Line = deque()
        self._patient: _Line = deque()
        self._line: _Line = deque()
        self._behind: _Line = deque()
        self._kept = 0  # by those before the line, patient or not

    async def take(self, amount: int, *, background: bool = False) -> "Share":
        """Wait for `amount` bytes.

        Raises:
            TooManyPixels: more than there is in all.
            Busy: too many wait, or the wait was too long.
        """
        self.check(amount)
        if background and (self._patient or self._behind or self.full(amount)):
            await self._wait(amount, self._behind, None)
        else:
            await self.acquire(amount)
        return Share(self, amount)

    async def take_more(self, amount: int, held: int, *, background: bool = False) -> "Share":
        """Wait for `amount` bytes beside those that the caller has, and keeps meanwhile.

        Raises:
            TooManyPixels: more than there is in all.
            Busy: the wait was too long, or those who keep some would wait for each other.
        """
        self.check(held + amount, "Ask for its pages one by one.")
        if self.used + amount <= self.total:
            self._grant(amount)
            return Share(self, amount)
        most = max([amount, *(each for each, _ in (*self._before, *self._patient))])
        if self._kept + held + most > self.total:  # whatever others give back
            raise Busy("The service is full. Wait a moment and send the request again.")
        self._kept += held
        try:
            line = self._patient if background else self._before
            await self._wait(amount, line, self._timeout_s)
        finally:
            self._kept -= held
        return Share(self, amount)

    async def acquire(self, amount: int) -> None:
        """Wait for bytes that the caller gives back; `take` and `Share.grow` see to that."""
        if self.full(amount):
            if len(self._line) >= self._max_waiting:
                raise Busy("The service is full. Wait a moment and send the request again.")
            await self._wait(amount, self._line, self._timeout_s)
        else:
            self._grant(amount)

    def full(self, amount: int) -> bool:
        """Whether who wants so many bytes more has to wait."""
        return bool(self._before or self._line) or self.used + amount > self.total

    @property
    def wanted(self) -> int:
        """Bytes that the first in line waits for, 0 where nobody does."""
        line = self._before or self._line
        return line[0][0] if line else 0

    def check(self, amount: int, remedy: str = "Shrink the photo.") -> None:
        """Raise TooManyPixels where so many bytes never are free."""
        if amount > self.total:
            raise TooManyPixels(
                f"This takes {amount / 2**20:,.0f} MiB of memory, more than the bound of"
                f" {self.total / 2**20:,.0f}. {remedy}"
            )

    def take_at_once(self, amount: int) -> "Share":
        """Take `amount` bytes without waiting, for those who hold some already.

        Raises:
            TooManyPixels: more than there is in all.
            Busy: there are not as many left, or others wait for them.
        """
        self.check(amount)
        if self.full(amount):
            raise Busy("The service is full. Wait a moment and send the request again.")
        self._grant(amount)
        return Share(self, amount)

    async def _wait(
        self,
        amount: int,
        line: "_Line",
        timeout_s: float | None,
    ) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append((amount, turn))
        try:
            async with asyncio.timeout(timeout_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.give_back(amount)  # granted in the same moment
            elif (amount, turn) in line:
                line.remove((amount, turn))
                self._advance()
            if isinstance(error, TimeoutError):
                raise Busy(
                    f"The service had no room for {timeout_s:g} s. Try again shortly."
                ) from error
            raise

    def give_back(self, amount: int) -> None:
        """Return bytes and let the next in line go on."""
        self.used -= amount
        self._advance()

    def _grant(self, amount: int) -> None:
        self.used += amount
        self.granted += 1
        self.peak = max(self.peak, self.used)

    def _advance(self) -> None:
        while line := self._next():
            amount, turn = line.popleft()
            if not turn.done():  # a cancelled one may not have left the line yet
                self._grant(amount)
                turn.set_result(None)

    def _next(self) -> "_Line | None":
        """The line whose first has its turn now."""
        for line in (self._before, self._patient, self._line, self._behind):
            if line and self.used + line[0][0] <= self.total:
                return line
            if line and (line is not self._patient or not self._line):
                return None
        return None


class Share:
    """Bytes taken from a budget, given back at the end of the `with` block."""

    def __init__(self, budget: Budget, amount: int) -> None:
        self._budget = budget
        self.amount = amount

    def shrink(self, amount: int) -> None:
        """Give back all but `amount` bytes; never grows."""
        excess = self.amount - amount
        if excess > 0:
            self.amount = amount
            self._budget.give_back(excess)

    def join(self, other: "Share") -> None:
        """Take over what another share of the same budget has."""
        self.amount += other.amount
        other.amount = 0

    def has_to_wait(self, amount: int) -> bool:
        """Whether `grow` would wait."""
        return amount > self.amount and self._budget.full(amount - self.amount)

    async def grow(self, amount: int) -> None:
        """Have `amount` bytes in all, waiting for what is missing; never shrinks.

        Raises:
            TooManyPixels, Busy: as `Budget.take`; what was held stays so.
        """
        missing = amount - self.amount
        if missing > 0:
            self._budget.check(amount)
            await self._budget.acquire(missing)
            self.amount += missing

    @contextmanager
    def until_failure(self) -> Iterator[None]:
        """Give all back if the block fails; else the bytes stay with whoever has the share."""
        try:
            yield
        except BaseException:
            self.shrink(0)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shrink(0)


async def return_at_rest(*budgets: Budget) -> None:
    """Return freed memory whenever nothing was taken or held for a while; for ever.

    What a burst of large photos took is then the system's again.
    """
    returned = taken = sum(budget.granted for budget in budgets)
    while True:
        await asyncio.sleep(_REST_S)
        before, taken = taken, sum(budget.granted for budget in budgets)
        if taken == before != returned and not any(budget.used for budget in budgets):
            await asyncio.to_thread(return_freed)
            returned = taken


def return_freed() -> None:
    """Collect garbage, and have glibc return what it keeps of freed memory.

    A model's weights are freed in pieces that glibc would keep for itself: with every version that
    follows another one the process would grow. Elsewhere than on glibc only garbage is collected.
    """
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return
