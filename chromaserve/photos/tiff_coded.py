"""Whether a TIFF's strips or tiles that are JPEGs or faxes are whole: libtiff only warns."""

import struct
from collections.abc import Iterator
from io import BytesIO
from itertools import accumulate

from PIL.TiffImagePlugin import TiffImageFile

from chromaserve.photos.header import PIL_ERRORS, damaged
from chromaserve.photos.ifd import Directory
from chromaserve.photos.jpeg_damage import jpeg_up_to_its_end
from chromaserve.photos.photo import Header
from chromaserve.photos.structure import ROOM, read_jpeg
from chromaserve.photos.tiff_page import FAX, Page
from chromaserve.photos.tiff_reading import directory_of

_JPEG, _FAX4 = 7, 4
_TABLES, _T4, _T6 = 347, 292, 293
_END = b"\xff\xd9"
_FILLERS = bytes(96), b"\x55" * 96, b"\0\x1a\x35\x53\x55\xaa" * 16
"""No code of a fax, many codes, and lines of them."""
_END_OF_FAX, _MOST_PADDING = 0x001001, 15


def check_coded(data: bytes, page: Page) -> None:
    """Raise DamagedPhoto where a page's JPEG or fax ends before its pixels do."""
    lacks = {_JPEG: _jpeg_lacks, **dict.fromkeys(FAX, _fax_lacks)}.get(page.compression)
    if lacks and lacks(_parts(data, page), page, directory_of(data, page.place)):
        raise damaged("TIFF")


def _parts(data: bytes, page: Page) -> Iterator[bytes]:
    """Each strip or tile, up to room for what never came."""
    for start, size in zip(page.places, page.sizes, strict=False):
        part = data[start : start + size]
        found = ROOM.search(part)
        yield part[: found.start()] if found else part


def _jpeg_lacks(parts: Iterator[bytes], _: Page, tags: Directory) -> bool:
    tables = tags.entries.get(_TABLES)
    for part in parts:
        if part.rstrip(b"\0").endswith(_END):
            continue
        whole = tables.raw.removesuffix(_END) + part[2:] if tables else part
        try:
            found = read_jpeg(whole)
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
    said = {256: [page.width], 257: [page.height], 258: [1], 259: [page.compression], 262: [0]}
    said |= {266: [1 + page.reversed_bits], 277: [1]}
    said |= {tag: [tags.number(tag) or 0] for tag in (_T4, _T6) if tag in tags.entries}
    places, sizes = (324, 325) if page.tile else (273, 279)
    said |= (
        {322: [page.tile[0]], 323: [page.tile[1]]} if page.tile else {278: [page.rows_per_strip]}
    )
    behind = 8 + 2 + 12 * (len(said) + 2) + 4
    start = behind + 8 * len(parts)
    said[places] = [start + at for at in accumulate(map(len, parts[:-1]), initial=0)]
    said[sizes] = list(map(len, parts))
    rows, body = b"", b""
    for tag, numbers in sorted(said.items()):
        raw = struct.pack(f"<{len(numbers)}I", *numbers)
        inside = raw if len(raw) == 4 else struct.pack("<I", behind + len(body))
        rows += struct.pack("<HHI", tag, 4, len(numbers)) + inside
        body += raw if len(raw) > 4 else b""
    head = b"II*\0" + struct.pack("<IH", 8, len(said)) + rows + bytes(4)
    try:
        with TiffImageFile(BytesIO(b"".join([head, body.ljust(8 * len(parts)), *parts]))) as image:
            return image.tobytes()
    except PIL_ERRORS:
        return None
