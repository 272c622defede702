"""A TIFF's samples where Pillow has no mode for them: 9 to 16 bits, planes, further channels.

Strips and tiles are unpacked as they are asked for. LZW and PackBits are left to libtiff, to which
each is given as a small file of 8 bits.
"""

import struct
import zlib
from io import BytesIO
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import TiffImageFile

from chromaserve.photos.photo import Pixels
from chromaserve.photos.tiff_reading import (
    ADOBE_DEFLATE,
    ASSOCIATED,
    DEFLATE,
    PLAIN,
    UNASSOCIATED,
    Page,
)

_PIECE = 1 << 18
_AT_ONCE = 1 << 16  # samples whose bits are taken apart
_REVERSED = np.array([int(f"{i:08b}"[::-1], 2) for i in range(256)], np.uint8)

Bytes = NDArray[np.uint8]


class Cut(ValueError):  # noqa: N818 - reads as a fact
    """Bytes of the pixels are missing."""


class Samples:
    """A page's pixels, by rows."""

    def __init__(self, data: bytes, page: Page) -> None:
        """Read nothing yet."""
        self._data, self._page = data, page
        width, height = page.tile or (page.width, page.rows_per_strip)
        self._width, self._height = width, height
        self._across = -(-page.width // width)
        self._down = -(-page.height // height)
        self._planes = page.samples if page.planar else 1
        self._each = 1 if page.planar else page.samples  # samples a pixel of a segment
        self._row_bytes = (width * self._each * page.bits[0] + 7) // 8
        self._held: dict[int, Bytes] = {}
        self._band = -1

    def strips(self, start: int, stop: int) -> tuple[Pixels, Pixels | None]:
        """Grey [n, W] or colours [n, W, 3], and alpha, of rows from `start` to `stop`."""
        page = self._page
        parts = []
        while start < stop:
            band = start // self._height
            until = min(stop, (band + 1) * self._height)
            parts.append(self._rows(band, start - band * self._height, until - band * self._height))
            start = until
        rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
        channels = 3 if page.photometric == 2 else 1
        colours = np.ascontiguousarray(rows[..., 0] if channels == 1 else rows[..., :channels])
        if page.photometric == 0:
            colours = ~colours
        kinds = page.extra[: page.samples - channels]
        index = next((i for i, k in enumerate(kinds) if k in (ASSOCIATED, UNASSOCIATED)), None)
        if index is None:
            return cast(Pixels, colours), None
        alpha = np.ascontiguousarray(rows[..., channels + index])
        if kinds[index] == ASSOCIATED:
            most = np.iinfo(alpha.dtype).max
            scale = np.float32(most) / np.maximum(alpha, 1)
            scale = scale[..., np.newaxis] if channels > 1 else scale
            colours = np.minimum(colours * scale, most).astype(alpha.dtype)
        return cast(Pixels, colours), cast(Pixels, alpha)

    def _rows(self, band: int, first: int, last: int) -> NDArray[np.generic]:
        """Rows of a band of strips or tiles: [n, W, samples], 8 or 16 bits."""
        if band != self._band:
            self._held, self._band = {}, band
        planes = []
        for plane in range(self._planes):
            across = []
            for column in range(self._across):
                index = (plane * self._down + band) * self._across + column
                if index not in self._held:
                    self._held[index] = self._segment(index, band)
                across.append(self._samples(self._held[index][first:last]))
            planes.append(across[0] if len(across) == 1 else np.concatenate(across, 1))
        whole = planes[0] if len(planes) == 1 else np.concatenate(planes, 2)
        return whole[:, : self._page.width]

    def _segment(self, index: int, band: int) -> Bytes:
        """A strip or tile, unpacked: [rows, bytes]."""
        page = self._page
        if index >= min(len(page.places), len(page.sizes)):
            raise Cut
        rows = self._height
        if page.tile is None:
            rows = min(rows, page.height - band * rows)
        needed = rows * self._row_bytes
        start, size = int(page.places[index]), int(page.sizes[index])
        packed = memoryview(self._data)[start : start + size]
        if page.compression == PLAIN:
            found = np.frombuffer(packed[:needed], np.uint8)
        elif page.compression in (ADOBE_DEFLATE, DEFLATE):
            found = _inflated(packed, needed)
        else:
            found = self._by_libtiff(bytes(packed), rows)
        if len(found) < needed:
            raise Cut
        if page.reversed_bits and page.compression == PLAIN:
            found = _REVERSED[found]
        return found.reshape(rows, self._row_bytes)

    def _by_libtiff(self, packed: bytes, rows: int) -> Bytes:
        fill = 2 if self._page.reversed_bits else 1
        tags = ((256, self._row_bytes), (257, rows), (258, 8), (259, self._page.compression))
        tags += ((262, 1), (266, fill), (273, 0), (277, 1), (278, rows), (279, len(packed)))  # type: ignore[assignment]
        at = 8 + 2 + 12 * len(tags) + 4
        head = b"II*\0" + struct.pack("<IH", 8, len(tags))
        for tag, value in tags:
            head += struct.pack("<HHII", tag, 4, 1, at if tag == 273 else value)
        with TiffImageFile(BytesIO(head + bytes(4) + packed)) as image:
            return np.asarray(image, np.uint8).reshape(-1)

    def _samples(self, rows: Bytes) -> NDArray[np.generic]:
        """[n, width, samples] of a segment's rows."""
        page, count = self._page, self._width * self._each
        bits = page.bits[0]
        if bits in (8, 16):
            kind = np.dtype(f"{page.order}u2") if bits == 16 else np.dtype(np.uint8)
            wide = np.ascontiguousarray(rows).view(kind)
            made = wide.astype(kind.newbyteorder("="), copy=False).reshape(
                len(rows), -1, self._each
            )
            if page.predictor == 2:
                made = np.add.accumulate(made, axis=1, dtype=made.dtype)
            return cast(NDArray[np.generic], made)
        out = np.empty((len(rows), count), np.uint16)
        weights = (1 << np.arange(bits - 1, -1, -1)).astype(np.float32)
        step = max(1, _AT_ONCE // count)
        for i in range(0, len(rows), step):
            apart = np.unpackbits(rows[i : i + step], axis=1)[:, : count * bits]
            values = apart.reshape(-1, bits).astype(np.float32) @ weights
            values = values * np.float32(65535 / ((1 << bits) - 1)) + np.float32(0.5)
            out[i : i + step] = values.astype(np.uint16).reshape(-1, count)
        return cast(NDArray[np.generic], out.reshape(len(rows), -1, self._each))


def _inflated(packed: memoryview, needed: int) -> Bytes:
    """So many bytes, or fewer, without a second copy of them."""
    found, at, inflater = np.empty(needed, np.uint8), 0, zlib.decompressobj()
    for start in range(0, len(packed), _PIECE):
        rest = bytes(packed[start : start + _PIECE])
        while rest and at < needed:
            try:
                piece = inflater.decompress(rest, min(_PIECE, needed - at))
            except zlib.error as error:
                raise Cut from error
            found[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
            at += len(piece)
            rest = inflater.unconsumed_tail
    return found[:at]
