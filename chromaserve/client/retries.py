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
    """Requests for one thing at most, the first one included; 1: never again."""
    budget_s: float = 60.0
    """Seconds after the first attempt after which none is begun any more."""
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
        self._failed = 0

    @property
    def deadline_s(self) -> float | None:
        """What is left of the deadline."""
        if self._deadline_s is None:
            return None
        return max(self._deadline_s - (time.monotonic() - self._begun), 0.001)

    def progress(self) -> None:
        """Count anew: part of the thing is done."""
        self._begun, self._failed = time.monotonic(), 0

    def pause_s(self, asked_s: float | None = None) -> float | None:
        """Seconds until the next attempt, None where there is none any more.

        Full jitter: uniform from 0 to a bound that doubles, so that clients turned away together
        do not come back together (Brooker 2015, "Exponential backoff and jitter").

        Args:
            asked_s: what the service asked for (Retry-After); the jitter comes on top of it.
        """
        self._failed += 1
        if self._failed >= self._bounds.attempts:
            return None
        # The exponent is bounded as floats are.
        bound = min(self._bounds.cap_s, self._bounds.base_s * 2.0 ** min(self._failed - 1, 60))
        pause_s = (asked_s or 0.0) + random.uniform(0, bound)  # nosec B311 - no secret
        left_s = self._bounds.budget_s - (time.monotonic() - self._begun)
        if self._deadline_s is not None:
            left_s = min(left_s, self.deadline_s or 0.0)
        return pause_s if pause_s < left_s else None


def retry_after_s(header: str | None) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3): a number, or an HTTP date.

    None without one, or where it is neither.
    """
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    if date.tzinfo is None:  # "-0000": UTC without a word on the place
        date = date.replace(tzinfo=UTC)
    return max((date - datetime.now(UTC)).total_seconds(), 0.0)
