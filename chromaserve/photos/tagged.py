"""Metadata and colour profiles put into encoded results: a PNG's chunks, JPEG's, WebP's."""

import struct
import zlib
from collections.abc import Iterator

from chromaserve.photos.icc import srgb_profile
from chromaserve.photos.ifd_writing import write_exif
from chromaserve.photos.iptc import eight_bim
from chromaserve.photos.metadata import COMMENT, Metadata
from chromaserve.photos.png_reading import XMP_KEYWORD, raw_profile
from chromaserve.photos.structure import webp_chunks

_INCH = 0.0254
_SEGMENT = 65_533
"""Bytes that a segment of a JPEG holds."""
_XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
_PERCEPTUAL = b"\0"


def png_head(metadata: Metadata) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG between its header and its pixels, by kind."""
    made = [(b"sRGB", _PERCEPTUAL)]
    if metadata.dpi:
        x, y = (min(round(value / _INCH), 2**32 - 1) for value in metadata.dpi)
        made.append((b"pHYs", struct.pack(">IIB", x, y, 1)))
    if metadata.exif:
        made.append((b"eXIf", write_exif(metadata.exif)))
    if metadata.xmp:
        made.append((b"iTXt", XMP_KEYWORD.encode() + bytes(5) + metadata.xmp))
    made += [_text(keyword, text) for keyword, text in metadata.texts]
    if metadata.iptc:
        keyword, text = raw_profile("iptc", eight_bim(metadata.iptc))
        packed = zlib.compress(text.encode("latin-1"))
        made.append((b"zTXt", keyword.encode("latin-1") + b"\0\0" + packed))
    return made


def _text(keyword: str, text: str) -> tuple[bytes, bytes]:
    name = keyword.encode("latin-1", "replace")
    try:
        return b"tEXt", name + b"\0" + text.encode("latin-1")
    except UnicodeEncodeError:
        return b"iTXt", name + bytes(5) + text.encode("utf-8", "replace")


def _segments(metadata: Metadata) -> Iterator[tuple[str, int, bytes]]:
    """Of a JPEG: what each has, its marker and content."""
    x, y = (min(round(value), 65535) for value in metadata.dpi or (1, 1))
    unit = 1 if metadata.dpi else 0
    yield "resolution", 0xE0, b"JFIF\0\1\2" + struct.pack(">BHHBB", unit, x, y, 0, 0)
    if metadata.exif:
        yield "EXIF", 0xE1, b"Exif\0\0" + write_exif(metadata.exif)
    if metadata.xmp:
        yield "XMP", 0xE1, _XMP_HEAD + metadata.xmp
    if metadata.iptc:
        yield "IPTC", 0xED, b"Photoshop 3.0\0" + eight_bim(metadata.iptc)
    yield "colour profile", 0xE2, b"ICC_PROFILE\0\1\1" + srgb_profile()
    if comment := dict(metadata.texts).get(COMMENT):
        yield "comment", 0xFE, comment.encode("utf-8", "replace")


def beyond_jpeg(metadata: Metadata) -> tuple[str, ...]:
    """What of it no segment of a JPEG holds, in words."""
    return tuple(name for name, _, content in _segments(metadata) if len(content) > _SEGMENT)


def tagged_jpeg(data: bytes, metadata: Metadata) -> bytes:
    """A JPEG, as encoders make it, with its metadata and sRGB's profile.

    What a segment cannot hold, 64 KiB, is left out; see `beyond_jpeg`.
    """
    at = 2
    if data[2:4] == b"\xff\xe0":  # JFIF, which says what a pixel measures
        at = 4 + int.from_bytes(data[4:6], "big")
    head = b"".join(
        struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
        for _, marker, content in _segments(metadata)
        if len(content) <= _SEGMENT
    )
    return data[:2] + head + data[at:]


def tagged_webp(data: bytes, width: int, height: int, metadata: Metadata) -> bytes:
    """A WebP, as encoders make it, with its metadata and sRGB's profile (RFC 9649, 2.7)."""
    chunks = {kind: data[at : at + size] for kind, at, size in webp_chunks(data)}
    head = chunks.pop(b"VP8X", b"\0")
    alpha = head[0] & 0x10 or b"ALPH" in chunks or _lossless_alpha(chunks.get(b"VP8L", b""))
    exif = write_exif(metadata.exif) if metadata.exif else b""
    flags = 0x20 | (0x10 if alpha else 0) | (0x08 if exif else 0) | (0x04 if metadata.xmp else 0)
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    pixels = [(kind, chunks[kind]) for kind in (b"ALPH", b"VP8 ", b"VP8L") if kind in chunks]
    parts = [(b"VP8X", bytes([flags, 0, 0, 0]) + sides), (b"ICCP", srgb_profile()), *pixels]
    parts += [(b"EXIF", exif)] * bool(exif) + [(b"XMP ", metadata.xmp)] * bool(metadata.xmp)
    body = b"".join(
        kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
        for kind, content in parts
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _lossless_alpha(data: bytes) -> bool:
    return len(data) >= 5 and bool(data[4] & 0x10)
