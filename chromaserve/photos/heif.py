"""Headers of HEIC and AVIF (ISO/IEC 23008-12, AV1 Image File Format).

Decoders make room for what each coded picture says of its own size, wherever it says so; all of
them are held against the size that the file says.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from chromaserve.errors import UnsupportedFormat
from chromaserve.photos.coded_size import (
    MOST_UNITS,
    Size,
    av1_sizes,
    hevc_sizes,
    hevc_unit_sizes,
    largest,
)
from chromaserve.photos.heif_boxes import Boxes, Item, boxes_in, read_meta
from chromaserve.photos.structure import MAX_METADATA, NEVER_CAME, Structure, Unreadable

_MOST_TILES = 1_000
_TILE = 512
"""Side of telephones' tiles: a smaller photo may have one."""
_BLOCK = 64
"""Coded sides are whole blocks, so that they may be longer by less than one."""
_CODED = {"HEIC": b"hvc1", "AVIF": b"av01"}
_CONFIGURATION = {b"hvc1": b"hvcC", b"av01": b"av1C"}
_CALLED = {b"iovl": "pictures laid over one another, iovl"}
_SAYS_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
_AVIF_BRANDS = (b"avif", b"avis")
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis")
_MOST_BRANDS, _FILM = 256, b"avis"


def brand(data: bytes) -> str | None:
    """HEIC or AVIF by a file's first box; None where it is neither."""
    if data[4:8] != b"ftyp":
        return None
    size = min(int.from_bytes(data[:4], "big"), _MOST_BRANDS)
    brands = [data[8:12], *(data[i : i + 4] for i in range(16, size, 4))]
    for one in brands:
        if one in _AVIF_BRANDS:
            return "AVIF"
        if one in _HEIC_BRANDS:
            return "HEIC"
    return None


@dataclass(frozen=True)
class Boxed:
    """What a file says beside its size."""

    depth: int
    """Bits a channel."""
    cicp: tuple[int, int] | None
    """Numbers of the primaries and of the transfer function (ITU-T H.273)."""
    narrow: bool
    """Whether black is 16 and white 235, of 8 bits."""
    boxes: Boxes
    shown: tuple[int, ...]
    """The items that the picture and its alpha are made of, tiles after their grid."""
    whole: Size
    """Width and height as it is decoded."""
    corner: tuple[int, int]
    """Left and top there of what is to be shown, which is of the size that the header says."""


def read_heif(data: bytes, kind: str) -> tuple[Structure, Boxed]:
    """A file's first picture: size, depth, transparency, and how it is stored.

    Raises:
        Unreadable: it is broken, or larger than any photo's, or a part says another size.
        UnsupportedFormat: a film, or a picture that is coded in another way.
    """
    boxes = _read(data, kind)
    width, height = boxes.size(boxes.primary)
    alpha = [
        of for name, of, to in boxes.references
        if name == b"auxl" and boxes.primary in to
        and (boxes.of(of, b"auxC") or b"")[4:].startswith(_SAYS_ALPHA)
    ][:1]  # fmt: skip
    parts = [_parts(data, boxes, one, kind) for one in (boxes.primary, *alpha)]
    coded = [one for each in parts for one in each if boxes.items[one].kind == _CODED[kind]]
    _check_sizes(data, boxes, coded, (width, height))
    depth = _depth(boxes, coded[0], kind)
    whole, place = _placed(boxes, (width, height), turns=kind == "HEIC")  # as its decoder does
    shown = tuple(part for each in parts for part in each)
    return (
        Structure(
            *(place.width, place.height, 16 if depth > 8 else 8, bool(alpha), kind == "AVIF"),
            pictures=_pictures(boxes, kind),
        ),
        Boxed(depth, *_cicp(boxes), boxes, shown, whole, (place.left, place.top)),
    )


def _pictures(boxes: Boxes, kind: str) -> int:
    """How many are there to be shown: no parts of others, thumbnails, depths, gains."""
    parts = {one for name, _, to in boxes.references if name == b"dimg" for one in to}
    parts |= {of for name, of, _ in boxes.references if name in (b"thmb", b"auxl")}
    shown = {
        number
        for number, item in boxes.items.items()
        if item.kind in (_CODED[kind], b"grid", b"iden") and not item.hidden and number not in parts
    }
    return len(shown | {boxes.primary})


def _read(data: bytes, kind: str) -> Boxes:
    there = {name: (start, stop) for name, start, stop in boxes_in(data, 0, len(data))}
    # A decoder of AVIF takes the film of a file that calls itself one.
    if b"moov" in there and (b"meta" not in there or data[8:12] == _FILM):
        raise UnsupportedFormat(
            f"This {kind} file is a moving picture. Save one of its pictures as JPEG or PNG."
        )
    start, stop = there.get(b"meta", (0, 0))
    if not 4 < stop - start <= MAX_METADATA:
        raise Unreadable
    return read_meta(data[start:stop])


def _parts(data: bytes, boxes: Boxes, number: int, kind: str) -> list[int]:
    """The items that a picture is made of: itself, and the tiles if it is a grid.

    Or what it is the same as, but for how it is shown (`iden`), which a decoder of HEIC knows.
    """
    item = boxes.items.get(number, Item())
    if item.kind == b"iden" and kind == "HEIC":
        named = [to for name, of, to in boxes.references if (name, of) == (b"dimg", number)]
        if len(named) != 1 or len(named[0]) != 1 or named[0][0] == number:
            raise Unreadable
        other = named[0][0]
        if boxes.items.get(other, Item()).kind != b"iden" and not _turns(boxes, other):
            return [number, *_parts(data, boxes, other, kind)]
    tiles: list[int] = []
    if item.kind == b"grid":
        named = [to for name, of, to in boxes.references if (name, of) == (b"dimg", number)]
        if len(named) != 1 or len(set(named[0])) < len(named[0]):
            raise Unreadable
        tiles = list(named[0])
        _check_grid(boxes.bytes_of(data, item), len(tiles), boxes.size(number))
    kinds = {boxes.items.get(i, Item()).kind for i in tiles or [number]}
    if b"" in kinds or len(tiles) > _MOST_TILES:
        raise Unreadable
    if kinds != {_CODED[kind]}:
        names = ", ".join(sorted(_CALLED.get(o, o.decode("ascii", "replace")) for o in kinds))
        raise UnsupportedFormat(
            f"This {kind} file's picture is stored in a way that is not read here"
            f" ({names}). Save it as JPEG or PNG."
        )
    return [number, *tiles]


def _check_grid(said: bytes, tiles: int, size: Size) -> None:
    """A grid says its size a second time (ISO/IEC 23008-12, 6.6.2.3)."""
    wide = said[1] & 1
    if (said[2] + 1) * (said[3] + 1) != tiles:
        raise Unreadable
    if struct.unpack_from(">II" if wide else ">HH", said, 4) != size:
        raise Unreadable


def _check_sizes(data: bytes, boxes: Boxes, parts: list[int], whole: Size) -> None:
    """No coded picture of the file, shown or not, is larger than its item says.

    And a grid's tiles are together about as large as the grid; they may reach over its edges.
    """
    tiles = [boxes.size(part, whole) for part in parts]
    wide, high = largest(tiles)
    room = (whole[0] + wide) * (whole[1] + high)
    if sum(width * height for width, height in tiles) > 2 * room:  # alpha has as many
        raise Unreadable
    most = [max(side + _BLOCK, _TILE + 1) for side in whole]
    if wide >= most[0] or high >= most[1]:
        raise Unreadable
    if sum(length for i in parts for _, length in boxes.items[i].parts) > _most_bytes(whole):
        raise Unreadable
    heads: dict[int, Size] = {}
    turns, read = iter(range(MOST_UNITS)), 0
    for number, item in boxes.items.items():
        if item.kind not in _CONFIGURATION:
            continue
        width, height = boxes.size(number, whole)
        length_bytes, sizes = 4, list[Size]()
        for name, content, place in boxes.properties_of(number):
            if name == b"hvcC":
                length_bytes = (content[21] & 3) + 1
            if name in (b"hvcC", b"av1C"):
                if place not in heads:
                    heads[place] = largest(_configured(name, content, turns))
                sizes.append(heads[place])
        coded = boxes.bytes_of(data, item)
        read += len(coded)
        if read > 2 * len(data) or (number in parts and any(hole in coded for hole in NEVER_CAME)):
            raise Unreadable  # the same bytes for many, or some that never came
        if item.kind == b"av01":
            sizes += av1_sizes(coded, turns)
        else:
            sizes += hevc_sizes(coded, length_bytes, turns)
        said = largest(sizes)
        if said[0] >= width + _BLOCK or said[1] >= height + _BLOCK:
            raise Unreadable


def _most_bytes(size: Size) -> int:
    """Of a picture's code: more than its samples without a loss, in twelve bits, with alpha."""
    return 8 * size[0] * size[1] + (1 << 20)


def _configured(name: bytes, content: bytes, turns: Iterator[int]) -> Iterator[Size]:
    """Of the heads in a decoder's configuration (for HEVC: ISO/IEC 14496-15, 8.3.3.1)."""
    if name == b"av1C":
        yield from av1_sizes(content[4:], turns)
        return
    at = 23
    for _ in range(content[22]):
        count = struct.unpack_from(">H", content, at + 1)[0]
        at += 3
        for _ in range(count):
            if next(turns, None) is None:
                raise Unreadable
            length = struct.unpack_from(">H", content, at)[0]
            yield from hevc_unit_sizes(content[at + 2 : at + 2 + length])
            at += 2 + length


def _depth(boxes: Boxes, item: int, kind: str) -> int:
    said = boxes.of(item, _CONFIGURATION[_CODED[kind]])
    if said is None:
        raise Unreadable
    if kind == "HEIC":
        return 8 + (said[17] & 7)
    return (12 if said[2] & 0x20 else 10) if said[2] & 0x40 else 8


@dataclass(frozen=True)
class _Place:
    """A part of a picture, in pixels."""

    left: int
    top: int
    width: int
    height: int


def _turns(boxes: Boxes, item: int) -> bool:
    return any(name in (b"clap", b"irot", b"imir") for name, _, _ in boxes.properties_of(item))


def _placed(boxes: Boxes, size: Size, *, turns: bool) -> tuple[Size, _Place]:
    """The size of the decoded picture, turned or not, and which part of it is to be shown.

    Cut and turned as is said, in that order. The decoder cuts nothing: its bound on a picture's
    size goes by what is left.
    """
    (width, height), place = size, _Place(0, 0, *size)
    for name, content, _ in boxes.properties_of(boxes.primary):
        left, top, across, down = place.left, place.top, place.width, place.height
        if name == b"clap":
            place = _cut(content, place)
        elif name == b"irot" and turns:
            for _ in range(content[0] & 3):  # quarters against the clock
                left, top, across, down = top, width - left - across, down, across
                width, height = height, width
            place = _Place(left, top, across, down)
        elif name == b"imir" and turns:
            if content[0] & 1:
                place = _Place(width - left - across, top, across, down)
            else:
                place = _Place(left, height - top - down, across, down)
    return (width, height), place


def _cut(content: bytes, place: _Place) -> _Place:
    """The clean aperture (ISO/IEC 14496-12, 12.1.4): its size, and how far its middle is off."""
    numbers = struct.unpack_from(">4IiIiI", content)
    if not all(numbers[1::2]):
        raise Unreadable
    width, height, off, down = (Fraction(*numbers[i : i + 2]) for i in range(0, 8, 2))
    left, top = (
        floor(middle + (whole - side) / 2 + Fraction(1, 2))
        for middle, whole, side in ((off, place.width, width), (down, place.height, height))
    )
    cut = _Place(place.left + left, place.top + top, floor(width), floor(height))
    inside = 0 <= left <= place.width - cut.width and 0 <= top <= place.height - cut.height
    if not (inside and cut.width and cut.height):
        raise Unreadable
    return cut


def _cicp(boxes: Boxes) -> tuple[tuple[int, int] | None, bool]:
    for name, content, _ in boxes.properties_of(boxes.primary):
        if name == b"colr" and content[:4] == b"nclx":
            primaries, transfer, _, full = struct.unpack_from(">HHHB", content, 4)
            return (primaries, transfer), full < 128
    return None, False
