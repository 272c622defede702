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
        points = np.asarray(each.points, float)
        radius = (each.radius or DEFAULT_RADIUS * max(size)) * scale
        ends = points * scale
        for start, end in zip(ends, ends[1:] if len(ends) > 1 else ends, strict=False):
            _thick(labels, start, end, radius, i)
        pixels = np.minimum(ends.astype(np.int32), np.array(shape[1::-1], np.int32) - 1)
        cv2.polylines(labels, [pixels.reshape(-1, 1, 2)], False, i)
        labels[pixels[0, 1], pixels[0, 0]] = i  # of one point OpenCV draws nothing
    return labels


def areas(shapes: Sequence[Shape], size: tuple[int, ...], shape: tuple[int, ...]) -> Labels:
    """The number of the area that covers half of a pixel or more, the latest one's; -1 elsewhere.

    Discs and strokes that come after an area are cut out of it. Arguments and what is returned are
    those of `lines`; however small an area is, it has the pixel of its first point.
    """
    labels = np.full(shape[:2], -1, np.int32)
    drawn = lines(shapes, size, shape)
    rows, columns = shape[:2]
    for i, each in enumerate(shapes):
        if not isinstance(each, Area):
            continue
        points = np.asarray(each.points, float) * (columns / size[1], rows / size[0])
        inside = np.zeros((rows * _FINE, columns * _FINE), np.uint8)
        # Centres of the samples, which OpenCV takes for whole numbers, in 1/16.
        fine = np.rint((points * _FINE - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(inside, [fine.reshape(-1, 1, 2)], 1, cv2.LINE_8, 4)
        covered = inside.reshape(rows, _FINE, columns, _FINE).mean(axis=(1, 3)) >= 0.5
        if not covered.any():
            x, y = np.minimum(points[0].astype(int), (columns - 1, rows - 1))
            covered[y, x] = True
        labels[covered] = i
    labels[drawn > labels] = -1
    return labels


def _thick(
    labels: Labels,
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    radius: NDArray[np.float64],
    number: int,
) -> None:
    """Mark what is within a radius, by x and y, of the line between two points of the copy."""
    low = np.maximum(np.floor(np.minimum(start, end) - radius), 0).astype(int)
    high = np.ceil(np.maximum(start, end) + radius).astype(int)
    block = labels[low[1] : high[1], low[0] : high[0]]
    y, x = np.ogrid[: block.shape[0], : block.shape[1]]
    dx, dy = (x + low[0] + 0.5 - start[0]) / radius[0], (y + low[1] + 0.5 - start[1]) / radius[1]
    along = (end - start) / radius
    length = float(along @ along)
    t = np.clip((dx * along[0] + dy * along[1]) / length, 0, 1) if length else 0
    block[(dx - t * along[0]) ** 2 + (dy - t * along[1]) ** 2 <= 1] = number
