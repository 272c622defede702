"""Headers of HEIC and AVIF (ISO/IEC 23008-12, AV1 Image File Format).

Decoders make room for what each coded picture says of its own size, wherever it says so; all of
them are held against the size that the file says.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from chromaserve.errors import UnsupportedFormat
from chromaserve.photos.coded_size import (
    MOST_UNITS,
    Size,
    av1_sizes,
    hevc_sizes,
    hevc_unit_sizes,
)
from chromaserve.photos.heif_boxes import Boxes, Item, boxes_in, read_meta
from chromaserve.photos.structure import MAX_METADATA, Structure, Unreadable

_MOST_TILES = 1_000
_TILE = 512
"""Side of telephones' tiles: a smaller photo may have one."""
_BLOCK = 64
"""Coded sides are whole blocks, so that they may be longer by less than one."""
_CODED = {"HEIC": b"hvc1", "AVIF": b"av01"}
_CONFIGURATION = {b"hvc1": b"hvcC", b"av01": b"av1C"}
_SAYS_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
_AVIF_BRANDS = (b"avif", b"avis")
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis")
_MOST_BRANDS = 256  # bytes
_FILM = b"avis"


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
    boxes: Boxes
    shown: tuple[int, ...]
    """The items that the picture and its alpha are made of, tiles after their grid."""


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
    coded = [part for each in parts for part in (each[1:] or each)]
    _check_sizes(data, boxes, coded, (width, height))
    depth = _depth(boxes, coded[0], kind)
    if kind == "HEIC":  # whose decoder cuts and turns
        width, height = _turned(boxes, (width, height))
    shown = tuple(part for each in parts for part in each)
    return (
        Structure(
            *(width, height, 16 if depth > 8 else 8, bool(alpha), kind == "AVIF"),
            pictures=_pictures(boxes, kind),
        ),
        Boxed(depth, _cicp(boxes), boxes, shown),
    )


def _pictures(boxes: Boxes, kind: str) -> int:
    """How many are there to be shown: no parts of others, thumbnails, depths, gains."""
    parts = {one for name, _, to in boxes.references if name == b"dimg" for one in to}
    parts |= {of for name, of, _ in boxes.references if name in (b"thmb", b"auxl")}
    shown = {
        number
        for number, item in boxes.items.items()
        if item.kind in (_CODED[kind], b"grid") and not item.hidden and number not in parts
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
    """The items that a picture is made of: itself, and the tiles if it is a grid."""
    item = boxes.items.get(number, Item())
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
        names = ", ".join(sorted(one.decode("ascii", "replace") for one in kinds))
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
    largest = [max(sides) for sides in zip(*tiles, strict=True)]
    room = (whole[0] + largest[0]) * (whole[1] + largest[1])
    if sum(width * height for width, height in tiles) > 2 * room:  # alpha has as many
        raise Unreadable
    most = [max(side + _BLOCK, _TILE + 1) for side in whole]
    if largest[0] >= most[0] or largest[1] >= most[1]:
        raise Unreadable
    if sum(length for i in parts for _, length in boxes.items[i].parts) > _most_bytes(whole):
        raise Unreadable
    heads: dict[int, list[Size]] = {}
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
                    heads[place] = list(_configured(name, content, turns))
                sizes += heads[place]
        coded = boxes.bytes_of(data, item)
        read += len(coded)
        if read > 2 * len(data):  # the same bytes for many
            raise Unreadable
        if item.kind == b"av01":
            sizes += av1_sizes(coded, turns)
        else:
            sizes += hevc_sizes(coded, length_bytes, turns)
        if any(size[0] >= width + _BLOCK or size[1] >= height + _BLOCK for size in sizes):
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


def _turned(boxes: Boxes, size: Size) -> Size:
    """What is left of a size when it is cut and turned, in the order that is said."""
    for name, content, _ in boxes.properties_of(boxes.primary):
        if name == b"clap":
            width, over, height, under = struct.unpack_from(">4I", content)
            if not (over and under):
                raise Unreadable
            size = min(size[0], width // over), min(size[1], height // under)
        if name == b"irot" and content[0] & 1:
            size = size[::-1]
    return size


def _cicp(boxes: Boxes) -> tuple[int, int] | None:
    for name, content, _ in boxes.properties_of(boxes.primary):
        if name == b"colr" and content[:4] == b"nclx":
            primaries, transfer = struct.unpack_from(">HH", content, 4)
            return primaries, transfer
    return None
