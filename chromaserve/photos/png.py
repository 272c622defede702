"""PNG made in strips, each filtered and deflated by itself, then joined to one stream."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Literal, Protocol

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from chromaserve.photos.photo import Pixels, Striped
from chromaserve.photos.png_reading import SIGNATURE

PngLevel = Literal["fast", "small"]

_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # PNG specification, table 11.1
_SUB, _AVERAGE = 1, 3
_FILTERED_BYTES = 1 << 19  # at a time: a strip of RGB
_ADLER_BASE = 65521


class _Compressor(Protocol):
    def compress(self, data: NDArray[np.uint8], /) -> bytes: ...
    def flush(self, mode: int = ..., /) -> bytes: ...


def _compressor(level: PngLevel) -> _Compressor:
    """Of a stream of blocks alone (RFC 1951)."""
    if level == "fast":
        return isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)
    # Level 9 takes seven times as long on smooth photos. Filtered: grain has no long matches.
    return zlib.compressobj(6, zlib.DEFLATED, -15, 9, zlib.Z_FILTERED)  # type: ignore[return-value]  # takes any buffer


# Deflated with a window of 32 KiB, by the fastest algorithm or the default one (RFC 1950, 2.2).
_ZLIB_HEAD: dict[PngLevel, bytes] = {"fast": b"\x78\x01", "small": b"\x78\x9c"}


@dataclass(frozen=True)
class _Piece:
    """A strip's part of the stream."""

    chunk: bytes
    adler: int
    """Adler-32 of its filtered bytes."""
    length: int
    """How many those are."""


def png(
    image: Striped, level: PngLevel = "fast", head: Sequence[tuple[bytes, bytes]] = ()
) -> bytes:
    """Encode an image as PNG (ISO/IEC 15948): the same bytes on any number of cores.

    Every row has the filter "average" (9.2): on photos with grain the smallest of the five, and two
    vector instructions a byte. The first row of a strip has "sub", which needs no row above.

    Strips are pieces of one zlib stream, as pigz makes them (https://zlib.net/pigz/): each has a
    compressor of its own, and all but the last end by an empty stored block on a whole byte
    (Z_SYNC_FLUSH; RFC 1951, 3.2.4). At the end is the Adler-32 of all, joined from theirs. A strip
    refers to no bytes of the one before, which costs next to nothing where matches are rare.

    Args:
        image: uint8 or uint16; 1 channel is grey, 3 are RGB, 4 RGBA.
        level: of compression.
        head: chunks before the pixels, by kind; see `png_head`.
    """
    rows, columns, channels = image.shape
    sample = np.dtype(image.dtype).newbyteorder(">")
    pixel = channels * sample.itemsize  # bytes
    step = max(1, _FILTERED_BYTES // (columns * pixel))
    adler = 1
    file = BytesIO()

    def piece(start: int, strip: Pixels) -> _Piece:
        compressor = _compressor(level)
        data = [_ZLIB_HEAD[level]] if start == 0 else []
        checksum, length = 1, 0

        def add(filtered: NDArray[np.uint8]) -> None:
            nonlocal checksum, length
            data.append(compressor.compress(filtered))
            checksum = isal_zlib.adler32(filtered, checksum)
            length += filtered.size

        def raw(first: int, last: int) -> NDArray[np.uint8]:
            samples = np.ascontiguousarray(strip[first:last], sample)
            return samples.reshape(len(samples), -1).view(np.uint8)

        add(_sub(raw(0, 1), pixel))
        for i in range(1, len(strip), step):
            rows_and_above = raw(i - 1, i + step)
            add(_average(rows_and_above[1:], rows_and_above[:-1], pixel))
        ends = start + len(strip) == rows
        data.append(compressor.flush(zlib.Z_FINISH if ends else zlib.Z_SYNC_FLUSH))
        return _Piece(_chunk(b"IDAT", *data), checksum, length)

    def put(piece: _Piece) -> None:
        nonlocal adler
        file.write(piece.chunk)
        adler = _adler32_joined(adler, piece.adler, piece.length)

    file.write(SIGNATURE)
    bits, colour = 8 * sample.itemsize, _COLOUR_TYPES[channels]
    file.write(_chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, bits, colour, 0, 0, 0)))
    for kind, content in head:
        file.write(_chunk(kind, content))
    image.each(piece, put)
    file.write(_chunk(b"IDAT", adler.to_bytes(4, "big")))
    file.write(_chunk(b"IEND"))
    return file.getvalue()


def _chunk(kind: bytes, *data: bytes) -> bytes:
    checksum = isal_zlib.crc32(kind)
    for part in data:
        checksum = isal_zlib.crc32(part, checksum)
    return b"".join(
        [struct.pack(">I", sum(map(len, data))), kind, *data, struct.pack(">I", checksum)]
    )


def _adler32_joined(first: int, second: int, length: int) -> int:
    """Adler-32 of two byte strings, one after the other, from theirs and the second's length.

    As `adler32_combine` of zlib (adler32.c): of the two sums (RFC 1950, 8.2), which begin with 1
    and 0, the first is added up, and counts once more in the second for each byte that follows.
    """
    a, b = first & 0xFFFF, first >> 16
    low = (a + (second & 0xFFFF) - 1) % _ADLER_BASE
    high = (b + (second >> 16) + length * (a - 1)) % _ADLER_BASE
    return high << 16 | low


def _sub(rows: NDArray[np.uint8], pixel: int) -> NDArray[np.uint8]:
    """Filtered rows, flat, [n, bytes] before: each byte less the one to the left."""
    out = np.empty((rows.shape[0], 1 + rows.shape[1]), np.uint8)
    out[:, 0] = _SUB
    out[:, 1 : 1 + pixel] = rows[:, :pixel]
    np.subtract(rows[:, pixel:], rows[:, :-pixel], out=out[:, 1 + pixel :])
    return out.reshape(-1)


def _average(rows: NDArray[np.uint8], above: NDArray[np.uint8], pixel: int) -> NDArray[np.uint8]:
    """Filtered rows, flat: each byte less the mean of those to the left and above."""
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
    return out.reshape(-1)
