"""Whether a TIFF's strips or tiles of JPEG, fax or YCbCr are whole: libtiff only warns."""

import struct
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO

from chromaserve.photos.header import PIL_ERRORS, damaged
from chromaserve.photos.ifd import Directory
from chromaserve.photos.jpeg import read_jpeg
from chromaserve.photos.jpeg_damage import jpeg_up_to_its_end
from chromaserve.photos.photo import Header
from chromaserve.photos.structure import without_room
from chromaserve.photos.tiff_image import Tiff, put_together
from chromaserve.photos.tiff_page import FAX, UNPACKED, Page
from chromaserve.photos.tiff_reading import directory_of
from chromaserve.photos.tiff_strips import Strips

_OLD_JPEG, _JPEG, _FAX4, _YCBCR = 6, 7, 4, 6
_TABLES, _T4, _T6, _SUBSAMPLING, _OLD_STREAM = 347, 292, 293, 530, 513
_END = b"\xff\xd9"
_MOST_LARGER = 64
"""Pixels a side by which a JPEG may be larger than its strip or tile: of whole units."""
_MOST_LOOKED_INTO = 1_000
"""Parts of JPEG that have no end: writers that leave it out make a few hundred."""
_FILLERS = bytes(96), b"\x55" * 96, b"\0\x1a\x35\x53\x55\xaa" * 16
"""No code of a fax, many codes, and lines of them."""
_END_OF_FAX, _MOST_PADDING = 0x001001, 15


def check_coded(data: bytes, page: Page) -> None:
    """Raise DamagedPhoto where a page's JPEG, fax or YCbCr ends before its pixels do."""
    lacks = {_JPEG: _jpeg_lacks, **dict.fromkeys(FAX, _fax_lacks)}.get(page.compression)
    tags = directory_of(data, page.place)
    cut = lacks is not None and lacks(_parts(data, page), page, tags)
    if page.compression == _OLD_JPEG:
        cut = _old_jpeg_lacks(data, page, tags)
    if page.photometric == _YCBCR and page.compression in UNPACKED:
        cut = _ycbcr_lacks(data, page, tags)
    if cut:
        raise damaged("TIFF")


def _old_jpeg_lacks(data: bytes, page: Page, tags: Directory) -> bool:
    """Whether the JPEG ends too early that all strips are parts of (TIFF 6.0, section 22).

    Where there is none, its tables being told apart, whether strips end behind the file.
    """
    start = tags.number(_OLD_STREAM)
    with suppress(ValueError, struct.error, IndexError):
        if start and read_jpeg(data[start:]):
            return _jpeg_lacks(iter([data[start:]]), page, Directory("<"))
    return page.is_cut(data)


def _ycbcr_lacks(data: bytes, page: Page, tags: Directory) -> bool:
    """Whether strips or tiles have fewer units, of a few pixels and their colour, than they say."""
    across, down = (int(n) for n in (*tags.numbers(_SUBSAMPLING), 2, 2)[:2])
    if page.planar:
        across = down = 1
    if not across * down:
        return True
    width, height = page.tile or (page.width, page.rows_per_strip)
    columns, bands = -(-page.width // width), -(-page.height // height)
    unit = 1 if page.planar else across * down + 2  # bytes
    strips = Strips(data, page, -(-width // across) * unit)
    for index in range(columns * bands * (page.samples if page.planar else 1)):
        below = page.height - index // columns % bands * height
        rows = -(-(height if page.tile else min(height, below)) // down)
        if strips.unpacked(index, rows)[1] < rows:
            return True
    return False


def _parts(data: bytes, page: Page) -> Iterator[bytes]:
    """Each strip or tile, up to room for what never came.

    Raises:
        DamagedPhoto: very many share their bytes.
    """
    left = 2 * len(data) + page.width * page.height
    for start, size in zip(page.places, page.sizes, strict=False):
        part = data[start : start + size]
        left -= len(part)
        if left < 0:
            raise damaged("TIFF")
        yield without_room(part)


def _jpeg_lacks(parts: Iterator[bytes], page: Page, tags: Directory) -> bool:
    """Whether one ends before its pixels do; of very many without an end, whether one is gone."""
    tables = tags.entries.get(_TABLES)
    width, height = page.tile or (page.width, page.height)
    looked = 0
    for part in parts:
        if part.rstrip(b"\0").endswith(_END):
            continue
        looked += 1
        if part and looked > _MOST_LOOKED_INTO:
            continue
        whole = tables.raw.removesuffix(_END) + part[2:] if tables else part
        try:
            found = read_jpeg(whole)
            if found.width > width + _MOST_LARGER or found.height > height + _MOST_LARGER:
                return True
            mended = jpeg_up_to_its_end(whole, Header("JPEG", found.width, found.height, 8, False))
        except (ValueError, struct.error, IndexError):
            return True
        if mended is None or mended[1] > 0:
            return True
    return False


def _fax_lacks(parts: Iterator[bytes], page: Page, tags: Directory) -> bool:
    """Whether its pixels depend on what follows each strip."""
    known = list(parts)
    if page.samples > 1 or (page.compression == _FAX4 and all(map(_ends, known))):
        return False
    seen = {_pixels([part + filler for part in known], page, tags) for filler in _FILLERS}
    return None in seen or len(seen) > 1


def _ends(part: bytes) -> bool:
    last = int.from_bytes(part[-8:], "big")
    return any(last >> i & 0xFFFFFF == _END_OF_FAX for i in range(_MOST_PADDING + 1))


def _pixels(parts: list[bytes], page: Page, tags: Directory) -> bytes | None:
    """The page of other strips."""
    said = {256: page.width, 257: page.height, 258: 1, 259: page.compression, 262: 0}
    said |= {266: 1 + page.reversed_bits, 277: 1}
    said |= {tag: tags.number(tag) or 0 for tag in (_T4, _T6) if tag in tags.entries}
    said |= {322: page.tile[0], 323: page.tile[1]} if page.tile else {278: page.rows_per_strip}
    try:
        with Tiff(BytesIO(put_together(said, parts))) as image:
            return image.tobytes()
    except PIL_ERRORS:
        return None
