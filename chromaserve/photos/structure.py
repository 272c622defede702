"""What a file's own structure says of a photo, read in bounded steps before a decoder sees it.

Decoders read every segment, chunk or tag that is there, and some of them many times. What a header
may cost is therefore bounded here, by counts that photos stay far below.
"""

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from mmap import mmap

from chromaserve.errors import DamagedPhoto, UnsupportedFormat
from chromaserve.photos.ifd import TYPE_BYTES, byte_order

MAX_CHUNKS = 20_000  # of a PNG; pixels come in pieces of 8 KiB and more
MAX_OTHER_CHUNKS = 1_000
MAX_RIFF_CHUNKS = 5_000
MAX_TAGS = 1_000
MAX_PAGES = 1_000
MAX_TAGS_OF_PAGES = 20_000
MAX_VALUES = 3 << 16  # of one tag: a strip or tile each, or a palette of 16 bits
NO_CODE = 512
"""Bytes of one value, zero or 0xFF, that a coded picture has not: a hole, or room that was made."""
NEVER_CAME = bytes(NO_CODE), b"\xff" * NO_CODE
"""These; the second is what erased flash memory is read as."""
MAX_METADATA = 4 << 20
"""Bytes of EXIF, of a colour profile, of Photoshop's blocks, of text: each at most."""

_ONCE = (b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"eXIf", b"IEND")
_ANIMATED = (b"fcTL", b"fdAT")
_TURNING = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")
_TEXT_TYPES = (1, 2, 6, 7)
# Of at most a number a channel: subfile type, bits, compression and so on up to extra samples.
_SHORT_TAGS = {254, 255, 256, 257, 258, 259, 262, 266, 274, 277, 278, 284, 317, 322, 323, 338, 339}
_CHANNELS = 64
_SUBFILE, _REDUCED, _MASK = 254, 1, 4
_OLD_SUBFILE, _OLD_REDUCED = 255, 2
_PARTS = {273, 279, 324, 325}  # where strips and tiles are, and how long


class Unreadable(ValueError):  # noqa: N818 - reads as a fact
    """The structure is broken, or larger than that of any photo."""


@dataclass(frozen=True)
class Structure:
    """What was found before the pixels."""

    width: int
    height: int
    bits: int = 8
    """A channel, 8 or 16: what is worth keeping."""
    alpha: bool = False
    may_turn: bool = True
    """Whether there may be an EXIF orientation."""
    pictures: int = 1
    """The first one is meant."""
    depth: int = 8
    """Bits a channel, where a decoder hands out numbers of so many in 16."""


def without_room(data: bytes, *, erased: bool = True) -> bytes:
    """What was there before room was made for what never came.

    Args:
        data: of a coded picture, or a part of it.
        erased: whether 0xFF at its end are such room, too, not zeros alone.
    """
    for room in NEVER_CAME[: 1 + erased]:
        if data.endswith(room):
            return data.rstrip(room[:1])
    return data


def read_png(data: bytes) -> Structure:
    """Every chunk's name and length (PNG specification, section 5)."""
    at, total, pixels, apart = 8, 0, 0, 0
    kinds: Counter[bytes] = Counter()
    text = 0
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        kinds[kind] += 1
        total += 1
        pixels += kind in (b"IDAT", *_ANIMATED)
        apart += kind == b"fcTL" and not kinds[b"IDAT"]
        text += 0 if kind in (b"IDAT", *_ANIMATED) else length
        many = total > MAX_CHUNKS or total - pixels > MAX_OTHER_CHUNKS
        if many or text > 4 * MAX_METADATA:
            raise Unreadable
        if kind == b"IEND" or not kind.isalpha():  # an end, or what is no chunk any more
            break
        at += 12 + length
    if data[12:16] == b"CgBI":
        raise UnsupportedFormat(
            "This is what Xcode makes of a PNG for a telephone. Take the PNG that it was made of."
        )
    if data[12:16] != b"IHDR" or len(data) < 33 or any(kinds[kind] > 1 for kind in _ONCE):
        raise Unreadable
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    if colour == 3 and not kinds[b"PLTE"]:
        raise Unreadable
    alpha = colour in (4, 6) or kinds[b"tRNS"] > 0
    may_turn = any(kinds[kind] for kind in _TURNING)
    # The picture that all programs show is the animation's first, or none of it.
    pictures = kinds[b"fcTL"] + (not apart) if kinds[b"acTL"] else 1
    return Structure(width, height, 16 if bits == 16 else 8, alpha, may_turn, max(1, pictures))


def read_webp(data: bytes) -> Structure:
    """The first chunk, and how many there are (RFC 9649, sections 2.5 to 2.7)."""
    if len(data) < 30:
        raise Unreadable
    pictures = 0
    for count, (kind, _, _) in enumerate(webp_chunks(data)):
        pictures += kind == b"ANMF"
        if count > MAX_RIFF_CHUNKS:
            raise Unreadable
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[i : i + 3], "little") + 1 for i in (24, 27))
        return Structure(width, height, alpha=bool(data[20] & 0x10), pictures=max(1, pictures))
    if kind == b"VP8L":
        packed = int.from_bytes(data[21:25], "little")
        return Structure(
            1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF), alpha=packed >> 28 & 1 > 0
        )
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return Structure(width & 0x3FFF, height & 0x3FFF)
    raise Unreadable


def webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk's name, where its content is, and how long that says it is (RFC 9649, 2.3).

    Down to what is none: room at a file's end perhaps.
    """
    at = 12
    while at + 8 <= len(data) and data[at : at + 4].strip().isalnum():
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], at + 8, size
        at += 8 + (size + 1 & ~1)


@dataclass(frozen=True)
class TiffPage:
    """A directory of a TIFF."""

    place: int
    reduced: bool
    """Whether it says that it is a smaller copy of another one, or a mask."""


def tiff_pages(data: bytes | mmap) -> tuple[list[TiffPage], bool]:
    """The directories, none of whose values is read, and whether there are more than can be read.

    A later one that is broken ends the list (TIFF 6.0, section 2; BigTIFF).

    Raises:
        DamagedPhoto: the first one lies behind the file's end.
        Unreadable: too many tags, or values of them, or values that share their bytes.
    """
    order, big = byte_order(data)
    at = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, 8 if big else 4)[0]
    if at >= len(data) > 8:
        raise DamagedPhoto(
            "The TIFF file is cut short, before its directory, which says what its pixels are:"
            " nothing of it can be read. Copy it anew from where it came from."
        )
    pages: list[TiffPage] = []
    tags, seen, more = 0, set[int](), False
    while at and at not in seen and len(pages) < MAX_PAGES:
        seen.add(at)
        try:
            count, subfile, after = _check_directory(data, at, order, big)
        except (Unreadable, struct.error, IndexError, OverflowError):
            if not pages:
                raise
            more = True
            break
        tags += count
        if pages and tags > MAX_TAGS_OF_PAGES:
            more = True
            break
        pages.append(TiffPage(at, reduced=bool(subfile & (_REDUCED | _MASK))))
        at = after
    if not pages:
        raise Unreadable
    return pages, more or (at != 0 and at not in seen)


def _check_directory(data: bytes | mmap, at: int, order: str, big: bool) -> tuple[int, int, int]:
    """How many tags it has, its NewSubfileType, and the next one's place."""
    count = struct.unpack_from(f"{order}{'Q' if big else 'H'}", data, at)[0]
    if count > MAX_TAGS:
        raise Unreadable
    first, step = (at + 8, 20) if big else (at + 2, 12)
    entry = struct.Struct(f"{order}HH{'QQ' if big else 'II'}")
    entries = [entry.unpack_from(data, first + step * i) for i in range(count)]
    side = {_SUBFILE: 0, _OLD_SUBFILE: 0, 256: 1, 257: 1, 277: 1}
    for i, (tag, kind, _, _) in enumerate(entries):
        if tag in side:
            value = first + step * (i + 1) - (8 if big else 4)
            side[tag] = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", data, value)[0]
    most = max(side[257], -(-side[256] // 16) * -(-side[257] // 16))
    parts = _CHANNELS + max(4, min(side[277], _CHANNELS)) * most  # of planes, one a channel
    spans = []
    for tag, kind, values, place in entries:
        if tag in _PARTS and values > parts:
            raise Unreadable
        size = values * TYPE_BYTES.get(kind, 1)
        # Texts, and what programs put in as bytes, a document's layers perhaps, may be long.
        if values > (_CHANNELS if tag in _SHORT_TAGS else MAX_VALUES) and (
            kind not in _TEXT_TYPES or tag in _SHORT_TAGS
        ):
            raise Unreadable
        if size > (8 if big else 4):
            spans.append((place, place + size))
    # Few bytes behind many tags would be read once for each.
    spans.sort()
    if sum(stop - start for start, stop in spans) > len(data) + MAX_METADATA:
        raise Unreadable
    if sum(later[0] < earlier[1] for earlier, later in pairwise(spans)) > _CHANNELS:
        raise Unreadable
    after = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, first + step * count)[0]
    reduced = side[_OLD_SUBFILE] == _OLD_REDUCED
    return count, side[_SUBFILE] | _REDUCED * reduced, after
