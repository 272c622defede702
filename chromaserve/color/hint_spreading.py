"""Colours that a person knows at places of a photo, spread to what belongs to those places."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.color.geodesic import Labels, between, from_each, nearest
from chromaserve.color.hint_shapes import Shape, Stroke, areas, lines
from chromaserve.color.random_field import spread_colour
from chromaserve.color.upsampling import apply_model, local_model

Float = NDArray[np.float32]

WORKING_SIDE = 256
"""Of the longer side, at most, where hints are spread: it bounds the time."""
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
_BAND = (
    0.025  # of the longer side: how far within its line an area may end, at an edge of the photo
)


def hint_model(
    shapes: Sequence[Shape],
    size: tuple[int, ...],
    lightness: Callable[[int, int], Float],
) -> Float:
    """Where hints' colours go, as a local model for the photo's size.

    The colour of a disc or a stroke takes the place of the network's in all that belongs to it:
    what can be reached from there without crossing much of an edge of lightness (`nearest`). Of
    several the nearest counts. How much of its colour a pixel has is 1 in a disc or stroke, about 1
    near it in that sense and 0 far from it; between, where the distance alone is a poor judge,
    Levin's optimisation (`spread_colour`) leads it along edges of lightness.

    An area has its colour throughout, and none of it leaves the line around it. In a band within
    that line the colour ends at the photo's own edges, where it has some there: a pixel's share
    tells whether it belongs to the middle of the area or to what is outside (by geodesic distances,
    as in Bai & Sapiro 2007). Areas lie over what spreads from discs and strokes.

    Args:
        shapes: one or more; where two overlap, the later one counts.
        size: height and width of the photo.
        lightness: gives the photo's L squeezed to a height and a width.

    Returns:
        float32 [h', w', 6], a `local_model` of three planes: share in [0, 1], a, b. The photo's
        chroma is (1 - share)·network's + share·(a, b): see `hinted`.
    """
    rows, columns = working_size(size[0], size[1])
    L = lightness(rows, columns)
    smooth = _without_grain(L)
    colours = np.array([(each.a, each.b) for each in shapes], np.float32)
    planes = np.zeros((*L.shape, 3), np.float32)
    labels = lines(shapes, size, L.shape)
    if (labels >= 0).any():
        strokes = np.array([isinstance(each, Stroke) for each in shapes])
        distance, number = _distance(smooth, labels, strokes)
        planes = np.dstack([_share(L, distance, labels), colours[number]])
    owners = areas(shapes, size, L.shape, labels)
    if (owners >= 0).any():
        _lay(_share_of_areas(smooth, owners), colours[owners], planes)
    radius, eps = _FOLLOWING
    if (rows, columns) == size[:2]:
        radius = 0  # every pixel has been looked at
    return local_model(planes, L, radius=radius, eps=eps)


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


def _distance(smooth: Float, labels: Labels, strokes: NDArray[np.bool_]) -> tuple[Float, Labels]:
    """Distance from the nearest shape, in which 1 is a clear edge, and that shape's number.

    A pixel is compared with a disc's mean lightness; a stroke crosses things, and what counts is
    where on it the way begins.
    """
    inside = labels >= 0
    pixels = np.where(inside, np.arange(labels.size, dtype=np.int32).reshape(labels.shape), -1)
    distance, source = nearest(smooth / _LIGHTNESS, pixels, step=_step(smooth))
    number = labels.ravel()[source]
    sizes = np.bincount(labels[inside], minlength=len(strokes))
    means = np.bincount(labels[inside], smooth[inside], len(strokes)) / np.maximum(sizes, 1)
    own = np.where(strokes[number], smooth.ravel()[source], means[number])
    distance += np.abs(smooth - own.astype(np.float32)) * np.float32(_ALIKE / _LIGHTNESS)
    return distance, number


def _step(L: Float) -> float:
    return float(1 / (_SIDE * max(L.shape)))


def _share_of_areas(smooth: Float, owners: Labels) -> Float:
    """How much each pixel has of the area that it lies in: float32 [h, w] in [0, 1]."""
    cores = np.zeros(owners.shape, bool)
    for number in np.unique(owners[owners >= 0]):
        within = (owners == number).astype(np.uint8)
        deep = cv2.distanceTransform(within, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        cores |= deep > min(_BAND * max(owners.shape), 0.5 * float(deep.max()))
    core, outside = between(smooth / _LIGHTNESS, owners, cores, step=_step(smooth))
    outside = np.where(np.isinf(outside), np.float32(1e6), outside)  # all of the photo
    core = np.where(np.isinf(core), np.float32(0), core)  # a small part that its line cuts off
    share = np.square(outside) / (np.square(outside) + np.square(core) + np.float32(1e-12))
    share[cores] = 1
    share[owners < 0] = 0
    return np.asarray(share, np.float32)


def _lay(share: Float, colours: Float, over: Float) -> None:
    """Lay colours [h, w, 2] over planes of share, a and b, in place: which changes both."""
    below = (1 - share) * over[..., 0]
    over[..., 0] = share + below
    part = (share / np.maximum(over[..., 0], np.float32(1e-6)))[..., np.newaxis]
    over[..., 1:] += part * (colours - over[..., 1:])


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
