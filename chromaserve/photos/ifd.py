"""Directories of tags as TIFF and EXIF have them, read in bounds (TIFF 6.0, section 2).

Values stay the bytes that they are, in the byte order that they have, so that what nobody here
understands is kept too. Pillow's reader reads what every tag points at, however often.
"""

import struct
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from mmap import mmap

import numpy as np
from numpy.typing import NDArray

ORIENTATION, SOFTWARE = 0x0112, 0x0131
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
EXIF, GPS, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
MAKER_NOTE, COLOUR_SPACE, WIDTH, HEIGHT = 0x927C, 0xA001, 0xA002, 0xA003

_SUB = (EXIF, GPS, INTEROPERABILITY)
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
          16: 8, 17: 8, 18: 8}  # fmt: skip
_WHOLE = {1: 1, 3: 2, 4: 4, 13: 4, 16: 8}
LONG, _SHORT, _RATIONAL, _ASCII = 4, 3, 5, 2
_MOST_TAGS, _DEEPEST = 1_000, 3
_MOST_OF_A_TAG = 4 << 20


class BadDirectory(ValueError):  # noqa: N818 - reads as a fact
    """It is none, or has more tags than that of any photo."""


@dataclass(frozen=True)
class Entry:
    """A tag's value."""

    kind: int
    """TIFF's number of the type."""
    raw: bytes
    place: int | None = None
    """Where it was, for what has addresses within: makers' notes."""


@dataclass(frozen=True)
class Directory:
    """Tags with their values, and directories that tags name."""

    order: str
    """Of bytes: < or >."""
    entries: Mapping[int, Entry] = field(default_factory=dict)
    subs: Mapping[int, "Directory"] = field(default_factory=dict)
    partial: bool = False
    """Whether some of what was there could not be read, or was too large."""

    def number(self, tag: int) -> int | None:
        """A tag's first value, where that is a whole number."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _WHOLE:
            return None
        return int.from_bytes(
            entry.raw[: _WHOLE[entry.kind]], "little" if self.order == "<" else "big"
        )

    def numbers(self, tag: int) -> NDArray[np.int64]:
        """A tag's values, where those are whole numbers."""
        entry = self.entries.get(tag)
        size = _WHOLE.get(entry.kind) if entry else None
        if entry is None or size is None:
            return np.zeros(0, np.int64)
        return np.frombuffer(entry.raw, f"{self.order}u{size}").astype(np.int64)

    def rational(self, tag: int) -> float:
        """A tag's first fraction, 0 where there is none."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind != _RATIONAL:
            return 0.0
        above, below = struct.unpack_from(self.order + "II", entry.raw)
        return float(above / below) if below else 0.0

    def text(self, tag: int) -> str:
        """A tag's text."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind != _ASCII:
            return ""
        return entry.raw.split(b"\0")[0].decode("utf-8", "replace").strip()

    def with_short(self, tag: int, value: int) -> "Directory":
        """With a tag of one number below 65,536."""
        return self._with(tag, Entry(_SHORT, struct.pack(self.order + "H", value)))

    def with_text(self, tag: int, text: str) -> "Directory":
        """With a tag of text."""
        return self._with(tag, Entry(_ASCII, text.encode("utf-8", "replace") + b"\0"))

    def with_resolution(self, dpi: tuple[float, float]) -> "Directory":
        """With its pixels an inch."""
        made = self.with_short(RESOLUTION_UNIT, 2)
        for tag, value in zip((X_RESOLUTION, Y_RESOLUTION), dpi, strict=True):
            raw = struct.pack(self.order + "II", min(round(value * 1000), 2**32 - 1), 1000)
            made = made._with(tag, Entry(_RATIONAL, raw))
        return made

    def without(self, tags: Iterable[int]) -> "Directory":
        """Without some tags and the directories that they name, within others too."""
        gone = set(tags)
        return Directory(
            self.order,
            {tag: entry for tag, entry in self.entries.items() if tag not in gone},
            {tag: sub.without(gone) for tag, sub in self.subs.items() if tag not in gone},
        )

    def names(self, tag: int) -> bool:
        """Whether it has the directory that a tag names, within others too."""
        return tag in self.subs or any(sub.names(tag) for sub in self.subs.values())

    def turned(self) -> "Directory":
        """With the sides exchanged that its EXIF tells of."""
        sub = self.subs.get(EXIF)
        if sub is None or not {WIDTH, HEIGHT} <= sub.entries.keys():
            return self
        width, height = sub.entries[WIDTH], sub.entries[HEIGHT]
        entries = {**sub.entries, WIDTH: height, HEIGHT: width}
        return replace(self, subs={**self.subs, EXIF: replace(sub, entries=entries)})

    def in_srgb(self) -> "Directory":
        """With EXIF that says, if anything, that colours are sRGB."""
        sub = self.subs.get(EXIF)
        if sub is None or COLOUR_SPACE not in sub.entries:
            return self
        return replace(self, subs={**self.subs, EXIF: sub.with_short(COLOUR_SPACE, 1)})

    def _with(self, tag: int, entry: Entry) -> "Directory":
        return replace(self, entries={**self.entries, tag: entry})

    @property
    def note(self) -> Entry | None:
        """The maker's note, which has a place."""
        found = self.entries.get(MAKER_NOTE)
        if found is None and EXIF in self.subs:
            return self.subs[EXIF].entries.get(MAKER_NOTE)
        return found


def byte_order(data: bytes | mmap) -> tuple[str, bool]:
    """Of a TIFF: < or >, and whether it is a BigTIFF."""
    return "<" if data[:2] == b"II" else ">", data[2:4] in (b"+\0", b"\0+")


def read_exif(data: bytes) -> Directory:
    """The first directory of EXIF, which is a TIFF file without pixels.

    Raises:
        BadDirectory: see there.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        raise BadDirectory
    at = struct.unpack_from(order + "I", data, 4)[0]
    return read(data, order, at, limit=len(data) + 65536)


def read(
    data: bytes | memoryview,
    order: str,
    at: int,
    *,
    limit: int,
    big: bool = False,
    without: Container[int] = (),
) -> Directory:
    """A directory and those that it names.

    Args:
        data: of the file.
        order: of bytes.
        at: where it is.
        limit: bytes of all values; what is beyond is left out.
        big: whether the file is a BigTIFF.
        without: tags that are not read.

    Raises:
        BadDirectory: there is none there. One that breaks off, or names others that are none, is
            had up to there and without them, and says so.
    """
    reader = _Reader(data, order, big, limit, without)
    return replace(reader.directory(at, 0), partial=reader.partial)


class _Reader:
    def __init__(
        self, data: bytes | memoryview, order: str, big: bool, left: int, without: Container[int]
    ) -> None:
        self._data, self._order, self._big, self._left = data, order, big, left
        self._without = without
        self.partial = False

    def directory(self, at: int, depth: int) -> Directory:
        data, order, big = self._data, self._order, self._big
        if not 0 < at <= len(data) - (8 if big else 2):
            raise BadDirectory
        count = struct.unpack_from(order + ("Q" if big else "H"), data, at)[0]
        if count > _MOST_TAGS or depth > _DEEPEST:
            raise BadDirectory
        first, step = (at + 8, 20) if big else (at + 2, 12)
        there = min(count, (len(data) - first) // step)
        self.partial |= there < count
        entries: dict[int, Entry] = {}
        subs: dict[int, Directory | None] = {}
        for i in range(there):
            tag, kind, size, place = self._head(first + step * i)
            if not size or tag in self._without:
                continue
            if tag in _SUB:
                if tag not in subs:  # each once: some name themselves
                    subs[tag] = self._sub(data[place : place + TYPE_BYTES[kind]], depth + 1)
                continue
            if size > min(self._left, _MOST_OF_A_TAG) or place + size > len(data):
                self.partial = True
                continue
            self._left -= size
            raw = bytes(data[place : place + size])
            entries[tag] = Entry(kind, raw, place if tag == MAKER_NOTE else None)
        return Directory(order, entries, {tag: sub for tag, sub in subs.items() if sub})

    def _head(self, at: int) -> tuple[int, int, int, int]:
        """A tag, its type, and where its value is, of how many bytes."""
        order, data = self._order, self._data
        tag, kind, values = struct.unpack_from(order + ("HHQ" if self._big else "HHI"), data, at)
        size, inline = values * TYPE_BYTES.get(kind, 0), 8 if self._big else 4
        place = at + 4 + inline
        if size > inline:
            place = struct.unpack_from(order + ("Q" if self._big else "I"), data, place)[0]
        return tag, kind, size, place

    def _sub(self, place: bytes | memoryview, depth: int) -> Directory | None:
        """The directory at an address; None where there is none."""
        at = int.from_bytes(place, "little" if self._order == "<" else "big")
        try:
            return self.directory(at, depth)
        except BadDirectory:
            self.partial = True
            return None
