"""A TIFF's samples where Pillow has no mode for them, or a strip of them is damaged.

No modes: 9 to 16 bits, colours of fewer than 8, floating point, planes, further channels. Strips
and tiles are unpacked as they are asked for; what is missing of one is grey.
"""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from chromaserve.errors import UnsupportedSamples
from chromaserve.photos.photo import Pixels
from chromaserve.photos.tiff_page import ASSOCIATED, UNASSOCIATED, Page
from chromaserve.photos.tiff_strips import Bytes, Strips

Array = NDArray[Any]

_AT_ONCE = 1 << 16  # samples whose bits are taken apart
_BY_SAMPLES, _BY_BYTES = 2, 3  # predictors
_BEYOND = 0.01
"""By which a floating-point value may lie outside of 0 to 1: what sharpening leaves."""


class Samples:
    """A page's pixels, by rows."""

    def __init__(self, data: bytes, page: Page) -> None:
        """Read nothing yet."""
        self._page = page
        width, height = page.tile or (page.width, page.rows_per_strip)
        self._width, self._height = width, height
        self._across = -(-page.width // width)
        self._down = -(-page.height // height)
        self._planes = page.samples if page.planar else 1
        self._each = 1 if page.planar else page.samples  # samples a pixel of a segment
        self._strips = Strips(data, page, (width * self._each * page.bits[0] + 7) // 8)
        channels = 3 if page.photometric == 2 else 1
        kinds = enumerate(page.extra[: page.samples - channels], channels)
        self._alpha = next((i for i, kind in kinds if kind in (ASSOCIATED, UNASSOCIATED)), None)
        self._held: list[list[Bytes]] = []  # of the band, by planes and from the left
        self._good: list[int] = []  # rows of it that are whole, from the left
        self._band = -1
        self._lost = 0

    @property
    def missing(self) -> float:
        """Part of the pixels of the strips so far that were not whole; those are grey."""
        return self._lost / (self._page.width * self._page.height)

    def strips(self, start: int, stop: int) -> tuple[Pixels, Pixels | None]:
        """Grey [n, W] or colours [n, W, 3], and alpha, of rows from `start` to `stop`.

        Raises:
            DamagedPhoto: far too many strips are broken.
            UnsupportedSamples: floating-point numbers that are not from 0 to 1.
        """
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
        if page.is_float:
            colours = _sixteen_bits(colours)
        if page.photometric == 0:
            colours = ~colours
        if self._alpha is None:
            return cast(Pixels, colours), None
        alpha = np.ascontiguousarray(rows[..., self._alpha])
        if page.is_float:
            alpha = _sixteen_bits(alpha)
        if page.extra[self._alpha - channels] == ASSOCIATED:
            most = np.iinfo(alpha.dtype).max
            scale = np.float32(most) / np.maximum(alpha, 1)
            scale = scale[..., np.newaxis] if channels > 1 else scale
            colours = np.minimum(colours * scale, most).astype(alpha.dtype)
        return cast(Pixels, colours), cast(Pixels, alpha)

    def _rows(self, band: int, first: int, last: int) -> Array:
        """Rows of a band of strips or tiles: [n, W, samples], 8 or 16 bits or floating point."""
        if band != self._band:
            self._unpack(band)
        planes = []
        for held in self._held:
            across = [self._samples(part[first:last]) for part in held]
            planes.append(across[0] if len(across) == 1 else np.concatenate(across, 1))
        whole = planes[0] if len(planes) == 1 else np.concatenate(planes, 2)
        for column, good in enumerate(self._good):
            if good < last:
                left = column * self._width
                whole[max(0, good - first) :, left : left + self._width] = self._grey(whole.dtype)
        return whole[:, : self._page.width]

    def _grey(self, kind: np.dtype[np.generic]) -> Array:
        """A pixel in the place of one that is missing, opaque."""
        most = {1: 255, 2: 65535}[kind.itemsize] if kind.kind == "u" else 1
        pixel = np.full(self._page.samples, most // 2 + 1 if most > 1 else 0.5, kind)
        if self._alpha is not None:
            pixel[self._alpha] = most
        return pixel

    def _unpack(self, band: int) -> None:
        """Hold a band of strips or tiles."""
        page, inside = self._page, min(self._height, self._page.height - band * self._height)
        rows = self._height if page.tile else inside
        self._band, self._held, self._good = band, [[] for _ in range(self._planes)], []
        for column in range(self._across):
            whole = rows
            for plane, held in enumerate(self._held):
                index = (plane * self._down + band) * self._across + column
                part, good = self._strips.unpacked(index, rows)
                held.append(part)
                whole = min(whole, good)
            self._good.append(whole)
            columns = min(self._width, page.width - column * self._width)
            self._lost += max(0, inside - whole) * columns

    def _samples(self, rows: Bytes) -> Array:
        """[n, width, samples] of a segment's rows."""
        page, count = self._page, self._width * self._each
        bits = page.bits[0]
        if bits == 8 and page.predictor not in (_BY_SAMPLES, _BY_BYTES):
            return rows.reshape(len(rows), -1, self._each)
        if bits % 8 == 0:
            kind = np.dtype(f"{page.order}u{bits // 8}")
            if page.predictor == _BY_BYTES:
                rows, kind = self._together(rows), kind.newbyteorder(">")
            wide = np.ascontiguousarray(rows).view(kind)
            made = wide.astype(kind.newbyteorder("="), copy=False).reshape(
                len(rows), -1, self._each
            )
            if page.predictor == _BY_SAMPLES:
                made = np.add.accumulate(made, axis=1, dtype=made.dtype)
            if page.is_float:
                made = made.view(f"f{bits // 8}")
            return made
        out = np.empty((len(rows), count), np.uint16 if bits > 8 else np.uint8)
        most = np.iinfo(out.dtype).max
        weights = (1 << np.arange(bits - 1, -1, -1)).astype(np.float32)
        step = max(1, _AT_ONCE // count)
        for i in range(0, len(rows), step):
            apart = np.unpackbits(rows[i : i + step], axis=1)[:, : count * bits]
            values = apart.reshape(-1, bits).astype(np.float32) @ weights
            values = values * np.float32(most / ((1 << bits) - 1)) + np.float32(0.5)
            out[i : i + step] = values.astype(out.dtype).reshape(-1, count)
        return out.reshape(len(rows), -1, self._each)

    def _together(self, rows: Bytes) -> Bytes:
        """Samples whose first bytes of a row come first, then the second ones (TIFF note 3)."""
        size = self._page.bits[0] // 8
        apart = np.add.accumulate(rows.reshape(len(rows), -1, self._each), axis=1, dtype=np.uint8)
        return apart.reshape(len(rows), size, -1).swapaxes(1, 2).reshape(len(rows), -1)


def _sixteen_bits(values: Array) -> NDArray[np.uint16]:
    """Floating-point numbers from 0 to 1; what is a little beyond is clipped."""
    least, most = float(values.min()), float(values.max())
    if not -np.inf < least <= most < np.inf:
        raise UnsupportedSamples(
            "The TIFF has pixels that are no numbers (NaN) or infinite. Give them values, or save"
            " it as 16 bits a channel."
        )
    if least < -_BEYOND or most > 1 + _BEYOND:
        worst = least if -least > most - 1 else most
        raise UnsupportedSamples(
            f"The TIFF has floating-point values beyond 0 to 1, such as {worst:.4g}, and what is"
            " white there nobody can tell. Bring them to 0 (black) to 1 (white), or save it as 16"
            " bits a channel."
        )
    numbers: NDArray[np.float32] = np.clip(values, 0, 1).astype(np.float32, copy=False)
    numbers *= np.float32(65535)
    numbers += np.float32(0.5)
    return numbers.astype(np.uint16)
