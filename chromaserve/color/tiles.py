"""A closer look at wide, tall and crowded photos: tiles that overlap, joined with the whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from chromaserve.color.look import substance
from chromaserve.store.contract import NETWORK_SIZE, squeeze

Float = NDArray[np.float32]

Box = tuple[float, float, float, float]
"""Left, top, width and height."""

Look = Literal["auto", "whole", "tiles"]
"""How the network looks at a photo: see `tiling`."""

MAX_TILES: Final = 25
_WIDE = 2.0  # aspect from which on the network's square view of a whole photo is too narrow
_ACROSS = 3  # tiles side by side along the shorter side, at most
_HALF = NETWORK_SIZE // 2
CLOSE_FADE: Final = NETWORK_SIZE // 4
"""Pixels within which a close-up fades where the photo goes on."""
_NEAR, _FAR = 0.7, 1.2  # of a face, from its middle: what a close-up counts for in full, and at all
_WHOLE = 0.02  # weight of the whole view beside tiles in which there is something to see


@dataclass(frozen=True)
class Tiling:
    """Tiles of a photo: where each lies in a plane of which it is 224 × 224."""

    size: tuple[int, int]
    """Height and width of the plane."""
    corners: tuple[tuple[int, int], ...]
    """The upper left one of each tile, row and column."""
    faces: tuple[Box, ...] = ()
    """Of close-ups, which count for these and what is around them; others cover the photo."""

    @property
    def count(self) -> int:
        """Tiles in all."""
        return len(self.corners)

    def places(self) -> list[tuple[slice, slice]]:
        """Where each tile lies in the plane."""
        return [(slice(y, y + NETWORK_SIZE), slice(x, x + NETWORK_SIZE)) for y, x in self.corners]

    def weights(self) -> list[Float]:
        """Each tile's, float32 [224, 224, 1]: they fade where the photo goes on.

        Where tiles cover the photo, those of all add up to 1 at every pixel.
        """
        fade = CLOSE_FADE if self.faces else _HALF
        rows, columns = self.size
        ways = [(_ramp(y, rows, fade), _ramp(x, columns, fade)) for y, x in self.corners]
        return [np.outer(down, along)[..., np.newaxis] for down, along in ways]

    def share(self) -> Float:
        """What close-ups count beside the whole view: float32 [h, w, 1], 1 on faces, 0 far off."""
        found = np.zeros(self.size, np.float32)
        for left, top, width, height in self.faces:
            x, y = left + width / 2, top + height / 2
            first, start = max(0, int(y - _FAR * height)), max(0, int(x - _FAR * width))
            part = found[first : int(y + _FAR * height) + 1, start : int(x + _FAR * width) + 1]
            down = (np.arange(part.shape[0]) + first - y) / height
            along = (np.arange(part.shape[1]) + start - x) / width
            distance = np.hypot(down[:, np.newaxis], along)
            share = np.clip((_FAR - distance) / (_FAR - _NEAR), 0, 1)
            np.maximum(part, share**2 * (3 - 2 * share), out=part)
        return found[..., np.newaxis]


def grid(rows: int, columns: int) -> Tiling:
    """Tiles in rows and columns; neighbours have half of a tile in common."""
    corners = tuple(
        (_HALF * row, _HALF * column) for row in range(rows) for column in range(columns)
    )
    return Tiling(((rows + 1) * _HALF, (columns + 1) * _HALF), corners)


def tiling(width: int, height: int, look: Look) -> Tiling | None:
    """The tiles of a photo, or None where it is looked at as a whole only.

    Args:
        width: of the photo in pixels.
        height: of it.
        look: "whole": no tiles; "auto": where a side is at least twice the other, tiles as high (or
            wide) as the photo; "tiles": of any photo, and smaller ones where it
            has pixels for them, up to three side by side along the shorter side. Close-ups that
            there are with "auto" do not count.

    Returns:
        At most 25 tiles, nearly square as long as these suffice.
    """
    short, long = sorted((width, height))
    wide = long >= _WIDE * short
    if look == "whole" or (look == "auto" and not wide):
        return None
    across = 1 if look == "auto" else min(max(1, short // NETWORK_SIZE), _ACROSS)
    while across > 1 and (2 * across - 1) * _along(long, short, across) > MAX_TILES:
        across -= 1
    if across == 1 and not wide:
        return None
    few, many = 2 * across - 1, min(_along(long, short, across), MAX_TILES)
    return grid(few, many) if height <= width else grid(many, few)


def _along(long: int, short: int, across: int) -> int:
    """Tiles along the longer side."""
    return max(2 * across - 1, round(2 * across * long / short) - 1)


def joined(whole: Float, seen: Sequence[Float], tiles: Sequence[Float], tiling: Tiling) -> Float:
    """Chroma of a photo by all looks at it.

    Tiles fade into each other over what they have in common, and close-ups into the whole view, so
    there are no seams. Where a tile has nothing to see, a piece of clear sky, or there is none, the
    whole view counts.

    Args:
        whole: float32 [h, w, 2] in Lab units, the network's answer for the whole photo, or what was
            joined of that and other tiles.
        seen: float32 [224, 224, 1], lightness of each tile as the network had it.
        tiles: float32 [224, 224, 2], its answers for them.
        tiling: where they lie.

    Returns:
        float32 [h, w, 2] in Lab units, of the tiling's size.
    """
    height, width = tiling.size
    ab, weights = np.zeros((height, width, 2), np.float32), np.zeros((height, width, 1), np.float32)
    bare = np.ones((height, width, 1), np.float32)  # what no tile has
    ways = zip(tiling.places(), tiling.weights(), seen, tiles, strict=True)
    for place, weight, L, answer in ways:
        bare[place] -= weight
        weight *= np.float32(substance(L[..., 0]))
        ab[place] += weight * answer
        weights[place] += weight
    base = np.maximum(bare, 0, out=bare)
    base += _WHOLE
    ab += base * squeeze(whole, height, width)
    weights += base
    ab /= weights
    return ab


def _ramp(start: int, length: int, fade: int) -> Float:
    """Weights along one side of a tile, [224]: it fades at an end that is not the photo's."""
    ramp = np.ones(NETWORK_SIZE, np.float32)
    rise = np.sin(np.pi * (np.arange(fade) + 0.5) / (2 * fade)) ** 2
    if start > 0:
        ramp[:fade] = rise
    if start + NETWORK_SIZE < length:
        ramp[-fade:] = rise[::-1]
    return ramp
