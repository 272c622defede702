"""Whether a TIFF's strips or tiles that are JPEGs or faxes are whole: libtiff only warns."""

import re
import struct
from collections.abc import Iterator
from io import BytesIO

from PIL.TiffImagePlugin import TiffImageFile

from chromaserve.photos.header import PIL_ERRORS, damaged
from chromaserve.photos.ifd import Directory
from chromaserve.photos.jpeg_damage import jpeg_up_to_its_end
from chromaserve.photos.photo import Header
from chromaserve.photos.structure import read_jpeg
from chromaserve.photos.tiff_page import Page
from chromaserve.photos.tiff_reading import directory_of

_JPEG, _FAX, _FAX4 = 7, (2, 3, 4), 4
_TABLES, _T4, _T6 = 347, 292, 293
_END = b"\xff\xd9"
_ROOM = re.compile(rb"(\0{512,}|\xff{512,})\Z")
_FILLERS = bytes(512), b"\x55" * 512, b"\0\x1a\x35\x53\x55\xaa" * 90
"""No code of a fax, many codes, and lines of them."""
_END_OF_FAX, _MOST_PADDING = 0x001001, 15


def check_coded(data: bytes, page: Page) -> None:
    """Raise DamagedPhoto where a page's JPEG or fax ends before its pixels do."""
    if page.compression != _JPEG and page.compression not in _FAX:
        return
    tags = directory_of(data, page.place)
    for part, rows in _parts(data, page):
        jpeg = page.compression == _JPEG
        if _jpeg_lacks(part, tags) if jpeg else _fax_lacks(part, page, tags, rows):
            raise damaged("TIFF")


def _parts(data: bytes, page: Page) -> Iterator[tuple[bytes, int]]:
    """Each strip or tile, up to room for what never came, and its rows."""
    down = page.tile[1] if page.tile else page.rows_per_strip
    bands = -(-page.height // down)
    for i, (start, size) in enumerate(zip(page.places, page.sizes, strict=False)):
        part = data[start : start + size]
        found = _ROOM.search(part)
        rows = down if page.tile else min(down, page.height - i % bands * down)
        yield part[: found.start()] if found else part, rows


def _jpeg_lacks(part: bytes, tags: Directory) -> bool:
    if part.rstrip(b"\0").endswith(_END):
        return False
    tables = tags.entries.get(_TABLES)
    whole = tables.raw.removesuffix(_END) + part[2:] if tables else part
    try:
        found = read_jpeg(whole)
        mended = jpeg_up_to_its_end(whole, Header("JPEG", found.width, found.height, 8, False))
    except (ValueError, struct.error, IndexError):
        return True
    return mended is None or mended[1] > 0


def _fax_lacks(part: bytes, page: Page, tags: Directory, rows: int) -> bool:
    """Whether its pixels depend on what follows."""
    last = int.from_bytes(part[-8:], "big")
    ends = any(last >> i & 0xFFFFFF == _END_OF_FAX for i in range(_MOST_PADDING + 1))
    if page.compression == _FAX4 and not page.reversed_bits and ends:
        return False
    seen = {_pixels(part + filler, page, tags, rows) for filler in _FILLERS}
    return None in seen or len(seen) > 1


def _pixels(part: bytes, page: Page, tags: Directory, rows: int) -> bytes | None:
    """A strip by itself."""
    width = page.tile[0] if page.tile else page.width
    said = {256: width, 257: rows, 258: 1, 259: page.compression, 262: 0, 266: 1, 277: 1}
    said |= {266: 1 + page.reversed_bits, 278: rows, 279: len(part)}
    said |= {tag: tags.number(tag) or 0 for tag in (_T4, _T6) if tag in tags.entries}
    at = 8 + 2 + 12 * (len(said) + 1) + 4
    head = b"II*\0" + struct.pack("<IH", 8, len(said) + 1)
    for tag, value in sorted({**said, 273: at}.items()):
        head += struct.pack("<HHII", tag, 4, 1, value)
    try:
        with TiffImageFile(BytesIO(head + bytes(4) + part)) as image:
            return image.tobytes()
    except PIL_ERRORS:
        return None
