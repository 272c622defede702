"""A closer look at wide, tall and crowded photos: tiles that overlap, joined with the whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from chromaserve.color.look import substance
from chromaserve.store.contract import NETWORK_SIZE, squeeze

Float = NDArray[np.float32]

Look = Literal["auto", "whole", "tiles"]
"""How the network looks at a photo: see `tiling`."""

MAX_TILES: Final = 25
_WIDE = 2.0  # aspect from which on the network's square view of a whole photo is too narrow
_ACROSS = 3  # tiles side by side along the shorter side, at most
_HALF = NETWORK_SIZE // 2
_WHOLE = 0.02  # weight of the whole view beside tiles in which there is something to see


@dataclass(frozen=True)
class Tiling:
    """Tiles of a photo, in rows and columns; neighbours have half of a tile in common."""

    rows: int
    columns: int

    @property
    def count(self) -> int:
        """Tiles in all."""
        return self.rows * self.columns

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the plane of which every tile is 224 × 224."""
        return (self.rows + 1) * _HALF, (self.columns + 1) * _HALF

    def places(self) -> list[tuple[slice, slice]]:
        """Where each tile lies in that plane, row by row."""
        return [
            (slice(y, y + NETWORK_SIZE), slice(x, x + NETWORK_SIZE))
            for y in range(0, self.rows * _HALF, _HALF)
            for x in range(0, self.columns * _HALF, _HALF)
        ]

    def weights(self) -> list[Float]:
        """Each tile's, float32 [224, 224, 1]: at every pixel those of all tiles add up to 1."""
        down = [_ramp(i, self.rows) for i in range(self.rows)]
        along = [_ramp(i, self.columns) for i in range(self.columns)]
        return [np.outer(y, x)[..., np.newaxis] for y in down for x in along]


def tiling(width: int, height: int, look: Look) -> Tiling | None:
    """The tiles of a photo, or None where it is looked at as a whole only.

    Args:
        width: of the photo in pixels.
        height: of it.
        look: "whole": no tiles; "auto": where a side is at least twice the other, tiles as high (or
            wide) as the photo; "tiles": of any photo, and smaller ones where it has pixels for
            them, up to three side by side along the shorter side.

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
    return Tiling(few, many) if height <= width else Tiling(many, few)


def _along(long: int, short: int, across: int) -> int:
    """Tiles along the longer side."""
    return max(2 * across - 1, round(2 * across * long / short) - 1)


def joined(whole: Float, seen: Sequence[Float], tiles: Sequence[Float], tiling: Tiling) -> Float:
    """Chroma of a photo by all looks at it.

    Tiles fade into each other over the half that they have in common, by weights that add up to 1,
    so there are no seams. Where a tile has nothing to see, a piece of clear sky, the whole view
    counts.

    Args:
        whole: float32 [224, 224, 2] in Lab units, the network's answer for the whole photo.
        seen: float32 [224, 224, 1], lightness of each tile as the network had it.
        tiles: float32 [224, 224, 2], its answers for them.
        tiling: where they lie.

    Returns:
        float32 [h, w, 2] in Lab units, of the tiling's size.
    """
    height, width = tiling.size
    base = squeeze(whole, height, width)
    ab, weights = _WHOLE * base, np.full((height, width, 1), _WHOLE, np.float32)
    ways = zip(tiling.places(), tiling.weights(), seen, tiles, strict=True)
    for place, weight, L, answer in ways:
        weight *= np.float32(substance(L[..., 0]))
        ab[place] += weight * answer
        weights[place] += weight
    return np.asarray(ab / weights, np.float32)


def _ramp(index: int, count: int) -> Float:
    """Weights along one side of a tile, [224]: it fades where it has a neighbour."""
    ramp = np.sin(np.pi * (np.arange(NETWORK_SIZE) + 0.5) / NETWORK_SIZE) ** 2
    if index == 0:
        ramp[:_HALF] = 1
    if index == count - 1:
        ramp[_HALF:] = 1
    return ramp.astype(np.float32)
