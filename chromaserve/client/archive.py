"""A ZIP read while it arrives: each entry as soon as it is complete.

Written out, because what there is to read is little: the service stores entries, and each one's
header says how long it is. The library for every kind of ZIP (stream-unzip) brings an inflater and
a package of ciphers.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from chromaserve.client.bounds import MAX_RESULT_MB, MOST_TOLD, too_large
from chromaserve.client.problems import parsed
from chromaserve.photos.names import ZIP_FIELD

_LOCAL = struct.Struct("<4s2x2H4x3I2H")
"""Local file header (APPNOTE 4.3.7): signature, flags, method, CRC, sizes, lengths."""
_FIELD = struct.Struct("<HH")
"""Head of an extra field (4.5.1): what it is, and its length."""
_ENTRY, _DIRECTORY = b"PK\3\4", (b"PK\1\2", b"PK\5\6")
_ENCRYPTED, _SIZES_BEHIND, _UTF8 = 1, 8, 1 << 11
_UNKNOWN = 0xFFFFFFFF  # sizes are in a ZIP64 field


class BadArchive(Exception):  # noqa: N818 - reads as a fact
    """The bytes are not a ZIP as the service sends it, or they were cut short."""


class ArchiveEntry(NamedTuple):
    """A file of an archive."""

    name: str
    content: bytes
    told: dict[str, Any]
    """What the service tells of the photo beside it; empty where it says nothing."""


class ArchiveReader:
    """Takes a ZIP's bytes in pieces of any size; holds no more than one entry."""

    def __init__(self, most: int = int(MAX_RESULT_MB * 2**20)) -> None:
        """`most`: bytes of an entry."""
        self._most = most
        self._held = bytearray()
        self._needed = _LOCAL.size
        self.complete = False
        """Whether all entries have come: what follows is the directory."""

    def feed(self, data: bytes) -> Iterator[ArchiveEntry]:
        """Take the next bytes; give the entries that they complete.

        Raises:
            BadArchive: they are no stored entries of known length, or a checksum is wrong.
            AnswerTooLarge: an entry has more bytes than are taken.
        """
        if self.complete:
            return
        self._held += data
        while len(self._held) >= self._needed:
            entry = self._entry()
            if self.complete:
                return
            if entry is not None:
                yield entry

    def _entry(self) -> ArchiveEntry | None:
        """The entry at the start of what is held; None while more bytes are `needed`."""
        held = self._held
        signature, flags, method, crc, packed, size, name_size, extra = _LOCAL.unpack_from(held)
        if signature in _DIRECTORY:
            self.complete = True
            held.clear()
            return None
        if signature != _ENTRY:
            raise BadArchive("An entry was expected in the ZIP, and something else came.")
        if method or flags & (_ENCRYPTED | _SIZES_BEHIND) or packed != size or size == _UNKNOWN:
            raise BadArchive("The ZIP has an entry that is not stored plainly with its length.")
        if size > self._most:
            raise too_large(self._most)
        start = _LOCAL.size + name_size + extra
        self._needed = start + size
        if len(held) < self._needed:
            return None
        name = bytes(held[_LOCAL.size : _LOCAL.size + name_size])
        told = _told(bytes(held[_LOCAL.size + name_size : start]))
        with memoryview(held) as view:
            content = bytes(view[start : start + size])
        if zlib.crc32(content) != crc:
            raise BadArchive("The checksum of an entry of the ZIP is wrong.")
        del held[: self._needed]
        self._needed = _LOCAL.size
        return ArchiveEntry(name.decode("utf-8" if flags & _UTF8 else "cp437"), content, told)


def manifest_of(content: bytes) -> Any:  # noqa: ANN401 - JSON
    """What the entry says that tells what became of each photo.

    Raises:
        BadArchive: it is no JSON.
        AnswerTooLarge: it is longer than what is told may be.
    """
    if len(content) > MOST_TOLD:
        raise too_large(MOST_TOLD)
    try:
        return parsed(content)
    except ValueError as error:
        raise BadArchive("The manifest of the ZIP is broken.") from error


def _told(extra: bytes) -> dict[str, Any]:
    at = 0
    while at + _FIELD.size <= len(extra):
        kind, size = _FIELD.unpack_from(extra, at)
        at += _FIELD.size
        if kind == ZIP_FIELD:
            try:
                told = parsed(extra[at : at + size])
            except ValueError as error:
                raise BadArchive("What the ZIP tells of a photo is broken.") from error
            return told if isinstance(told, dict) else {}
        at += size
    return {}
