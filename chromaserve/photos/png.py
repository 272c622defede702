"""PNG written strip by strip, so that little is held in memory: rows filtered, then deflated."""

import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import Literal, Protocol

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from chromaserve.photos.photo import Pixels
from chromaserve.photos.png_reading import SIGNATURE

PngLevel = Literal["fast", "small"]

_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # PNG specification, table 11.1
_AVERAGE = 3
_IDAT_BYTES = 1 << 18
_FILTERED_BYTES = 1 << 17  # at a time, so that they stay in a core's cache


class _Compressor(Protocol):
    def compress(self, data: NDArray[np.uint8], /) -> bytes: ...
    def flush(self) -> bytes: ...


def _compressor(level: PngLevel) -> _Compressor:
    if level == "fast":
        return isal_zlib.compressobj(1)
    # Level 9 takes seven times as long on smooth photos. Filtered: grain has no long matches.
    return zlib.compressobj(6, zlib.DEFLATED, 15, 9, zlib.Z_FILTERED)  # type: ignore[return-value]  # takes any buffer


class PngWriter:
    """A PNG (ISO/IEC 15948) of known size, to which strips of pixels are added from the top.

    Every row has the filter "average" (§9.2): on photos with grain the smallest of the five, and
    two vector instructions a byte.
    """

    def __init__(
        self,
        width: int,
        height: int,
        channels: int,
        dtype: type,
        level: PngLevel = "fast",
        head: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        """Begin the file.

        Args:
            width: pixels.
            height: pixels.
            channels: 1 grey, 3 RGB or 4 RGBA.
            dtype: uint8 or uint16.
            level: of compression.
            head: chunks before the pixels, by kind; see `png_head`.
        """
        self._sample = np.dtype(dtype).newbyteorder(">")
        self._pixel = channels * self._sample.itemsize  # bytes
        self._above = np.zeros((1, width * self._pixel), np.uint8)
        self._rows_left = height
        self._compressor = _compressor(level)
        self._file, self._pending = BytesIO(), BytesIO()
        self._file.write(SIGNATURE)
        bits, colour = 8 * self._sample.itemsize, _COLOUR_TYPES[channels]
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
        for kind, data in head:
            self._chunk(kind, data)

    def write(self, strip: Pixels) -> None:
        """Add rows: uint8 or uint16 [rows, width, channels], red first."""
        self._rows_left -= len(strip)
        step = max(1, _FILTERED_BYTES // self._above.size)
        for i in range(0, len(strip), step):
            samples = np.ascontiguousarray(strip[i : i + step], self._sample)
            rows = samples.reshape(len(samples), -1).view(np.uint8)
            filtered = _average(rows, np.concatenate([self._above, rows[:-1]]), self._pixel)
            self._above = rows[-1:].copy()
            self._pending.write(self._compressor.compress(filtered.reshape(-1)))
            if self._pending.tell() >= _IDAT_BYTES:
                self._flush()

    def finish(self) -> bytes:
        """The whole file.

        Raises:
            ValueError: fewer or more rows than the header says were written.
        """
        if self._rows_left:
            raise ValueError(f"{self._rows_left} rows are missing")
        self._pending.write(self._compressor.flush())
        self._flush()
        self._chunk(b"IEND", b"")
        return self._file.getvalue()

    def _flush(self) -> None:
        self._chunk(b"IDAT", self._pending.getvalue())
        self._pending = BytesIO()

    def _chunk(self, kind: bytes, data: bytes) -> None:
        self._file.write(struct.pack(">I", len(data)) + kind)
        self._file.write(data)
        self._file.write(struct.pack(">I", isal_zlib.crc32(data, isal_zlib.crc32(kind))))


def _average(rows: NDArray[np.uint8], above: NDArray[np.uint8], pixel: int) -> NDArray[np.uint8]:
    """Filtered rows [n, 1 + bytes]: each byte less the mean of those to the left and above."""
    out = np.empty((rows.shape[0], 1 + rows.shape[1]), np.uint8)
    out[:, 0] = _AVERAGE
    filtered = out[:, 1:]
    np.subtract(rows[:, :pixel], above[:, :pixel] >> 1, out=filtered[:, :pixel])
    left, above = rows[:, :-pixel], above[:, pixel:]
    # ⌊(x + y) / 2⌋ without a ninth bit.
    mean = left ^ above
    mean >>= 1
    mean += left & above
    np.subtract(rows[:, pixel:], mean, out=filtered[:, pixel:])
    return out
