"""TIFF written strip by strip: 8 or 16 bits, rows less their neighbours, deflated (TIFF 6.0)."""

import struct
import zlib
from io import BytesIO

import numpy as np
from isal import isal_zlib

from chromaserve.errors import InvalidOptions
from chromaserve.photos.icc import srgb_profile
from chromaserve.photos.ifd import Directory, Entry
from chromaserve.photos.ifd_writing import write
from chromaserve.photos.metadata import STORAGE, Metadata
from chromaserve.photos.photo import Pixels, Striped
from chromaserve.photos.png import PngLevel

_SHORT, _LONG, _UNDEFINED, _BYTE = 3, 4, 7, 1
_DEFLATE, _HORIZONTAL, _RGB, _UNASSOCIATED = 8, 2, 2, 2
_DESCRIPTION, _OF_PROGRAMS = 270, ('{"shape"', "ImageJ=", "<?xml")
"""What programs write there of the file's own pixels is of no other file's."""
_STRIP_BYTES = 1 << 18
_PAGE = 2  # of NewSubfileType
_MOST_BYTES = 2**32 - (64 << 20)
"""Of pixels, for whose places there are 32 bits, and of tags behind them."""


class TiffWriter:
    """A TIFF of one page or several, each of which is made while it is written."""

    def __init__(self) -> None:
        """Begin the file; addresses of 32 bits, in the byte order of most machines."""
        self._file = BytesIO()
        self._file.write(b"II*\0" + bytes(4))
        self._link = 4  # where the next page's address goes

    def add(
        self,
        image: Striped,
        metadata: Metadata,
        level: PngLevel = "fast",
        page: tuple[int, int] | None = None,
    ) -> None:
        """Write a page.

        Args:
            image: its pixels.
            metadata: its tags.
            level: of compression.
            page: which of how many, from 0.

        Raises:
            InvalidOptions: the file would have more than 4 GiB.
        """
        rows, columns, channels = image.shape
        depth = np.dtype(image.dtype).itemsize
        per_strip = max(1, _STRIP_BYTES // (columns * channels * depth))
        places, sizes = [], []

        def work(_: int, rows: Pixels) -> list[bytes]:
            parts = (rows[i : i + per_strip] for i in range(0, len(rows), per_strip))
            return [_deflated(part, level) for part in parts]

        def put(parts: list[bytes]) -> None:
            for data in parts:
                if self.size + len(data) > _MOST_BYTES:
                    raise InvalidOptions(
                        "All pages are more than the 4 GiB that a TIFF holds: ask for each by its"
                        " page."
                        if page
                        else "The result is more than the 4 GiB that a TIFF holds: ask for a PNG."
                    )
                places.append(self._file.tell())
                sizes.append(len(data))
                self._file.write(data)

        image.each(work, put, multiple=per_strip)
        tags = {
            256: _longs(columns),
            257: _longs(rows),
            258: _shorts(*[8 * depth] * channels),
            259: _shorts(_DEFLATE),
            262: _shorts(_RGB),
            273: _longs(*places),
            277: _shorts(channels),
            278: _longs(per_strip),
            279: _longs(*sizes),
            284: _shorts(1),
            317: _shorts(_HORIZONTAL),
            34675: Entry(_UNDEFINED, srgb_profile()),
        }
        if channels == 4:
            tags[338] = _shorts(_UNASSOCIATED)
        if page:
            tags |= {254: _longs(_PAGE), 297: _shorts(*page)}
        if metadata.xmp:
            tags[700] = Entry(_BYTE, metadata.xmp)
        if metadata.iptc:
            tags[33723] = Entry(_UNDEFINED, metadata.iptc)
        self._finish(tags, metadata)

    def _finish(self, tags: dict[int, Entry], metadata: Metadata) -> None:
        exif = metadata.exif.without(STORAGE) if metadata.exif else None
        if exif and exif.text(_DESCRIPTION).startswith(_OF_PROGRAMS):
            exif = exif.without([_DESCRIPTION])
        if exif and exif.order == "<":
            directory = Directory("<", {**exif.entries, **tags}, exif.subs)
        else:
            directory = Directory("<", tags) if exif is None else _swapped(exif, tags)
        if metadata.dpi:
            directory = directory.with_resolution(metadata.dpi)
        at = self._file.seek(0, 2)
        if at % 2:
            self._file.write(b"\0")
            at += 1
        data = write(directory, at)
        self._file.write(data)
        self._file.seek(self._link)
        self._file.write(struct.pack("<I", at))
        self._link = at + 2 + 12 * int.from_bytes(data[:2], "little")
        self._file.seek(0, 2)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._file.tell()

    def finish(self) -> bytes:
        """The whole file."""
        return self._file.getvalue()


def _deflated(part: Pixels, level: PngLevel) -> bytes:
    """Each sample less the one to its left."""
    rest = np.empty(part.shape, np.dtype(part.dtype).newbyteorder("<"))
    rest[:, :1] = part[:, :1]
    np.subtract(part[:, 1:], part[:, :-1], out=rest[:, 1:])
    if level == "fast":
        return bytes(isal_zlib.compress(rest.data, 1))
    return zlib.compress(rest.data, 6)


def _shorts(*values: int) -> Entry:
    return Entry(_SHORT, struct.pack(f"<{len(values)}H", *values))


def _longs(*values: int) -> Entry:
    return Entry(_LONG, struct.pack(f"<{len(values)}I", *values))


_SAMPLE = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}


def _swapped(exif: Directory, tags: dict[int, Entry]) -> Directory:
    """A directory in the other byte order, with tags that have it already."""

    def entry(given: Entry) -> Entry:
        size = _SAMPLE.get(given.kind, 1)
        raw = np.frombuffer(given.raw, f">u{size}").astype(f"<u{size}").tobytes()
        return Entry(given.kind, raw)

    def whole(given: Directory) -> Directory:
        entries = {tag: entry(value) for tag, value in given.entries.items()}
        return Directory("<", entries, {tag: whole(sub) for tag, sub in given.subs.items()})

    made = whole(exif)
    return Directory("<", {**made.entries, **tags}, made.subs)
