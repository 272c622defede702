"""How fast photos go through the service, as lately seen: what Retry-After is made of."""

import math

from app.telemetry import Timings

_SMOOTHING = 0.1  # weight of the newest photo: the last ten or twenty count
_UNKNOWN_S = 2
_LONGEST_S = 120


class Pace:
    """Seconds a photo of the stage that holds up the rest, as a moving average."""

    def __init__(self, threads: int) -> None:
        """Nothing is known yet; `threads` decode and encode at once."""
        self._threads = threads
        self._each_s: float | None = None

    def note(self, timings: Timings) -> None:
        """Learn from a colorized photo."""
        model = timings.inference_s / timings.batch
        rest = (timings.decode_s + timings.encode_s) / self._threads
        seen = max(model, rest)
        if self._each_s is None:
            self._each_s = seen
        self._each_s += _SMOOTHING * (seen - self._each_s)

    def seconds_for(self, photos: int) -> int:
        """Whole seconds until so many photos are done: 1 to 120, or 2 while nothing is known."""
        if self._each_s is None:
            return _UNKNOWN_S
        return min(max(1, math.ceil(photos * self._each_s)), _LONGEST_S)
