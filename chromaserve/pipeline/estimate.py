"""How fast photos go through the service, as lately seen."""

import math

from chromaserve.pipeline.timings import Timings

_MEMORY = 0.95
"""Weight that a photo keeps when the next one comes: about the last twenty count."""
_UNKNOWN_S = 2
_LONGEST_S = 120


class Estimate:
    """Seconds a look of the model, seconds a pixel of decoding and encoding, lately."""

    def __init__(self, threads: int) -> None:
        """Nothing is known yet; `threads` decode at once, and as many encode."""
        self._threads = threads
        self._looks = self._model_s = 0.0
        self._pixels = self._pixels_s = 0.0

    def note(self, timings: Timings, pixels: int) -> None:
        """Learn from a colorized photo of so many pixels."""
        if not timings.cached:  # else nothing was seen of the model
            self._looks = _MEMORY * self._looks + timings.looks
            self._model_s = _MEMORY * self._model_s + timings.model_s
        # Sums, not a mean of ratios: a small photo's fixed costs say little about a large one's.
        self._pixels = _MEMORY * self._pixels + pixels
        rest = (timings.decode_s + timings.encode_s + timings.helped_s) / self._threads
        self._pixels_s = _MEMORY * self._pixels_s + rest

    @property
    def known(self) -> bool:
        """Whether a photo was seen at all."""
        return self._looks > 0

    def seconds(self, looks: float, pixels: float) -> float:
        """Seconds of work of photos with so many pixels in all; 0 while nothing is known.

        Args:
            looks: how often the model runs for them: once a photo, or more where it has tiles.
            pixels: of them in all.

        Stages overlap, so the slower one counts.
        """
        if not self.known:
            return 0
        model = looks * self._model_s / self._looks
        rest = pixels * self._pixels_s / self._pixels if self._pixels else 0
        return max(model, rest)

    def retry_after_s(self, seconds: float) -> int:
        """An estimate as whole seconds to wait: 1 to 120, or 2 while nothing is known."""
        if not self.known:
            return _UNKNOWN_S
        return min(max(1, math.ceil(seconds)), _LONGEST_S)
