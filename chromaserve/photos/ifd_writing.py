"""Directories of tags written as TIFF and EXIF have them (TIFF 6.0, section 2)."""

import struct

from chromaserve.photos.ifd import LONG, TYPE_BYTES, Directory, Entry

_BIG = 16  # the first type that BigTIFF alone has
_MOST_BEFORE_A_NOTE = 1 << 16


def write_exif(directory: Directory) -> bytes:
    """EXIF of a directory; a maker's note is where it was, if that is near the start.

    What else there is goes before it as far as there is room, the rest behind it.
    """
    order, note = directory.order, directory.note
    near = note and note.place and 8 <= note.place < _MOST_BEFORE_A_NOTE
    written = _Written(8, note if near else None)
    first = written.add(directory)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", first)
    return head + written.out


def write(directory: Directory, at: int) -> bytes:
    """A directory's bytes for the place `at` of a file, even, with no other one behind it."""
    written = _Written(at)
    written.add(directory)
    return bytes(written.out)


class _Written:
    """Directories and their values, around a maker's note that has its place already."""

    def __init__(self, at: int, note: Entry | None = None) -> None:
        self._at, self._note, self._gap = at, note, at
        self._end = note.place if note and note.place else at
        self.out = bytearray(self._end - at) + (note.raw if note else b"")
        self.out += bytes((at + len(self.out)) % 2)

    def _room(self, size: int) -> int:
        """The place of so many bytes."""
        at, size = self._gap, size + size % 2
        if at + size <= self._end:
            self._gap += size
            return at
        at = self._at + len(self.out)
        self.out += bytes(size)
        return at

    def _put(self, data: bytes, at: int) -> None:
        self.out[at - self._at : at - self._at + len(data)] = data

    def add(self, directory: Directory) -> int:
        """Write one, and those that it names; its place."""
        order = directory.order
        entries = {tag: entry for tag, entry in directory.entries.items() if entry.kind < _BIG}
        tags = sorted({*entries, *directory.subs})
        at = self._room(2 + 12 * len(tags) + 4)
        rows = [struct.pack(order + "H", len(tags))]
        for tag in tags:
            if tag in directory.subs:
                place = self.add(directory.subs[tag])
                rows.append(struct.pack(order + "HHII", tag, LONG, 1, place))
                continue
            entry = entries[tag]
            count = len(entry.raw) // TYPE_BYTES[entry.kind]
            rows.append(struct.pack(order + "HHI", tag, entry.kind, count))
            if len(entry.raw) <= 4:
                rows.append(entry.raw.ljust(4, b"\0"))
                continue
            if entry is self._note and entry.place:
                place = entry.place
            else:
                place = self._room(len(entry.raw))
                self._put(entry.raw, place)
            rows.append(struct.pack(order + "I", place))
        self._put(b"".join(rows), at)
        return at
