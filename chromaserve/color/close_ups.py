"""Which parts of a photo the network sees close: those with faces that are small in it.

In the square view of a photo, small faces lose their colour: what the network sees of them is too
little to be skin.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chromaserve.color.tiles import CLOSE_FADE, MAX_TILES, Look, Tiling, tiling
from chromaserve.store.contract import NETWORK_SIZE

Float = NDArray[np.float32]

MAX_CLOSE_UPS: Final = 9
_FROM: Final = 2 * NETWORK_SIZE  # pixels of the longer side, where there is more than was seen
# Sizes of faces are roots of their areas, by the side of the view that they are in.
_SMALL: Final = 0.12  # a face below which loses its colour
_FACE: Final = 0.2  # what it has in a close-up
_CLOSEST: Final = 4  # times that the whole view is enlarged by, at most
_LEAST: Final = 150  # pixels of the photo in a close-up
_WIDER: Final = 1.1  # times by which close-ups are larger, as long as there are too many
_PAYS: Final = 1.3  # times that they enlarge faces by, at least
_FACES: Final = 200  # of which there are any
_HALF = NETWORK_SIZE // 2


def may_have(width: int, height: int) -> bool:
    """Whether a photo of that size has close-ups at all, were there small faces in it."""
    short, long = sorted((width, height))
    return long >= _FROM and _PAYS * _least(width, height) <= short


def most_tiles(width: int, height: int, look: Look) -> int:
    """How many tiles a photo of that size has at most, close-ups included, whatever is in it."""
    tiles = tiling(width, height, look)
    if look != "auto" or not may_have(width, height):
        return tiles.count if tiles else 0
    return MAX_TILES if tiles else MAX_CLOSE_UPS


def close_ups(width: int, height: int, tiles: Tiling | None, faces: Float) -> Tiling | None:
    """Close-ups of a photo's small faces: as few as have them all, and those as close as that lets.

    Args:
        width: of the photo in pixels.
        height: of it.
        tiles: in which it is seen in any case; see `tiling`.
        faces: float32 [N, 4], left, top, width and height in pixels; the edges may cut them.

    Returns:
        Up to nine, or with `tiles` as many as make 25; None where no face is small, or too many are
        for that few.
    """
    short = min(width, height)
    view = short if tiles else (width * height) ** 0.5
    most = MAX_TILES - tiles.count if tiles else MAX_CLOSE_UPS
    sizes = np.sqrt(faces[:, 2] * faces[:, 3])
    small = sizes < _SMALL * view
    if not small.any():
        return None
    faces = faces[small][:_FACES]
    middles: NDArray[np.floating] = (faces[:, :2] + faces[:, 2:] / 2)[:, ::-1]
    middles = np.clip(middles, 0, (height, width))
    side = max(float(np.median(sizes[small])) / _FACE, _least(width, height))
    while _PAYS * side <= view and side <= short:
        scale = NETWORK_SIZE / side
        plane = round(height * scale), round(width * scale)
        corners = _covering(middles * scale, plane)
        if len(corners) <= most:
            boxes = ((box * scale).tolist() for box in faces)
            return Tiling(plane, tuple(corners), tuple((x, y, w, h) for x, y, w, h in boxes))
        side *= _WIDER
    return None


def _least(width: int, height: int) -> float:
    """Pixels of the photo along the side of a close-up, at least."""
    return max(float(_LEAST), math.sqrt(width * height) / _CLOSEST)


def _covering(points: NDArray[np.floating], plane: tuple[int, int]) -> list[tuple[int, int]]:
    """Corners of tiles that have every point, row and column, where they do not fade."""
    most = np.array(plane) - NETWORK_SIZE
    corners = []
    while len(points):
        # From the top on, and there from the left.
        row = points[:, 0].min()
        first = np.array((row, points[points[:, 0] <= row + _HALF, 1].min()))
        near = points[((points >= first) & (points <= first + _HALF)).all(axis=1)]
        middle = (near.min(axis=0) + near.max(axis=0)) / 2
        corner = np.clip(np.rint(middle - _HALF), 0, most).astype(int)
        start = corner + CLOSE_FADE * (corner > 0)
        stop = corner + NETWORK_SIZE - CLOSE_FADE * (corner < most)
        corners.append((int(corner[0]), int(corner[1])))
        points = points[((points < start - 1) | (points > stop + 1)).any(axis=1)]
    return corners
