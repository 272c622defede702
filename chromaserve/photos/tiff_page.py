"""How a TIFF's page is stored, and who reads its samples: these modules, or Pillow."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chromaserve.photos.structure import NO_CODE

PLAIN, LZW, DEFLATE, ADOBE_DEFLATE, PACKBITS = 1, 5, 32946, 8, 32773
UNPACKED: Final = frozenset((PLAIN, LZW, DEFLATE, ADOBE_DEFLATE, PACKBITS))
"""Compressions that are undone here."""
FLOAT, FLOATS = 3, (16, 32, 64)
_OURS = range(1, 17)
_PILLOWS = ((1, ()), (3, ()), (4, (1,)), (4, (2,)))
"""Samples a pixel, and what the extra ones are: layouts of 8 bits that Pillow reads rightly."""
ASSOCIATED, UNASSOCIATED = 1, 2
FAX = (2, 3, 4)


@dataclass(frozen=True)
class Page:
    """A page's tags, as far as they say how its pixels are stored."""

    width: int
    height: int
    bits: tuple[int, ...]
    formats: tuple[int, ...]
    photometric: int
    compression: int
    samples: int
    planar: bool
    predictor: int
    extra: tuple[int, ...]
    tile: tuple[int, int] | None
    """Width and height of tiles; None for strips."""
    rows_per_strip: int
    reversed_bits: bool
    orientation: int
    order: str
    place: int
    """Of its directory."""
    places: NDArray[np.int64] = field(repr=False)
    sizes: NDArray[np.int64] = field(repr=False)

    @property
    def depth(self) -> int:
        """Bits a channel that are worth keeping, 8 or 16."""
        return 16 if max(self.bits) > 8 else 8

    @property
    def alpha(self) -> bool:
        """Whether one of its samples is transparency; infrared is not."""
        return ASSOCIATED in self.extra or UNASSOCIATED in self.extra

    @property
    def parts(self) -> int:
        """Strips or tiles that it says it has."""
        width, height = self.tile or (self.width, self.rows_per_strip)
        planes = self.samples if self.planar else 1
        return -(-self.width // max(1, width)) * -(-self.height // max(1, height)) * planes

    @property
    def is_unpacked_at_once(self) -> bool:
        """Whether libtiff unpacks strips or tiles that are a large part of the page."""
        return self.is_held and self.compression in (LZW, PACKBITS)

    @property
    def is_held(self) -> bool:
        """Whether a large part of the page is held unpacked."""
        large = self.tile is not None or self.rows_per_strip > self.height // 4
        return self.is_known and large and self.compression != PLAIN

    @property
    def is_float(self) -> bool:
        """Whether its samples are floating-point numbers."""
        return self.formats[0] == FLOAT

    @property
    def is_known(self) -> bool:
        """Whether its samples can be read here; those that Pillow reads, where it cannot."""
        sizes = FLOATS if self.is_float else _OURS
        known = self.photometric in (0, 1, 2) and self.bits[0] in sizes
        if not known or len(set(self.bits)) > 1:
            return False
        channels = 3 if self.photometric == 2 else 1
        return self.compression in UNPACKED and self.samples >= channels

    def is_absent(self, length: int) -> bool:
        """Whether all strips and tiles lie behind the end of a file of so many bytes."""
        return not (self.places < length).any()

    def is_cut(self, data: bytes) -> bool:
        """Whether strips or tiles lie behind the file's end, or zeros in what is packed."""
        known = min(len(self.places), len(self.sizes))
        behind = (self.places[:known] + self.sizes[:known] > len(data)).any()
        return bool(behind) or (self.compression in (LZW, PACKBITS) and bytes(NO_CODE) in data)

    @property
    def is_ours(self) -> bool:
        """Whether its samples are read here, not by Pillow.

        Which, of separate planes without compression, forgets how their bits are stored, and whose
        libtiff skips deflate's checksums.
        """
        narrow = self.bits[0] in (1, 2, 4) and self.samples == 1
        pillows = (narrow or self.bits[0] == 8) and (self.samples, self.extra) in _PILLOWS
        return self.is_known and (not pillows or self.compression not in (LZW, PACKBITS))
