"""What the service keeps of a photo between decoding and encoding."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class Header:
    """What a file says of itself before any pixel is decoded."""

    format: str
    """JPEG, PNG, WEBP, TIFF or BMP."""
    width: int
    height: int
    bits: int
    """Bits a channel that are worth keeping: 8 or 16."""

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height


@dataclass(frozen=True)
class Photo:
    """A decoded photo, upright, reduced to what colorizing needs."""

    L: Float
    """float32 [H, W], CIE lightness in [0, 100]."""
    alpha: Pixels | None
    """uint8 or uint16 [H, W], as `dtype`; None for an opaque photo."""
    dtype: type[np.uint8] | type[np.uint16]
    """Depth of the colours to make."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.L.shape[1], self.L.shape[0]


def upright(plane: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo an EXIF orientation (1..8, TIFF 6.0 p. 36) on an array [H, W, ...]."""
    if orientation in (5, 6, 7, 8):
        plane = plane.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        plane = plane[:, ::-1]
    if orientation in (3, 4, 7, 8):
        plane = plane[::-1]
    return np.ascontiguousarray(plane)
