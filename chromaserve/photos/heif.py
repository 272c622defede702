"""HEIC and AVIF: the boxes around their coded pictures, read in bounded steps.

ISO/IEC 14496-12 (boxes), 23008-12 (HEIF: items and their properties), AV1 Image File Format.
Decoders make room for what each coded picture says of its own size, wherever it says so; all of
them are held against the size that the file says.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from chromaserve.errors import UnsupportedFormat
from chromaserve.photos.coded_size import (
    MOST_UNITS,
    Size,
    av1_sizes,
    hevc_sizes,
    hevc_unit_sizes,
)
from chromaserve.photos.structure import MAX_METADATA, Structure, Unreadable

_MOST_BOXES = 10_000
_MOST_ITEMS = 2_000
_MOST_EXTENTS = 10_000
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
_KEPT = (b"ispe", b"hvcC", b"pixi", b"irot", b"imir", b"clap", b"auxC")
_MOST_HEAD = 1_000


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


@dataclass
class _Item:
    kind: bytes = b""
    parts: list[tuple[int, int]] = field(default_factory=list)
    """Where its bytes are, and how many."""
    inside: bool = False
    """Whether they are in the box `idat`."""
    properties: list[int] = field(default_factory=list)


@dataclass
class _Boxes:
    """What the box `meta` says."""

    primary: int = 0
    items: dict[int, _Item] = field(default_factory=dict)
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    references: list[tuple[bytes, int, tuple[int, ...]]] = field(default_factory=list)
    inside: bytes = b""
    """The content of `idat`."""

    def properties_of(self, item: int) -> Iterator[tuple[bytes, bytes, int]]:
        """Name, content and place of each of an item's properties, in their order."""
        for place in self.items.get(item, _Item()).properties:
            if 0 < place <= len(self.properties):
                yield *self.properties[place - 1], place

    def of(self, item: int, kind: bytes) -> bytes | None:
        """An item's property of a kind."""
        return next((said for name, said, _ in self.properties_of(item) if name == kind), None)

    def size(self, item: int, other: Size | None = None) -> Size:
        """What an item says of its size; `other` where it says nothing."""
        said = self.of(item, b"ispe")
        if said is None:
            if other is None:
                raise Unreadable
            return other
        width, height = struct.unpack_from(">II", said, 4)
        return width, height

    def pieces_of(self, data: bytes, item: _Item) -> list[memoryview]:
        """An item's own bytes, where they lie."""
        whole = memoryview(self.inside if item.inside else data)
        if sum(length for _, length in item.parts) > len(data):
            raise Unreadable
        return [whole[at : at + length] for at, length in item.parts]

    def bytes_of(self, data: bytes, item: _Item) -> bytes:
        """A copy of an item's own bytes."""
        return b"".join(self.pieces_of(data, item))


@dataclass(frozen=True)
class Boxed:
    """What a file says beside its size."""

    depth: int
    """Bits a channel."""
    cicp: tuple[int, int] | None
    """Numbers of the primaries and of the transfer function (ITU-T H.273)."""
    boxes: _Boxes
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
        Structure(width, height, 16 if depth > 8 else 8, bool(alpha), kind == "AVIF"),
        Boxed(depth, _cicp(boxes), boxes, shown),
    )


def info(data: bytes, boxes: _Boxes) -> dict[str, bytes]:
    """A HEIC's ICC profile, EXIF and XMP, by the names that Pillow has for them."""
    found = {}
    for name, content, _ in boxes.properties_of(boxes.primary):
        if name == b"colr" and content[:4] in (b"prof", b"rICC"):
            found["icc_profile"] = content[4:]
    about = {of for name, of, to in boxes.references if name == b"cdsc" and boxes.primary in to}
    for number in sorted(about):
        item = boxes.items.get(number, _Item())
        try:
            content = boxes.bytes_of(data, item)
        except Unreadable:
            continue
        if item.kind == b"Exif":
            found["exif"] = content[4 + int.from_bytes(content[:4], "big") :]
        elif item.kind == b"mime" and b"<x:xmpmeta" in content[:_MOST_HEAD]:
            found["xmp"] = content
    return found


def plain_heic(data: bytes, boxed: Boxed) -> bytes:
    """The picture alone, in boxes that are written anew.

    So the decoder's library, of which some parts fail on broken boxes, meets none of a file's own.
    """
    boxes, new = boxed.boxes, {old: i for i, old in enumerate(boxed.shown, 1)}
    properties: dict[int, int] = {}
    kept, items, links, places = [], [], [], []
    body: list[memoryview] = []
    end = 0
    for old, number in new.items():
        item = boxes.items[old]
        items.append(_full(b"infe", struct.pack(">HH4sB", number, 0, item.kind, 0), version=2))
        mine = []
        for name, content, place in boxes.properties_of(old):
            nclx = name == b"colr" and content[:4] == b"nclx"
            if name not in _KEPT and not nclx:
                continue
            if place not in properties:
                properties[place] = len(properties) + 1
                kept.append(_box(name, content))
            mine.append(properties[place])
        links.append(struct.pack(f">HB{len(mine)}H", number, len(mine), *mine))
        pieces = boxes.pieces_of(data, item)
        body += pieces
        places.append((number, end, sum(map(len, pieces))))
        end += places[-1][2]
    references = [
        _box(name, struct.pack(f">HH{len(to)}H", new[of], len(to), *(new[i] for i in to)))
        for name, of, to in boxes.references
        if name in (b"dimg", b"auxl") and of in new and all(i in new for i in to)
    ]
    ftyp = _box(b"ftyp", b"heic\0\0\0\0mif1heic")

    def meta(start: int) -> bytes:
        rows = [struct.pack(">HHHII", n, 0, 1, start + at, size) for n, at, size in places]
        return _full(
            b"meta",
            _full(b"hdlr", bytes(4), b"pict", bytes(13)),
            _full(b"pitm", struct.pack(">H", 1)),
            _full(b"iinf", struct.pack(">H", len(items)), *items),
            _full(b"iref", *references),
            _box(
                b"iprp",
                _box(b"ipco", *kept),
                _full(b"ipma", struct.pack(">I", len(links)), *links, flags=1),
            ),
            _full(b"iloc", b"\x44\0", struct.pack(">H", len(rows)), *rows),
        )

    start = len(ftyp) + len(meta(0)) + 8
    return b"".join([ftyp, meta(start), struct.pack(">I4s", 8 + end, b"mdat"), *body])


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, bytes([version, 0, 0, flags]), *content)


def _read(data: bytes, kind: str) -> _Boxes:
    there = {name: (start, stop) for name, start, stop in _boxes(data, 0, len(data))}
    # A decoder of AVIF takes the film of a file that calls itself one.
    if b"moov" in there and (b"meta" not in there or data[8:12] == _FILM):
        raise UnsupportedFormat(
            f"This {kind} file is a moving picture. Save one of its pictures as JPEG or PNG."
        )
    start, stop = there.get(b"meta", (0, 0))
    if not 4 < stop - start <= MAX_METADATA:
        raise Unreadable
    return _meta(data[start:stop])


def _boxes(data: bytes, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Each one's name, and where its content begins and ends."""
    for _ in range(_MOST_BOXES):
        if start + 8 > stop:
            return
        size, name = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, start + 8)[0], 16
        end = stop if size == 0 else min(start + size, stop)
        if start + head > end:
            raise Unreadable
        yield name, start + head, end
        start = end
    raise Unreadable


def _meta(data: bytes) -> _Boxes:
    found = _Boxes()
    for name, start, stop in _boxes(data, 4, len(data)):
        content = data[start:stop]
        if name == b"pitm":
            found.primary = struct.unpack_from(">I" if content[0] else ">H", content, 4)[0]
        elif name == b"iinf":
            _read_items(content, found)
        elif name == b"iloc":
            _read_places(content, found)
        elif name == b"iprp":
            _read_properties(content, found)
        elif name == b"iref":
            _read_references(content, found)
        elif name == b"idat":
            found.inside = content
        if len(found.items) > _MOST_ITEMS:
            raise Unreadable
    return found


def _read_items(content: bytes, found: _Boxes) -> None:
    for name, start, _ in _boxes(content, 8 if content[0] else 6, len(content)):
        if name == b"infe" and content[start] >= 2:
            wide = content[start] > 2
            number = struct.unpack_from(">I" if wide else ">H", content, start + 4)[0]
            at = start + (10 if wide else 8)
            item = found.items.setdefault(number, _Item())
            if item.kind not in (b"", content[at : at + 4]):
                raise Unreadable
            item.kind = content[at : at + 4]


def _read_places(content: bytes, found: _Boxes) -> None:
    version = content[0]
    offset_bytes, length_bytes = content[4] >> 4, content[4] & 15
    base_bytes, index_bytes = content[5] >> 4, content[5] & 15 if version else 0
    at = 6

    def number(size: int) -> int:
        nonlocal at
        if at + size > len(content):
            raise Unreadable
        at += size
        return int.from_bytes(content[at - size : at], "big")

    extents = 0
    for _ in range(number(2 if version < 2 else 4)):
        item = found.items.setdefault(number(2 if version < 2 else 4), _Item())
        if item.parts:
            raise Unreadable
        method = number(2) & 15 if version else 0
        if method > 1 or number(2):  # made of other items, or in another file
            item.kind = b"else"
        item.inside = method == 1
        base = number(base_bytes)
        for _ in range(number(2)):
            extents += 1
            number(index_bytes)
            place = base + number(offset_bytes)
            item.parts.append((place, number(length_bytes)))
            if extents > _MOST_EXTENTS:
                raise Unreadable
        if len(found.items) > _MOST_ITEMS:
            raise Unreadable


def _read_properties(content: bytes, found: _Boxes) -> None:
    for name, start, stop in _boxes(content, 0, len(content)):
        if name == b"ipco":
            for kind, first, last in _boxes(content, start, stop):
                found.properties.append((kind, content[first:last]))
        elif name == b"ipma":
            _read_associations(content[start:stop], found)


def _read_associations(content: bytes, found: _Boxes) -> None:
    item_bytes, wide = (4 if content[0] else 2), content[3] & 1
    at, seen = 8, 0
    for _ in range(struct.unpack_from(">I", content, 4)[0]):
        item = found.items.setdefault(int.from_bytes(content[at : at + item_bytes], "big"), _Item())
        at += item_bytes
        count = content[at]
        at += 1
        seen += count + 1
        if seen > _MOST_EXTENTS:
            raise Unreadable
        for _ in range(count):
            mask = 0x7FFF if wide else 0x7F
            item.properties.append(int.from_bytes(content[at : at + 1 + wide], "big") & mask)
            at += 1 + wide


def _read_references(content: bytes, found: _Boxes) -> None:
    number = ">I" if content[0] else ">H"
    size, seen = struct.calcsize(number), 0
    for name, start, _ in _boxes(content, 4, len(content)):
        one = struct.unpack_from(number, content, start)[0]
        count = struct.unpack_from(">H", content, start + size)[0]
        seen += count
        if seen > _MOST_EXTENTS:
            raise Unreadable
        to = struct.unpack_from(f">{count}{number[1]}", content, start + size + 2)
        found.references.append((name, one, to))


def _parts(data: bytes, boxes: _Boxes, number: int, kind: str) -> list[int]:
    """The items that a picture is made of: itself, and the tiles if it is a grid."""
    item = boxes.items.get(number, _Item())
    tiles: list[int] = []
    if item.kind == b"grid":
        named = [to for name, of, to in boxes.references if (name, of) == (b"dimg", number)]
        if len(named) != 1 or len(set(named[0])) < len(named[0]):
            raise Unreadable
        tiles = list(named[0])
        _check_grid(boxes.bytes_of(data, item), len(tiles), boxes.size(number))
    kinds = {boxes.items.get(i, _Item()).kind for i in tiles or [number]}
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


def _check_sizes(data: bytes, boxes: _Boxes, parts: list[int], whole: Size) -> None:
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


def _depth(boxes: _Boxes, item: int, kind: str) -> int:
    said = boxes.of(item, _CONFIGURATION[_CODED[kind]])
    if said is None:
        raise Unreadable
    if kind == "HEIC":
        return 8 + (said[17] & 7)
    return (12 if said[2] & 0x20 else 10) if said[2] & 0x40 else 8


def _turned(boxes: _Boxes, size: Size) -> Size:
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


def _cicp(boxes: _Boxes) -> tuple[int, int] | None:
    for name, content, _ in boxes.properties_of(boxes.primary):
        if name == b"colr" and content[:4] == b"nclx":
            primaries, transfer = struct.unpack_from(">HH", content, 4)
            return primaries, transfer
    return None
