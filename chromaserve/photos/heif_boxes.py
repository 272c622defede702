"""The boxes of HEIC and AVIF files, read in bounded steps: which items there are, and where.

ISO/IEC 14496-12 (boxes) and 23008-12 (HEIF: items and their properties).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from chromaserve.photos.coded_size import Size
from chromaserve.photos.structure import Unreadable

_MOST_BOXES = 10_000
_MOST_ITEMS = 2_000
_MOST_EXTENTS = 10_000
_MOST_NAMED = 20_000


@dataclass
class Item:
    """A coded picture, a grid of some, EXIF, or something else."""

    kind: bytes = b""
    parts: list[tuple[int, int]] = field(default_factory=list)
    """Where its bytes are, and how many."""
    inside: bool = False
    """Whether they are in the box `idat`."""
    properties: list[int] = field(default_factory=list)
    hidden: bool = False
    """Whether it is not to be shown by itself."""


@dataclass
class Boxes:
    """What the box `meta` says."""

    primary: int = 0
    items: dict[int, Item] = field(default_factory=dict)
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    references: list[tuple[bytes, int, tuple[int, ...]]] = field(default_factory=list)
    inside: bytes = b""
    """The content of `idat`."""
    named: int = 0
    """How many properties and items were named so far."""

    def properties_of(self, item: int) -> Iterator[tuple[bytes, bytes, int]]:
        """Name, content and place of each of an item's properties, in their order."""
        for place in self.items.get(item, Item()).properties:
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

    def pieces_of(self, data: bytes, item: Item) -> list[memoryview]:
        """An item's own bytes, where they lie."""
        whole = memoryview(self.inside if item.inside else data)
        if sum(length for _, length in item.parts) > len(data):
            raise Unreadable
        return [whole[at : at + length] for at, length in item.parts]

    def bytes_of(self, data: bytes, item: Item) -> bytes:
        """A copy of an item's own bytes."""
        return b"".join(self.pieces_of(data, item))

    def count(self, named: int) -> None:
        """Raise Unreadable where more are named than in any photo."""
        self.named += named
        if self.named > _MOST_NAMED or len(self.properties) > _MOST_BOXES:
            raise Unreadable


def boxes_in(
    data: bytes, start: int, stop: int, most: int = _MOST_BOXES
) -> Iterator[tuple[bytes, int, int]]:
    """Each one's name, and where its content begins and ends; Unreadable where there are more."""
    for _ in range(most):
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


def read_meta(data: bytes) -> Boxes:
    """The content of the box `meta`.

    Raises:
        Unreadable: it is broken, or has more in it than a photo's.
    """
    found = Boxes()
    for name, start, stop in boxes_in(data, 4, len(data)):
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


def _read_items(content: bytes, found: Boxes) -> None:
    for name, start, _ in boxes_in(content, 8 if content[0] else 6, len(content)):
        if name == b"infe" and content[start] >= 2:
            wide = content[start] > 2
            number = struct.unpack_from(">I" if wide else ">H", content, start + 4)[0]
            at = start + (10 if wide else 8)
            item = found.items.setdefault(number, Item())
            if item.kind not in (b"", content[at : at + 4]):
                raise Unreadable
            item.kind = content[at : at + 4]
            item.hidden = bool(content[start + 3] & 1)


def _read_places(content: bytes, found: Boxes) -> None:
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

    extents, count = 0, number(2 if version < 2 else 4)
    if count > _MOST_ITEMS:
        raise Unreadable
    for _ in range(count):
        item = found.items.setdefault(number(2 if version < 2 else 4), Item())
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


def _read_properties(content: bytes, found: Boxes) -> None:
    for name, start, stop in boxes_in(content, 0, len(content)):
        if name == b"ipco":
            for kind, first, last in boxes_in(content, start, stop):
                found.properties.append((kind, content[first:last]))
            found.count(0)
        elif name == b"ipma":
            _read_associations(content[start:stop], found)


def _read_associations(content: bytes, found: Boxes) -> None:
    item_bytes, wide = (4 if content[0] else 2), content[3] & 1
    at = 8
    for _ in range(struct.unpack_from(">I", content, 4)[0]):
        item = found.items.setdefault(int.from_bytes(content[at : at + item_bytes], "big"), Item())
        at += item_bytes
        count = content[at]
        at += 1
        found.count(count + 1)
        for _ in range(count):
            mask = 0x7FFF if wide else 0x7F
            item.properties.append(int.from_bytes(content[at : at + 1 + wide], "big") & mask)
            at += 1 + wide


def _read_references(content: bytes, found: Boxes) -> None:
    number = ">I" if content[0] else ">H"
    size = struct.calcsize(number)
    for name, start, _ in boxes_in(content, 4, len(content)):
        one = struct.unpack_from(number, content, start)[0]
        count = struct.unpack_from(">H", content, start + size)[0]
        found.count(count + 1)
        to = struct.unpack_from(f">{count}{number[1]}", content, start + size + 2)
        found.references.append((name, one, to))
