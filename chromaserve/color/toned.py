"""Whether a photo has colours, or is grey, or grey with a tone: sepia, tint, cast, noise."""

from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.color.lab import srgb_to_lab

Colour = Literal["colour", "grey", "toned"]
SAMPLE: Final = 128
"""Pixels of the longer side of what is looked at: means of areas, in which grain is gone."""
_BLUR = 5
_LEVELS = 12
_ALONG = 0.35
"""What counts of a chroma in the direction of the whole photo's: stains are deeper tints."""
_FEW = 0.98
_GREY_CHROMA = 2.0
_MOST_CHROMA = 5.0


def judge(rgb: NDArray[np.uint8]) -> Colour:
    """Judge uint8 [H, W, 3] of sRGB, a photo at a small size.

    A tone is a chroma for each lightness. What is left where that is taken away is a photo's own
    colour: in a toned one little, whatever the tone. `benchmarks/toned.py` measures it.
    """
    own, whole = measures(rgb)
    if own > _MOST_CHROMA:
        return "colour"
    return "grey" if whole < _GREY_CHROMA else "toned"


def measures(rgb: NDArray[np.uint8]) -> tuple[float, float]:
    """Chroma that a tone does not explain, and all chroma: what few pixels exceed."""
    L, ab = srgb_to_lab(rgb)
    L = np.asarray(cv2.blur(L, (_BLUR, _BLUR)), np.float32).reshape(-1)
    ab = np.asarray(cv2.blur(ab, (_BLUR, _BLUR)), np.float32).reshape(-1, 2)
    order = np.argsort(L, kind="stable")
    rest = np.empty_like(ab)
    for part in np.array_split(order, _LEVELS):
        if len(part):
            rest[part] = ab[part] - np.median(ab[part], axis=0)
    along, across = rest[:, 0], rest[:, 1]
    a, b = np.median(ab, axis=0)
    tint = np.hypot(a, b)
    if tint > _GREY_CHROMA:
        along, across = rest @ [a / tint, b / tint] * _ALONG, rest @ [-b / tint, a / tint]
    own, whole = np.hypot(along, across), np.hypot(ab[:, 0], ab[:, 1])
    return float(np.quantile(own, _FEW)), float(np.quantile(whole, _FEW))
