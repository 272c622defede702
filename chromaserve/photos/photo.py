"""What the service keeps of a photo between decoding and encoding."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from chromaserve.color.toned import Colour
from chromaserve.photos.free_cores import ALONE, FreeCores
from chromaserve.photos.metadata import NOTHING, Metadata

R = TypeVar("R")

Float = NDArray[np.float32]
Pixels = NDArray[np.uint8] | NDArray[np.uint16]
Depth = type[np.uint8] | type[np.uint16]
Strips = Callable[[int, int], tuple[Pixels, Pixels | None]]
"""From a first row and the row after the last to grey [n, W] or colours [n, W, C], and alpha."""


_STRIP = 1 << 17  # pixels
_LEAST_ROWS = 8  # of a strip: its first one is the larger in a PNG


@dataclass(frozen=True)
class Header:
    """What a file says of itself before any pixel is decoded."""

    format: str
    """JPEG, PNG, WEBP, TIFF, HEIC, AVIF, BMP, GIF, JPEG2000 or PNM."""
    width: int
    height: int
    bits: int
    """Bits a channel that are worth keeping: 8 or 16."""
    alpha: bool
    """Whether there may be transparency."""
    may_turn: bool = True
    """Whether there may be an EXIF orientation that is still to be undone."""
    page: int = 0
    """The photo's place among the file's directories, of a TIFF."""
    pages: tuple[int, ...] = (0,)
    """The places of all photos in the file."""
    more_pages: bool = False
    """Whether there are others, which cannot be read."""
    pictures: int = 1
    """Of an animation, of a HEIC or AVIF, or of an MPO: the first is the photo, the others are not
    taken."""
    depth: int = 8
    """Bits a channel of numbers that are still to be brought to 16; 8 where there are none."""
    tiff: Any = None
    """How a TIFF's page is stored: a `tiff_page.Page`."""
    boxed: Any = None
    """What a HEIC or AVIF says beside its pixels: a `heif.Boxed`."""

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height


@dataclass(frozen=True)
class Photo:
    """A decoded photo, upright, reduced to what colorizing needs."""

    grey: Pixels
    """[H, W], sRGB greys of the photo's lightness: uint8 where the photo is grey with 8 bits,
    else uint16."""
    alpha: Pixels | None
    """uint8 or uint16 [H, W], as `dtype`; None for an opaque photo."""
    dtype: Depth
    """Depth of the colours to make."""
    thumbnail: Float
    """float32 [224, 224], CIE lightness in [0, 100] as the network sees it."""
    colour: Colour = "grey"
    """Whether it has colours already."""
    metadata: Metadata = NOTHING
    missing: float = 0.0
    """Part of the pixels that a damaged file lacks."""
    colours: Pixels | None = None
    """sRGB [H, W, 3] of `dtype`: its own colours, where they are to be kept."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.grey.shape[1], self.grey.shape[0]


@dataclass(frozen=True)
class Striped:
    """An image whose rows are made when they are asked for."""

    shape: tuple[int, int, int]
    """Rows, columns, channels."""
    dtype: Depth
    rows: Callable[[int, int], Pixels]
    """From a first row and the row after the last to [n, columns, channels] of `dtype`: red, green,
    blue(, alpha). A row is the same in whatever strip; several threads may ask at once."""
    cores: FreeCores = ALONE
    """Which work on strips."""

    def each(
        self, work: Callable[[int, Pixels], R], put: Callable[[R], None], *, multiple: int = 1
    ) -> None:
        """Work on strips, with the first row of each, and put the results from the top.

        Args:
            work: done on any thread; its strip has fewer than `multiple` rows, or no multiple of
                them, at the end of the image only.
            put: on the calling thread.
            multiple: of how many rows a strip has.
        """
        rows, columns = self.shape[:2]
        self.cores.each(
            strips(rows, columns, multiple),
            lambda strip: work(strip[0], self.rows(*strip)),
            put,
            pixels=rows * columns,
        )

    def pixels(self) -> Pixels:
        """The whole image."""
        image = empty(self.shape, self.dtype)

        def work(start: int, strip: Pixels) -> None:
            image[start : start + len(strip)] = strip

        self.each(work, lambda _: None)
        return image


def empty(shape: tuple[int, ...], depth: Depth) -> Pixels:
    """An array of this depth, not yet filled."""
    return np.empty(shape, np.uint8) if depth is np.uint8 else np.empty(shape, np.uint16)


def strips(rows: int, columns: int, multiple: int = 1) -> Iterator[tuple[int, int]]:
    """First row and row after the last of strips from the top, a small part of a large photo."""
    step = max(1, max(_LEAST_ROWS, _STRIP // columns) // multiple) * multiple
    for start in range(0, rows, step):
        yield start, min(start + step, rows)


def widened(pixels: Pixels, depth: int, *, narrow: bool = False) -> Pixels:
    """Samples of 9 to 15 bits as 16; 8 and 16 stay. Narrow ones are black at 16 of 256 (BT.709)."""
    if depth in (8, 16):
        return pixels
    if narrow:
        black, white = 16 << depth - 8, 235 << depth - 8
        inside = np.clip(pixels, black, white).astype(np.float32) - black
        return (inside * np.float32(65535 / (white - black)) + np.float32(0.5)).astype(np.uint16)
    wide = pixels.astype(np.uint16)
    return cast(Pixels, wide << 16 - depth | wide >> 2 * depth - 16)


def upright(plane: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo an EXIF orientation (1..8, TIFF 6.0 p. 36) on an array [H, W, ...]."""
    if orientation in (5, 6, 7, 8):
        plane = plane.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        plane = plane[:, ::-1]
    if orientation in (3, 4, 7, 8):
        plane = plane[::-1]
    return np.ascontiguousarray(plane)
