"""Formats that are read and not written, in bounded steps: GIF, JPEG 2000, PNM.

Their headers, and what files say beside their pixels that Pillow does not look for.
"""

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from chromaserve.errors import UnsupportedFormat, UnsupportedSamples
from chromaserve.photos.bmp import bmp_info
from chromaserve.photos.heif_boxes import boxes_in
from chromaserve.photos.jpeg import jpeg_info
from chromaserve.photos.jpeg2000_blocks import check_parts
from chromaserve.photos.png_reading import png_info
from chromaserve.photos.structure import NEVER_CAME, Structure, Unreadable

_MOST_BLOCKS = 10_000  # of a GIF
_MOST_PIECES = 300_000  # of a GIF's blocks, of 255 bytes each
_MOST_BOXES = 1_000
_MOST_TILES = 10_000
_COMPONENTS = (1, 3, 4)  # grey, RGB, RGB with alpha
_HEAD_BYTES, _MOST_PICTURES = 4096, 1_000
_NUMBER = re.compile(rb"(?:\s|#[^\n]*\n)+(\d{1,6})")
_XMP_OF_GIF, _END_OF_XMP = b"!\xff\x0bXMP DataXMP", b"\1\xff\xfe"
_AMONG = {b"jp2h": (b"res ",)}
"""Boxes that are looked into, by those that they are in."""
_SAID = {
    bytes.fromhex("4a706754696666457869662d3e4a5032"): "exif",
    bytes.fromhex("0537cdab9d0c4431a72afa561f2a113e"): "exif",  # by Adobe
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): "xmp",
    bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38"): "photoshop",
    bytes.fromhex("09a14e97c0b442e0bebf36df6f0ce36f"): "photoshop",  # by Adobe
    bytes.fromhex("2c4c0100850440b9a03e562148d6dfeb"): "photoshop",  # among its other blocks
}
"""What boxes in a JPEG 2000 have, as ExifTool reads them."""
_METRES_TO_INCHES = 0.0254
_NAMED, _OF_ICC = 1, (2, 3)
_KNOWN_COLOURS = (16, 17, 18)  # sRGB, grey, and sRGB's YCC
_KNOWN_SPACES = (b"RGB ", b"GRAY")
JP2_BOXES, JP2_STREAM = b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"


def read_gif(data: bytes) -> Structure:
    """Blocks up to the first picture, and how many pictures there are (GIF89a, sections 18 to 26).

    Of a file of many millions of bytes only those at its beginning are counted.
    """
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    alpha, pieces = False, iter(range(_MOST_PIECES))
    for _ in range(_MOST_BLOCKS):
        kind = data[at]
        if kind == 0x2C:
            left, top, columns, rows = struct.unpack_from("<4H", data, at + 1)
            # Pillow's picture has room for both.
            size = max(width, left + columns), max(height, top + rows)
            alpha = alpha or (columns, rows) != size  # it is clear around the picture
            return Structure(*size, 8, alpha, False, _pictures(data, at))
        if kind != 0x21:
            break
        alpha = alpha or (data[at + 1] == 0xF9 and bool(data[at + 3] & 1))
        at = _behind(data, at + 2, pieces)
    raise Unreadable


def _behind(data: bytes, at: int, pieces: Iterator[int]) -> int:
    """The place behind a block whose first piece is at one; each takes one of `pieces`."""
    while data[at]:
        at += 1 + data[at]
        if next(pieces, None) is None:
            raise Unreadable
    return at + 1


def _pictures(data: bytes, at: int) -> int:
    """How many there are, the first of them at a place."""
    count, pieces = 0, iter(range(_MOST_PIECES))
    try:
        for _ in range(_MOST_BLOCKS):
            if data[at] == 0x2C:
                count += 1
                flags = data[at + 9]
                at += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
            elif data[at] == 0x21:
                at += 2
            else:
                break
            at = _behind(data, at, pieces)
    except (IndexError, Unreadable):
        pass  # it ends within one, which the decoder may miss or not; or has very many
    return max(1, count)


def read_jpeg2000(data: bytes) -> Structure:
    """The codestream's size, and how it is cut into tiles (ISO/IEC 15444-1, A.5.1)."""
    at, end = (0, len(data)) if data.startswith(JP2_STREAM) else _stream_of(data)
    if data[at : at + 4] != JP2_STREAM or data.endswith(NEVER_CAME, at, end):
        raise Unreadable
    sides = struct.unpack_from(">8I", data, at + 8)
    right, bottom, left, top, tile_width, tile_height, tile_left, tile_top = sides
    count = struct.unpack_from(">H", data, at + 40)[0]
    if not (tile_width and tile_height and right > left and bottom > top):
        raise Unreadable
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    if not 1 <= tiles <= _MOST_TILES:
        raise Unreadable
    if count not in _COMPONENTS:
        raise UnsupportedSamples(
            f"The JPEG 2000 file has {count} channels. Save it as grey or RGB."
        )
    each = [data[at + 42 + 3 * i : at + 45 + 3 * i] for i in range(count)]
    if any(one[0] & 0x80 or (one[0] & 0x7F) > 15 for one in each):
        raise UnsupportedSamples(
            "The JPEG 2000 file has signed samples, or more than 16 bits of them. Save it with 8 or"
            " 16 bits a channel."
        )
    depths = {(one[0] & 0x7F) + 1 for one in each}
    if min(depths) < 8 or left or top or any(one[1:] != b"\1\1" for one in each):
        raise UnsupportedSamples(
            "The JPEG 2000 file has fewer than 8 bits a channel, channels of several sizes, or a"
            " place on a larger area. Save it anew, as PNG or TIFF."
        )
    check_parts(data, at + 2, (right, bottom), (tile_width, tile_height), count)
    said = info_of(data, "JPEG2000")
    _check_colours(said)
    wide = max(depths) > 8
    if wide and count > 1 and depths != {16}:
        raise UnsupportedSamples(
            f"The JPEG 2000 file has colours of {max(depths)} bits a channel. Save it with 8 or 16."
        )
    may_turn = "exif" in said or "xmp" in said
    return Structure(right, bottom, 16 if wide else 8, count == 4, may_turn, depth=max(depths))


def _check_colours(said: dict[str, Any]) -> None:
    """Refuse what the decoder would take for RGB (ISO/IEC 15444-1, I.5.3.3; 15444-2, M.11.7.3)."""
    icc, named = said.get("icc_profile"), said.get("colours", [])
    known = icc[16:20] in _KNOWN_SPACES if icc else not named or set(named) & {*_KNOWN_COLOURS}
    if not known:
        raise UnsupportedSamples(
            "The JPEG 2000 file has colours of a kind, such as CMYK or Lab, that is not taken. Save"
            " it as grey or RGB."
        )


def _stream_of(data: bytes) -> tuple[int, int]:
    """Where the codestream is among a file's boxes, and where it ends."""
    for name, start, stop in boxes_in(data, 0, len(data), most=_MOST_BOXES):
        if name == b"jp2c":
            return start, stop
    raise Unreadable


def info_of(data: bytes, kind: str) -> dict[str, Any]:
    """What Pillow does not find beside a file's pixels, or not rightly, named as it names others'.

    The profile of a BMP, JPEG and PNG; a GIF's XMP; a JPEG 2000's EXIF, XMP, IPTC, profile and dpi.
    """
    if kind == "JPEG":
        return jpeg_info(data)
    if kind == "PNG":
        return png_info(data)
    if kind == "BMP":
        return bmp_info(data)
    if kind == "GIF":
        start = data.find(_XMP_OF_GIF) + len(_XMP_OF_GIF)
        stop = data.find(_END_OF_XMP, start)
        return {"xmp": data[start:stop]} if len(_XMP_OF_GIF) <= start < stop else {}
    found: dict[str, Any] = {}
    if kind == "JPEG2000" and data.startswith(JP2_BOXES):
        with suppress(Unreadable, struct.error, IndexError):  # broken behind the pixels
            _read_jp2(data, 0, len(data), found, (b"jp2h",))
    return found


def _read_jp2(
    data: bytes, start: int, stop: int, found: dict[str, Any], inside: tuple[bytes, ...]
) -> None:
    for name, at, end in boxes_in(data, start, stop, most=_MOST_BOXES):
        if name in inside:
            _read_jp2(data, at, end, found, _AMONG.get(name, ()))
        elif name == b"colr" and data[at] == _NAMED:
            found.setdefault("colours", []).append(struct.unpack_from(">I", data, at + 3)[0])
        elif name == b"colr" and data[at] in _OF_ICC:
            found.setdefault("icc_profile", data[at + 3 : end])
        elif name == b"resc" or (name == b"resd" and "dpi" not in found):
            # I.5.3.7: of rows, then of columns; Pillow takes negative powers for large ones.
            y, y_of, x, x_of, y_power, x_power = struct.unpack_from(">4H2b", data, at)
            if x_of and y_of:
                each = (x / x_of * 10.0**x_power, y / y_of * 10.0**y_power)
                found["dpi"] = tuple(value * _METRES_TO_INCHES for value in each)
        elif name == b"uuid" and (kind := _SAID.get(data[at : at + 16])):
            content = data[at + 16 : end]
            found.setdefault(kind, {0x0404: content} if kind == "photoshop" else content)


def read_pnm(data: bytes) -> Structure:
    """The sides and the largest value of a binary PBM, PGM or PPM, and how many follow it."""
    kind, width, height, most, at = pnm_head(data)
    found = Structure(width, height, 16 if most > 255 else 8, False, False)
    end = at + pnm_row(kind, width, most) * height
    with suppress(Unreadable, UnsupportedFormat):
        while data[end : end + 1] == b"P" and found.pictures < _MOST_PICTURES:
            kind, width, height, most, at = pnm_head(data[end : end + _HEAD_BYTES])
            end += at + pnm_row(kind, width, most) * height
            found = replace(found, pictures=found.pictures + 1)
    return found


def pnm_row(kind: int, width: int, most: int) -> int:
    """Bytes of a row."""
    if kind == 4:
        return -(-width // 8)
    return width * (3 if kind == 6 else 1) * (2 if most > 255 else 1)


def pnm_head(data: bytes) -> tuple[int, int, int, int, int]:
    """Its number, width, height, largest value, and where its pixels begin.

    Raises:
        UnsupportedFormat: its numbers are in letters.
        Unreadable: it has no such header.
    """
    if data[1:2] in b"123":
        raise UnsupportedFormat(
            "This PNM file has its numbers in letters. Save it in the binary kind (P4 to P6)."
        )
    head, at, numbers = data[:_HEAD_BYTES], 2, []
    if head[1:2] not in (b"4", b"5", b"6"):
        raise Unreadable
    kind = int(head[1:2])
    for _ in range(2 if kind == 4 else 3):
        found = _NUMBER.match(head, at)
        if not found:
            raise Unreadable
        numbers.append(int(found[1]))
        at = found.end()
    width, height, most = (*numbers, 1)[:3]
    if not 1 <= most <= 65535 or not head[at : at + 1].isspace():
        raise Unreadable
    return kind, width, height, most, at + 1
