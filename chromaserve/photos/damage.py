"""What is whole of a damaged JPEG, PNG or WebP, and how much of its pixels is missing."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, repeat

import numpy as np
from PIL import Image

from chromaserve.errors import DamagedPhoto
from chromaserve.photos.header import PIL_ERRORS, open_image
from chromaserve.photos.jpeg_damage import jpeg_up_to_its_end, may_lack_its_end
from chromaserve.photos.photo import Header, Pixels, Strips, strips
from chromaserve.photos.png_reading import SIGNATURE, TEXT_CHUNKS, Chunk, chunks
from chromaserve.photos.structure import webp_chunks, without_room

_PIECE = 1 << 14
"""What is lost of those that are inflated, where one breaks."""
_LAST_FILTER, _ZLIB_HEAD = 4, 2
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
           (0, 1, 1, 2))  # fmt: skip
_KEPT = (b"PLTE", b"tRNS", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"eXIf", b"pHYs")
_WEBP_KEPT = (b"VP8X", b"ICCP", b"ANIM", b"ALPH", b"EXIF", b"XMP ")
_WEBP_PIXELS = (b"VP8 ", b"VP8L", b"ANMF")
_WEBP_FILLERS = (b"\0", b"\x5a\x3c\x99\xe1\x07", b"\xaa", b"\x10", b"\x1f", b"\x9b")
"""The decoder fails on some, where lengths and distances come out of them."""
_WEBP_LACKED, _WEBP_FILLED = 3, 1
"""Bytes of them a pixel: for what a file says that it lacks at most, and more, which it takes for
few."""
_WEBP_ROWS = {b"VP8 ": 16, b"VP8L": 1}
"""Rows that are decoded together."""
_WEBP_BYTES, _WEBP_HEAD = 16, 1 << 16
"""A pixel, and a file: more than any has."""
_Part = tuple[bytes, memoryview]


@dataclass(frozen=True)
class Repaired:
    """A file that decoders take."""

    data: bytes
    missing: float
    """Part of the pixels, which are grey or black now."""
    grey_from: int | None = None
    """The first of the rows that are still to be made grey: they hold nonsense."""


def seems_cut(data: bytes, header: Header, image: Image.Image) -> bool:
    """Whether a file that its decoder took may have ended too early."""
    if header.format == "JPEG":
        return may_lack_its_end(image, data)
    return header.format == "WEBP" and _room(data, header) > 0


def repaired(data: bytes, header: Header, *, accept: bool) -> Repaired | None:
    """The file mended, None where it cannot be.

    Args:
        data: of a file that decoders refuse.
        header: of it.
        accept: whether missing pixels are taken; else they are counted alone.
    """
    if header.format == "JPEG":
        return None if (found := jpeg_up_to_its_end(data, header)) is None else Repaired(*found)
    if header.format == "WEBP":
        return _webp(data, header)
    return _png(data, accept=accept) if header.format == "PNG" else None


def _png(data: bytes, *, accept: bool) -> Repaired | None:
    found = list(chunks(data))
    if not found or found[0].kind != b"IHDR" or len(found[0].data) != 13:
        return None
    coded = [chunk for chunk in found if chunk.kind == b"IDAT"]
    pixels = [
        chunk.data if chunk.sound else without_room(chunk.data, erased=False) for chunk in coded
    ]
    rows = list(_row_bytes(found[0].data))
    expected = sum(rows)
    got, wrong_sum = _sound_bytes(_inflated(pixels), rows)
    # Where all chunks' own sums are right, who wrote them took a wrong one for the whole.
    summed = not (wrong_sum and all(chunk.sound for chunk in coded))
    if not summed:
        got, _ = _sound_bytes(_inflated(pixels, summed=False), rows)
    elif wrong_sum:  # something within is changed, nobody knows what
        got = min(got, expected - rows[-1])
    if got and (not summed or (got < expected and accept)):
        pixels = _filled(_inflated(pixels, summed=summed), got, expected)
    return Repaired(_joined(found, pixels), 1 - got / expected) if got else None


def _row_bytes(head: bytes) -> Iterator[int]:
    """Of each row with its filter's number, pass by pass."""
    width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", head)
    each = bits * _CHANNELS.get(colour, 1)
    for x, y, dx, dy in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - x) // dx), -(-(height - y) // dy)
        if columns > 0 and rows > 0:
            yield from repeat(1 + (columns * each + 7) // 8, rows)


def _sound_bytes(pieces: Iterator[bytes], rows: list[int]) -> tuple[int, bool]:
    """How many are inflated before the first row with a filter that there is none of.

    And whether what ends them is a wrong sum. Of a changed file what is inflated behind the change
    is seldom rows, and seldom an error.
    """
    starts = accumulate(rows, initial=0)
    start, came, expected = next(starts), 0, sum(rows)
    try:
        for piece in pieces:
            while start < min(came + len(piece), expected):
                if piece[start - came] > _LAST_FILTER:
                    return start, False
                start = next(starts)
            came += len(piece)
            if came > expected:  # by how much nobody has to know
                break
    except zlib.error as error:
        return min(came, expected), "data check" in str(error)  # zlib's word for the sum
    return min(came, expected), False


def _inflated(pixels: list[bytes], *, summed: bool = True) -> Iterator[bytes]:
    """What can be inflated, in pieces, until zlib raises an error: of a wrong sum at the end, too,
    with which the last piece is lost."""
    inflater = zlib.decompressobj() if summed else zlib.decompressobj(-zlib.MAX_WBITS)
    head = 0 if summed else _ZLIB_HEAD
    for part in pixels:
        for start in range(head, len(part), _PIECE):  # what is left of each is copied
            rest = part[start : start + _PIECE]
            while rest and not inflater.eof:
                piece = inflater.decompress(rest, _PIECE)
                rest = inflater.unconsumed_tail
                yield piece
        head = max(0, head - len(part))


def _filled(pieces: Iterator[bytes], got: int, expected: int) -> list[bytes]:
    """The first bytes that are inflated, and zeros, deflated again."""
    deflater, made, left = zlib.compressobj(1), [], expected
    with suppress(zlib.error):
        for piece in pieces:
            piece = piece[: got - expected + left]
            left -= len(piece)
            made.append(deflater.compress(piece))
            if left == expected - got:
                break
    while left:
        count = min(left, _PIECE)
        made.append(deflater.compress(bytes(count)))
        left -= count
    return [*made, deflater.flush()]


def _joined(found: list[Chunk], pixels: list[bytes]) -> bytes:
    """The chunks that are sound, with these pixels and an end."""
    before: list[tuple[bytes, bytes]] = [(b"IHDR", found[0].data)]
    after: list[tuple[bytes, bytes]] = []
    seen = False
    for chunk in found[1:]:
        seen = seen or chunk.kind == b"IDAT"
        if chunk.sound and chunk.kind in (*_KEPT, *TEXT_CHUNKS):
            (after if seen else before).append((chunk.kind, chunk.data))
    body = [(b"IDAT", part) for part in pixels if part]
    return SIGNATURE + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + zlib.crc32(content, zlib.crc32(kind)).to_bytes(4, "big")
        for kind, content in [*before, *body, *after, (b"IEND", b"")]
    )


def _webp(data: bytes, header: Header) -> Repaired | None:
    """Rows that depend on what follows the file's end are missing, and all below them.

    Of an animation the first picture is taken, if it is whole.
    """
    parts, pixels, size = _webp_parts(data)
    if not pixels:
        return None
    kind, content = pixels
    content = content[: len(content) - _room(data, header)]
    pixels = kind, content
    if len(content) >= size:
        return Repaired(_riff([*parts, pixels]), 0.0)
    if kind == b"ANMF" or size > _WEBP_BYTES * header.pixels + _WEBP_HEAD:
        return None
    lacked = min(size - len(content), _WEBP_LACKED * header.pixels)
    count = lacked + _WEBP_FILLED * header.pixels
    first: list[int] | None = None
    for filler in _WEBP_FILLERS:
        mended = _riff([*parts, pixels], filler * (count // len(filler) + 1))
        sums = _row_sums(mended, header)
        if sums is None:
            continue
        if first is None:
            first = sums
            continue
        alike = zip(first, sums, strict=True)
        row = next((i for i, (a, b) in enumerate(alike) if a != b), header.height)
        row -= row % _WEBP_ROWS[kind] if row < header.height else 0
        missing = 1 - row / header.height
        return Repaired(mended, missing, row if missing else None) if row else None
    return None


def _room(data: bytes, header: Header) -> int:
    """Bytes at the end of a WebP's pixels that are one value, of which the last half says nothing.

    What is blank is coded so too, but ends where they end.
    """
    parts, pixels, size = _webp_parts(data)
    if not pixels or pixels[0] == b"ANMF" or len(pixels[1]) < size:
        return 0
    there = len(without_room(bytes(pixels[1])))
    room, half = size - there, (there + size) // 2
    if not room:
        return 0
    own = None if pixels[0] == b"VP8L" else _row_sums(data, header)
    if own is None:  # it needs more than that; of VP8L, in which nothing becomes many zeros
        return room
    filler = (_WEBP_FILLERS[1] * size)[: size - half]
    other = _row_sums(_riff([*parts, (pixels[0], pixels[1][:half])], filler), header)
    return room if other == own else 0


def _webp_parts(data: bytes) -> tuple[list[_Part], _Part | None, int]:
    """The chunks that are whole, the first one of pixels, and how long that says that it is."""
    parts, pixels, length = [], None, 0
    for kind, at, size in webp_chunks(data):
        content = memoryview(data)[at : at + size]
        if kind in _WEBP_PIXELS and not pixels:
            pixels, length = (kind, content), size
        elif kind in _WEBP_KEPT and len(content) == size:
            parts.append((kind, content))
    return parts, pixels, length


def _riff(parts: list[_Part], filler: bytes = b"") -> bytes:
    """A WebP of chunks, its pixels filled up, metadata behind them (RFC 9649, 2.7)."""
    body: list[bytes | memoryview] = []
    for kind, content in sorted(parts, key=lambda part: part[0] in (b"EXIF", b"XMP ")):
        end = filler if kind in _WEBP_PIXELS else b""
        size = len(content) + len(end)
        body += [kind, struct.pack("<I", size), content, end, bytes(size % 2)]
    head = b"RIFF" + struct.pack("<I", sum(map(len, body)) + 4) + b"WEBP"
    return b"".join([head, *body])


def _row_sums(data: bytes, header: Header) -> list[int] | None:
    """A checksum of each row of a picture; two pictures at once would take much memory.

    None where it cannot be decoded.
    """
    try:
        with open_image(data, header.format) as image:
            image.load()
            return [
                zlib.crc32(row)
                for start, stop in strips(header.height, header.width)
                for row in np.asarray(image.crop((0, start, header.width, stop)))
            ]
    except (DamagedPhoto, *PIL_ERRORS):
        return None


def greyed(strips: Strips, row: int) -> Strips:
    """With the rows from this one on grey, and opaque."""

    def made(start: int, stop: int) -> tuple[Pixels, Pixels | None]:
        colours, alpha = strips(start, stop)
        if stop > row:
            colours = colours.copy()
            colours[max(0, row - start) :] = 128
            if alpha is not None:
                alpha = alpha.copy()
                alpha[max(0, row - start) :] = 255
        return colours, alpha

    return made
