"""Where a colour hint would help most: the places to ask somebody about who knows the photo."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chromaserve.color.hint_shapes import Shape, areas, lines
from chromaserve.color.hint_spreading import reach
from chromaserve.store.contract import squeeze

Float = NDArray[np.float32]
Place = tuple[float, float]
"""x and y, in parts of the photo's width and height."""

SIDE: Final = 48
"""Of the longer side of the copy, at most, that places are looked for on."""
PLACES: Final = 3
"""Suggested, at most."""

# Chosen on the half of `val` that confidence is calibrated on.
_EVERY = 4  # pixels of that copy, a candidate
_APART = 0.12  # of the longer side, between two places
_MOST_KNOWN = 200  # places of hints that are reckoned with
_UNLIKE = 1.0  # how much a difference in the answer's colour speaks against sharing a hint


@dataclass(frozen=True)
class Ground:
    """A small copy of a photo, on which places are compared."""

    L: Float
    """float32 [h, w] in [0, 100]."""
    ab: Float
    """float32 [h, w, 2], the model's answer."""
    squared: Float
    """float32 [h·w], the squared error that is expected."""
    known: NDArray[np.intp]
    """Where discs and strokes are already, rows times w plus columns; not every pixel of many."""


def ground(
    L: Float, ab: Float, error: Float, size: tuple[int, int], hints: Sequence[Shape]
) -> Ground:
    """The small copy of a photo, its expected error lessened by the hints that it has.

    Args:
        L: float32 [H, W] in [0, 100], the photo's lightness, at whatever size and aspect ratio.
        ab: float32 [H', W', 2], the model's answer.
        error: float32 [h', w'], what is expected of it, in Lab units.
        size: width and height of the photo.
        hints: that it has.
    """
    scale = SIDE / max(size)
    width, height = (max(1, min(SIDE, round(scale * side))) for side in size)
    L, ab = squeeze(L, height, width), squeeze(ab, height, width)
    squared = np.square(squeeze(error, height, width)).ravel()
    drawn = lines(hints, size[::-1], L.shape)
    known = np.flatnonzero(drawn >= 0)
    known = known[:: 1 + known.size // _MOST_KNOWN]
    if known.size:
        squared = squared * np.square(1 - reach(L, known).max(0))
    squared[areas(hints, size[::-1], L.shape, drawn).ravel() >= 0] = 0
    return Ground(L, ab, squared, known)


def suggested(on: Ground) -> list[Place]:
    """Up to `PLACES` places, the most helpful first, apart from each other and from hints.

    What a hint brings is the expected squared error of all that its colour would reach, less what
    that colour would be wrong by there: the answer's own difference from the hint's place.
    """
    height, width = on.L.shape
    y, x = (_candidates(side) for side in (height, width))
    y, x = (each.ravel() for each in np.meshgrid(y, x, indexing="ij"))
    places = y * width + x
    shares = reach(on.L, places)
    colours = on.ab.reshape(-1, 2)
    unlike = np.square(colours - colours[places, np.newaxis]).sum(-1)
    squared, free = on.squared, on.squared[places] > 0
    for taken in on.known:
        free &= _far(y, x, taken, on.L.shape)
    found: list[Place] = []
    while free.any() and len(found) < PLACES:
        brings = (shares * (squared - _UNLIKE * unlike)).sum(1)
        best = int(np.where(free, brings, -np.inf).argmax())
        found.append(((x[best] + 0.5) / width, (y[best] + 0.5) / height))
        squared = squared * np.square(1 - shares[best])
        free &= _far(y, x, places[best], on.L.shape)
    return found


def _candidates(side: int) -> NDArray[np.intp]:
    return np.arange(min(_EVERY, side) // 2, side, _EVERY)


def _far(
    y: NDArray[np.intp], x: NDArray[np.intp], place: np.intp, shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    row, column = divmod(int(place), shape[1])
    return np.hypot(y - row, x - column) >= _APART * max(shape)
