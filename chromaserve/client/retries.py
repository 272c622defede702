"""When a request is sent again, and after how long.

Sending again is safe: colorizing changes nothing on the service, the same photo and options give
the same answer. Libraries for it (tenacity, stamina) repeat one call; a request of many photos is
done in part, and counts anew from there.
"""

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True)
class Retries:
    """Bounds on sending a request again."""

    attempts: int = 5
    """Requests for one thing at most, the first one included; 1: never again. Those are not counted
    that find a service away that has answered before: it is started anew, perhaps."""
    budget_s: float = 60.0
    """Seconds after the first failure after which none is begun any more."""
    base_s: float = 0.5
    """The first pause at most; each one after it may be twice as long."""
    cap_s: float = 10.0
    """The longest pause that the service did not ask for."""

    def __post_init__(self) -> None:
        if self.attempts < 1 or min(self.budget_s, self.base_s, self.cap_s) < 0:
            raise ValueError("attempts must be at least 1, and the times not negative")


class Attempts:
    """The attempts at one thing: how long to wait before the next, and when to stop."""

    def __init__(self, bounds: Retries, deadline_s: float | None = None) -> None:
        """Start the clock.

        Args:
            bounds: how often and how long.
            deadline_s: of the request itself, None without one.
        """
        self._bounds = bounds
        self._deadline_s = deadline_s
        self._begun = time.monotonic()
        self.progress()

    @property
    def deadline_s(self) -> float | None:
        """What is left of the deadline; the first attempt has it as it was given."""
        if self._deadline_s is None or self._failed_at is None:
            return self._deadline_s
        return max(round(self._deadline_s - (time.monotonic() - self._begun), 3), 0.001)

    def progress(self) -> None:
        """Count anew: part of the thing is done."""
        self._failed = self._counted = 0
        self._failed_at: float | None = None

    def pause_s(self, asked_s: float | None = None, *, away: bool = False) -> float | None:
        """Seconds until the next attempt, None where there is none any more.

        Full jitter: uniform from 0 to a bound that doubles, so that clients turned away together
        do not come back together (Brooker 2015, "Exponential backoff and jitter"). The last attempt
        is made when the budget ends.

        Args:
            asked_s: what the service asked for (Retry-After); the jitter comes on top of it.
            away: whether it was there before and is not now, so that this was no attempt at it.
        """
        now = time.monotonic()
        if self._failed_at is None:
            self._failed_at = now
        self._failed += 1
        self._counted += not away
        if self._bounds.attempts == 1 or self._counted >= self._bounds.attempts:
            return None
        # The exponent is bounded as floats are.
        bound = min(self._bounds.cap_s, self._bounds.base_s * 2.0 ** min(self._failed - 1, 60))
        asked_s = asked_s or 0.0
        pause_s = asked_s + random.uniform(0, bound)  # nosec B311 - no secret
        left_s = self._bounds.budget_s - (now - self._failed_at)
        late = self._deadline_s is not None and pause_s >= self._deadline_s - (now - self._begun)
        return None if late or asked_s >= left_s else min(pause_s, left_s)


def retry_after_s(header: str | None, sent: str | None = None) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3): a number, or an HTTP date.

    None without one, or where it is neither.

    Args:
        header: as it came.
        sent: the Date header, by the same clock; without one ours is asked.
    """
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    date = _date(header)
    if date is None:
        return None
    now = _date(sent or "") or datetime.now(UTC)
    return max((date - now).total_seconds(), 0.0)


def _date(header: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:  # "-0000": UTC without a word on the place
        date = date.replace(tzinfo=UTC)
    return date
