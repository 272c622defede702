"""A PNG's chunks beside the pixels, texts among them, and what is whole of a damaged file."""

import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from chromaserve.photos.iptc import datasets

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = "XML:com.adobe.xmp"
RAW_PROFILE = "Raw profile type "
_COLOUR_CHUNKS = (b"cICP", b"sRGB", b"gAMA", b"cHRM")
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
_MOST_TEXT = 4 << 20
"""Bytes of all texts, inflated; and of a colour profile."""
_MOST_LOST = 16 * _MOST_TEXT
"""Bytes that are inflated of texts that then are too long, or broken."""


@dataclass(frozen=True)
class Chunk:
    """A piece of the file."""

    kind: bytes
    data: bytes
    sound: bool
    """Whether it is all there, and its checksum is right."""


@dataclass(frozen=True)
class Texts:
    """What a PNG says in words, and in what is packed into them."""

    texts: tuple[tuple[str, str], ...]
    xmp: bytes
    exif: bytes
    iptc: bytes
    lost: bool
    """Whether some were too long or broken."""


def chunks(data: bytes, wanted: tuple[bytes, ...] | None = None) -> Iterator[Chunk]:
    """A file's chunks, whose number `read_png` has bounded; only those of some kinds, or all."""
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if not kind.isalpha():  # nor is anything behind it one
            return
        if wanted is None or kind in wanted:
            content = data[at + 8 : at + 8 + length]
            checksum = data[at + 8 + length : at + 12 + length]
            right = zlib.crc32(content, zlib.crc32(kind)).to_bytes(4, "big") == checksum
            yield Chunk(kind, content, right and len(content) == length)
        if kind == b"IEND":
            return
        at += 12 + length


def pixels_alone(data: bytes, *, still: bool = False) -> bytes:
    """A PNG without its texts and profile, of which Pillow refuses long ones; they are read here.

    Args:
        data: of a file.
        still: whether its animation goes too, of which OpenCV may give another picture, or black.
    """
    gone = (*TEXT_CHUNKS, b"iCCP", *(_ANIMATION if still else ()))
    kept, start, at, kind = [], 0, len(SIGNATURE), b""
    while kind != b"IEND" and (kind := data[at + 4 : at + 8]).isalpha():
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if kind in gone:
            kept.append(data[start:at])
            start = end
        at = end
    return b"".join([*kept, data[start:]]) if kept else data


def png_info(data: bytes) -> dict[str, Any]:
    """The colour profile; where it is broken or too long, that."""
    for chunk in chunks(data, (b"iCCP",)):
        _, _, packed = chunk.data.partition(b"\0")
        inflater = zlib.decompressobj()
        with suppress(zlib.error):
            icc = inflater.decompress(packed[1:], _MOST_TEXT)
            if chunk.sound and not inflater.unconsumed_tail:
                return {"icc_profile": icc}
        return {"lost": ("colour profile",)}
    return {}


def colour_chunks(data: bytes) -> dict[bytes, bytes]:
    """What says how its numbers are meant, where no profile does; the first of each, as libpng."""
    found: dict[bytes, bytes] = {}
    for chunk in chunks(data, _COLOUR_CHUNKS):
        if chunk.sound:
            found.setdefault(chunk.kind, chunk.data)
    return found


def read_texts(data: bytes) -> Texts:
    """Its texts and EXIF, in bounds."""
    left, spare, lost = _MOST_TEXT, _MOST_LOST, False
    texts: list[tuple[str, str]] = []
    packed: dict[str, bytes] = {}
    for chunk in chunks(data, (*TEXT_CHUNKS, b"eXIf")):
        if not chunk.sound:
            lost = True
            continue
        if chunk.kind == b"eXIf":
            packed["exif"] = chunk.data
            continue
        found = _text(chunk, min(left, spare))
        if found is None:
            lost = True
            spare -= 0 if chunk.kind == b"tEXt" else min(left, spare)
            continue
        keyword, value = found
        left -= len(value)
        if keyword == XMP_KEYWORD:
            packed["xmp"] = value.encode("utf-8", "replace")
        elif keyword.startswith(RAW_PROFILE):
            packed.setdefault(keyword.removeprefix(RAW_PROFILE).lower(), _unpacked(value))
        else:
            texts.append((keyword, value))
    iptc = datasets(packed.get("iptc", b"") or packed.get("8bim", b""))
    exif = packed.get("exif") or packed.get("app1", b"")
    return Texts(tuple(texts), packed.get("xmp", b""), exif, iptc, lost)


def _text(chunk: Chunk, left: int) -> tuple[str, str] | None:
    """Keyword and text (PNG, third edition, 11.3.3); None where it is broken or too long."""
    keyword, found, rest = chunk.data.partition(b"\0")
    name = keyword.decode("latin-1")
    if not found or not 1 <= len(keyword) <= 79:
        return None
    if chunk.kind == b"tEXt":
        return (name, rest.decode("latin-1")) if len(rest) <= left else None
    if chunk.kind == b"zTXt":
        value = _inflated(rest[1:], left)
        return None if value is None else (name, value.decode("latin-1"))
    if len(rest) < 2:
        return None
    _, _, text = rest[2:].partition(b"\0")
    _, _, text = text.partition(b"\0")
    value = _inflated(text, left) if rest[0] else text
    return None if value is None or len(value) > left else (name, value.decode("utf-8", "replace"))


def _inflated(data: bytes, most: int) -> bytes | None:
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(data, max(most, 1))
    except zlib.error:
        return None
    return found if inflater.eof else None


def _unpacked(value: str) -> bytes:
    """ImageMagick's way of putting bytes into a text: name, length, hexadecimal digits."""
    try:
        return bytes.fromhex("".join(value.split("\n")[3:]))
    except ValueError:
        return b""


def raw_profile(name: str, data: bytes) -> tuple[str, str]:
    """Bytes as such a text, with its keyword."""
    digits = data.hex()
    lines = "\n".join(digits[i : i + 72] for i in range(0, len(digits), 72))
    return RAW_PROFILE + name, f"\n{name}\n{len(data):8d}\n{lines}\n"
