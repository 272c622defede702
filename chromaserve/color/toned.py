"""Whether a photo has colours, or is grey, or grey with a tone: sepia, tint, cast, noise."""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from chromaserve.color.lab import srgb_to_lab

Colour = Literal["colour", "grey", "toned"]
SAMPLE: Final = 128
"""Pixels of the longer side of what is looked at: means of areas, in which grain is gone."""
_LEVELS = 12
_GREY_CHROMA = 2.0
_MOST_CHROMA = 8.0


def judge(rgb: NDArray[np.uint8]) -> Colour:
    """Judge uint8 [N, 3] of sRGB.

    A tone is a chroma for each lightness. What is left where that is taken away is a photo's own
    colour: in a toned one little, whatever the tone.
    """
    left, whole = measures(rgb)
    if left > _MOST_CHROMA:
        return "colour"
    return "grey" if whole < _GREY_CHROMA else "toned"


def measures(rgb: NDArray[np.uint8]) -> tuple[float, float]:
    """Chroma that a tone does not explain, and all chroma: what few pixels exceed."""
    L, ab = (plane[0] for plane in srgb_to_lab(rgb[np.newaxis]))
    order = np.argsort(L, kind="stable")
    rest = np.empty_like(ab)
    for part in np.array_split(order, _LEVELS):
        if len(part):
            rest[part] = ab[part] - np.median(ab[part], axis=0)
    left, whole = (np.hypot(each[:, 0], each[:, 1]) for each in (rest, ab))
    return float(np.quantile(left, 0.95)), float(np.quantile(whole, 0.95))
