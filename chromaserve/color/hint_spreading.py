"""Colours that a person knows at places of a photo, spread to what belongs to those places."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.color.geodesic import Labels, from_each, nearest
from chromaserve.color.random_field import spread_colour
from chromaserve.color.upsampling import apply_model, local_model

Float = NDArray[np.float32]

WORKING_SIDE = 256
"""Of the longer side, at most, where hints are spread: it bounds the time."""
DEFAULT_RADIUS = 0.01
"""Of the photo's longer side."""

# Chosen on photos, by benchmarks/hints.py.
_LIGHTNESS = 4.0  # an edge of that much L is as far ...
_SIDE = 0.5  # ... as this part of the longer side
_ALIKE = 1.0  # and as a difference of L from the hint's, in the end, by _LIGHTNESS / _ALIKE
_REACH = 5.0  # the distance at which a colour is half the hint's
_FADE = 0.6  # of that distance, where it fades
_GRAIN = 2, 4.0  # window and deviation of L: below is grain and texture, which is no way to go
_CERTAIN = 10.0  # confidence in a hint
_TRUST = 0.02  # and in what the distance tells, where it tells most
_FOLLOWING = 2, 1e-3  # radius and eps of the guided filter that leads to the photo's size
_NOTHING = 0.02  # a share of a hint that is no share


@dataclass(frozen=True)
class Disc:
    """A place, in pixels of the photo from its top left corner, and its colour in Lab."""

    x: float
    y: float
    radius: float | None
    """None: DEFAULT_RADIUS."""
    a: float
    b: float


def hint_model(
    discs: Sequence[Disc],
    size: tuple[int, ...],
    lightness: Callable[[int, int], Float],
) -> Float:
    """Where hints' colours go, as a local model for the photo's size.

    A hint's colour takes the place of the network's in all that belongs to the hint: what can be
    reached from its disc without crossing much of an edge of lightness (`nearest`). Of several
    hints the nearest counts. How much of its colour a pixel has is
    1 in a disc, about 1 near it in that sense and 0 far from it; between, where the distance alone
    is a poor judge, Levin's optimisation (`spread_colour`) leads it along edges of lightness.

    Args:
        discs: one or more; where two overlap, the later one counts.
        size: height and width of the photo.
        lightness: gives the photo's L squeezed to a height and a width.

    Returns:
        float32 [h', w', 6], a `local_model` of three planes: share in [0, 1], a, b. The photo's
        chroma is (1 - share)·network's + share·(a, b): see `hinted`.
    """
    rows, columns = working_size(size[0], size[1])
    L = lightness(rows, columns)
    labels = _labels(discs, (rows / size[0], columns / size[1]), L.shape, max(size))
    distance, nearest_disc = _distance(L, labels)
    share = _share(L, distance, labels)
    colours = np.array([(disc.a, disc.b) for disc in discs], np.float32)[nearest_disc]
    radius, eps = _FOLLOWING
    if (rows, columns) == size[:2]:
        radius = 0  # every pixel has been looked at
    return local_model(np.dstack([share, colours]), L, radius=radius, eps=eps)


def hinted(ab: Float, L: Float, model: Float) -> Float:
    """Chroma with hints: float32 [H, W, 2], of the photo's without, its L [H, W] and `hint_model`.

    `Recombination` does the same a strip at a time.
    """
    planes = apply_model(model, L)
    share = clear_share(planes[..., :1])
    return np.asarray(ab + share * (planes[..., 1:] - ab), np.float32)


def reach(L: Float, places: NDArray[np.intp]) -> Float:
    """How much of a hint's colour every pixel would have about, were it the only one.

    By the distance alone, so that many places can be tried on a small copy of a photo.

    Args:
        L: float32 [h, w] in [0, 100].
        places: [n], rows times w plus columns.

    Returns:
        float32 [n, h·w] in [0, 1].
    """
    smooth = _without_grain(L)
    distance = from_each(smooth / _LIGHTNESS, places, step=1 / (_SIDE * max(L.shape)))
    apart = np.abs(smooth.ravel() - smooth.ravel()[places, np.newaxis])
    return _likely(distance + apart * np.float32(_ALIKE / _LIGHTNESS))


def clear_share(share: Float) -> Float:
    """Exactly 0 and 1 where a share is nearly that, in place: a far hint changes no byte."""
    share -= np.float32(_NOTHING)
    share *= np.float32(1 / (1 - 2 * _NOTHING))
    return np.clip(share, 0, 1, out=share)


def working_size(height: int, width: int) -> tuple[int, int]:
    """The photo's size, or WORKING_SIDE for the longer side if that is smaller."""
    scale = min(1.0, WORKING_SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _labels(
    discs: Sequence[Disc], scale: tuple[float, float], shape: tuple[int, ...], side: int
) -> Labels:
    """The number of the disc that a pixel lies in, or -1: int32 [h, w]."""
    labels = np.full(shape, -1, np.int32)
    y, x = np.arange(shape[0]) + 0.5, np.arange(shape[1]) + 0.5
    for i, disc in enumerate(discs):
        radius = disc.radius or DEFAULT_RADIUS * side
        dy = (y / scale[0] - disc.y) / radius
        dx = (x / scale[1] - disc.x) / radius
        rows, columns = np.flatnonzero(np.abs(dy) <= 1), np.flatnonzero(np.abs(dx) <= 1)
        if rows.size and columns.size:
            inside = dy[rows, np.newaxis] ** 2 + dx[columns] ** 2 <= 1
            block = labels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            block[inside] = i
        # However small a disc is, it has the pixel that it lies in.
        at = min(int(disc.y * scale[0]), shape[0] - 1), min(int(disc.x * scale[1]), shape[1] - 1)
        labels[at] = i
    return labels


def _distance(L: Float, labels: Labels) -> tuple[Float, Labels]:
    """Distance from the nearest disc, in which 1 is a clear edge, and that disc's number."""
    smooth = _without_grain(L)
    step = 1 / (_SIDE * max(L.shape))
    distance, disc = nearest(smooth / _LIGHTNESS, labels, step=step)
    count = int(labels.max()) + 1
    inside = labels >= 0
    sizes = np.bincount(labels[inside], minlength=count)
    means = np.bincount(labels[inside], smooth[inside], count) / np.maximum(sizes, 1)
    distance += np.abs(smooth - means[disc].astype(np.float32)) * np.float32(_ALIKE / _LIGHTNESS)
    return distance, disc


def _without_grain(L: Float) -> Float:
    """L by its own guided filter (He, Sun & Tang 2010), which keeps edges."""
    radius, deviation = _GRAIN
    window = (2 * radius + 1, 2 * radius + 1)

    def mean(plane: Float) -> Float:
        return np.asarray(cv2.blur(plane, window), np.float32).reshape(plane.shape)

    average = mean(L)
    variance = np.maximum(mean(L * L) - average**2, 0)
    slope = variance / (variance + np.float32(deviation**2))
    return mean(slope) * L + mean(average - slope * average)


def _share(L: Float, distance: Float, labels: Labels) -> Float:
    """How much of the nearest hint's colour each pixel has: float32 [h, w] in [0, 1]."""
    inside = labels >= 0
    likely = _likely(distance)
    likely[inside] = 1
    confidence = (_TRUST * (2 * likely - 1) ** 2).astype(np.float32) + np.float32(1e-3 * _TRUST)
    confidence[inside] = _CERTAIN
    plane = np.dstack([likely, np.zeros_like(likely)])
    share = spread_colour(100 * plane, L, confidence)[..., 0] / 100
    share[inside] = 1
    return np.clip(share, 0, 1)


def _likely(distance: Float) -> Float:
    """The share that the distance alone tells, of its shape."""
    likely = 1 / (1 + np.exp(np.minimum(4 * (distance / _REACH - 1) / _FADE, 30)))
    return np.asarray(np.minimum(likely * np.float32(1 + np.exp(-4 / _FADE)), 1), np.float32)
