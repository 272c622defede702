"""Near-duplicates across splits: training photos that are held-out ones mirrored, cropped, altered.

The perceptual hash is pHash's (Zauner 2010) before it is cut to bits: the low frequencies of a
small grey picture's cosine transform, here as a unit vector, so that near is a large product.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

SIDE = 32
FREQUENCIES = 8
NEAR = 0.9  # see tests/training/test_near_duplicates.py
# Photos have the less of a frequency the higher it is; weighed alike, all skies would be near.
WEIGHTS = np.hypot(*np.mgrid[:FREQUENCIES, :FREQUENCIES]).astype(np.float32)
# Top, left, sides as shares: the whole photo, and crops of it.
WINDOWS = (
    (0.0, 0.0, 1.0),
    *((y, x, 0.95) for y in (0.0, 0.05) for x in (0.0, 0.05)),
    *((y, x, 0.9) for y in (0.0, 0.05, 0.1) for x in (0.0, 0.05, 0.1)),
    *((y, x, 0.8) for y in (0.0, 0.1, 0.2) for x in (0.0, 0.1, 0.2)),
)


def signatures(rgb: NDArray[np.uint8]) -> Float:
    """Unit vectors of a photo's windows: float32 [23, 63], the whole photo's first."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, (4 * SIDE, 4 * SIDE), interpolation=cv2.INTER_AREA)
    found = []
    for top, left, side in WINDOWS:
        y, x, n = (round(4 * SIDE * share) for share in (top, left, side))
        window = cv2.resize(grey[y : y + n, x : x + n], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        low = cv2.dct(window.astype(np.float32))[:FREQUENCIES, :FREQUENCIES] * WEIGHTS
        low = low.ravel()[1:]
        found.append(low / max(float(np.linalg.norm(low)), 1e-6))
    return np.asarray(found, np.float32)


def mirrored(signature: Float) -> Float:
    """The signatures [..., 63] of the photos mirrored: odd horizontal frequencies change sign."""
    sign = np.tile([1, -1], FREQUENCIES * FREQUENCIES // 2)[1:]
    return np.asarray(signature * sign, np.float32)


class HeldOut:
    """The held-out photos that training photos are compared with."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._known: list[Float] = []
        self._whole: Float | None = None
        self._windows: Float | None = None

    def add(self, name: str, signature: Float) -> None:
        """Add a held-out photo's `signatures`."""
        self._names.append(name)
        self._known.append(signature)
        self._whole = self._windows = None

    def nearest(self, signature: Float) -> tuple[str, float]:
        """The held-out photo most like the one with these `signatures`, and how like, up to 1.

        Either's whole is compared with the other's windows, mirrored or not.
        """
        if not self._known:
            return "", 0.0
        if self._windows is None or self._whole is None:
            self._windows = np.concatenate(self._known)
            self._whole = np.stack([each[0] for each in self._known])
        best, name = 0.0, ""
        for own in (signature, mirrored(signature)):
            windows = (self._windows @ own[0]).reshape(len(self._names), -1).max(1)
            likeness = np.maximum(windows, (self._whole @ own.T).max(1))
            i = int(likeness.argmax())
            if likeness[i] > best:
                best, name = float(likeness[i]), self._names[i]
        return name, best
