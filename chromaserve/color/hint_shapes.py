"""What of a photo colour hints name: discs, strokes and areas, as pixels of a small copy."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int32]
Point = tuple[float, float]
"""x and y, in pixels of the photo from its top left corner."""

DEFAULT_RADIUS = 0.01
"""Of the photo's longer side."""
_AT_ONCE = 256  # pieces of a line
_FINE = 4  # samples a pixel and side, of how much of it an area covers


@dataclass(frozen=True)
class Disc:
    """A place and its colour in Lab."""

    x: float
    y: float
    radius: float | None
    """In pixels of the photo. None: DEFAULT_RADIUS."""
    a: float
    b: float

    @property
    def points(self) -> Sequence[Point]:
        """Its middle, as a stroke of one point."""
        return ((self.x, self.y),)


@dataclass(frozen=True)
class Stroke:
    """A line with corners, as thick as twice its radius, and its colour in Lab."""

    points: Sequence[Point]
    """One or more."""
    radius: float | None
    """In pixels of the photo. None: DEFAULT_RADIUS."""
    a: float
    b: float


@dataclass(frozen=True)
class Area:
    """What a closed line encloses, by the even-odd rule where it crosses itself; and its colour."""

    points: Sequence[Point]
    """Three or more."""
    a: float
    b: float


Shape = Disc | Stroke | Area


def lines(shapes: Sequence[Shape], size: tuple[int, ...], shape: tuple[int, ...]) -> Labels:
    """The number of the disc or stroke that a pixel lies in, the latest one's; -1 elsewhere.

    Args:
        shapes: areas among them are left out.
        size: height and width of the photo.
        shape: height and width of the copy.

    Returns:
        int32 [h, w]. However small a disc or thin a stroke is, it has the pixels that it lies in.
    """
    labels = np.full(shape[:2], -1, np.int32)
    scale = np.array([shape[1] / size[1], shape[0] / size[0]])
    for i, each in enumerate(shapes):
        if isinstance(each, Area):
            continue
        ends = np.asarray(each.points, float) * scale
        _thick(labels, ends, (each.radius or DEFAULT_RADIUS * max(size)) * scale, i)
        pixels = np.minimum(ends.astype(np.int32), np.array(shape[1::-1], np.int32) - 1)
        cv2.polylines(labels, [pixels.reshape(-1, 1, 2)], False, i)
        labels[pixels[0, 1], pixels[0, 0]] = i  # of one point OpenCV draws nothing
    return labels


def areas(
    shapes: Sequence[Shape], size: tuple[int, ...], shape: tuple[int, ...], drawn: Labels
) -> Labels:
    """The number of the area that covers half of a pixel or more, the latest one's; -1 elsewhere.

    Discs and strokes that come after an area are cut out of it: `drawn`, which `lines` gives for
    the same. Other arguments and what is returned are those of `lines`; however small an area is,
    it has the pixel of its first point.
    """
    labels = np.full(shape[:2], -1, np.int32)
    sides = np.array(shape[1::-1])
    for i, each in enumerate(shapes):
        if not isinstance(each, Area):
            continue
        points = np.asarray(each.points, float) * (sides / size[1::-1])
        # With a pixel around it, in which OpenCV cuts no line off.
        low = np.maximum(points.min(0).astype(int) - 1, 0)
        columns, rows = np.minimum(points.max(0).astype(int) + 2, sides) - low
        inside = np.zeros((rows * _FINE, columns * _FINE), np.uint8)
        # Centres of the samples, which OpenCV takes for whole numbers, in 1/16.
        fine = np.rint(((points - low) * _FINE - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(inside, [fine.reshape(-1, 1, 2)], _FINE**2, cv2.LINE_8, 4)
        samples = cv2.resize(inside, (int(columns), int(rows)), interpolation=cv2.INTER_AREA)
        covered = samples >= _FINE**2 / 2
        if not covered.any():
            x, y = np.minimum(points[0].astype(int), sides - 1) - low
            covered[y, x] = True
        labels[low[1] : low[1] + rows, low[0] : low[0] + columns][covered] = i
    labels[drawn > labels] = -1
    return labels


def _thick(
    labels: Labels, ends: NDArray[np.float64], radius: NDArray[np.float64], number: int
) -> None:
    """Mark what is within a radius, by x and y, of the line through points of the copy.

    By the first and the last pixel of every row within that of every piece of the line: what this
    takes does not depend on the radius, and little on the length.
    """
    low = np.maximum(np.floor(ends.min(0) - radius), 0).astype(int)
    high = np.ceil(ends.max(0) + radius).astype(int)
    block = labels[low[1] : high[1], low[0] : high[0]]
    rows, columns = block.shape
    steps = np.zeros((rows, columns + 1), np.int32)  # of how many pieces have a pixel, along a row
    y = (np.arange(rows) + low[1] + 0.5) / radius[1]
    if len(ends) == 1:
        ends = ends.repeat(2, 0)
    for i in range(0, len(ends) - 1, _AT_ONCE):
        some = ends[i : i + _AT_ONCE + 1] / radius
        starts, ways = some[:-1], np.diff(some, axis=0)
        first, there = _edges(starts, ways, y, -1)
        last, _ = _edges(starts, ways, y, 1)
        first = np.ceil(first * radius[0] - 0.5 - low[0]).clip(0, columns).astype(int)
        last = np.floor(last * radius[0] + 0.5 - low[0]).clip(0, columns).astype(int)
        there &= first < last
        row = np.nonzero(there)[1]
        np.add.at(steps, (row, first[there]), 1)
        np.add.at(steps, (row, last[there]), -1)
    block[steps[:, :-1].cumsum(1) > 0] = number


def _edges(
    starts: NDArray[np.float64], ways: NDArray[np.float64], y: NDArray[np.float64], side: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Where, at each y, what is within 1 of each piece of a line begins (side -1) or ends (1).

    Args:
        starts: [n, 2], x and y of each piece's start.
        ways: [n, 2], from there to its end.
        y: [h].
        side: which.

    Returns:
        x [n, h], and where there is any. Of the discs around a piece's points one has its edge
        farthest out: where the piece is a tangent's, or at an end.
    """
    (x0, y0), (dx, dy) = starts.T[..., np.newaxis], ways.T[..., np.newaxis]
    length = np.hypot(dx, dy)
    level = dy == 0
    below = -side * np.sign(dy) * dx / np.where(length > 0, length, 1)  # y from that disc's middle
    along = (y - y0 - below) / np.where(level, 1, dy)
    along = np.where(level, side * dx > 0, np.clip(along, 0, 1))
    below = y - y0 - along * dy
    half = np.sqrt(np.maximum(1 - below**2, 0))
    return x0 + along * dx + side * half, np.abs(below) <= 1
