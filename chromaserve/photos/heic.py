"""What is taken of a HEIC: its picture alone, for the decoder; and what it says beside it."""

import struct
from collections.abc import Callable

import numpy as np
import pi_heif

from chromaserve.photos.heif import Boxed
from chromaserve.photos.heif_boxes import Boxes, Item
from chromaserve.photos.photo import Header, Pixels
from chromaserve.photos.structure import Unreadable

_KEPT = (b"ispe", b"hvcC", b"pixi", b"irot", b"imir", b"auxC")
_MOST_HEAD = 1_000


def heic_info(data: bytes, boxes: Boxes) -> dict[str, bytes]:
    """A HEIC's ICC profile, EXIF and XMP, by the names that Pillow has for them."""
    found = {}
    for name, content, _ in boxes.properties_of(boxes.primary):
        if name == b"colr" and content[:4] in (b"prof", b"rICC"):
            found["icc_profile"] = content[4:]
    about = {of for name, of, to in boxes.references if name == b"cdsc" and boxes.primary in to}
    read = 0
    for number in sorted(about):
        item = boxes.items.get(number, Item())
        read += sum(length for _, length in item.parts)
        if read > 2 * len(data):  # the same bytes for many
            break
        try:
            content = boxes.bytes_of(data, item)
        except Unreadable:
            continue
        if item.kind == b"Exif":
            found["exif"] = content[4 + int.from_bytes(content[:4], "big") :]
        elif item.kind == b"mime" and b"<x:xmpmeta" in content[:_MOST_HEAD]:
            found["xmp"] = content
    return found


def heic_strips(
    data: bytes, header: Header
) -> tuple[Callable[[int, int], tuple[Pixels, Pixels | None]], str]:
    """Decode a picture: strips of it, with alpha, by their first row and the one after the last.

    Returns:
        The strips, uint8, or uint16 where there are more than 8 bits; and L or RGB.

    Raises:
        ValueError: it is not of the size that the header says; or Unreadable.
        RuntimeError, EOFError and others of the decoder: it is damaged.
    """
    image = pi_heif.open_heif(_plain(data, header.boxed), convert_hdr_to_8bit=False)[0]
    image.load()
    width, height = header.boxed.whole
    if image.size != (width, height):
        raise ValueError(f"{image.size} is not what the header says")
    channels = pi_heif.heif.MODE_INFO[image.mode][0]

    def strips(start: int, stop: int) -> tuple[Pixels, Pixels | None]:
        # The array is a view of what `image` holds, and does not keep it alive.
        part = np.asarray(image).reshape(height, width, channels)[start:stop].copy()
        alpha = part[..., -1] if channels in (2, 4) else None
        return (part[..., 0] if channels < 3 else part[..., :3]), alpha

    return strips, "L" if channels < 3 else "RGB"


def _plain(data: bytes, boxed: Boxed) -> bytes:
    """The picture alone, in boxes that are written anew.

    So the decoder's library, of which some parts fail on broken boxes, meets none of a file's own.
    """
    boxes, new = boxed.boxes, {old: i for i, old in enumerate(boxed.shown, 1)}
    properties: dict[int, int] = {}
    kept, items, links, places = [], [], [], []
    body: list[memoryview] = []
    end = 0
    for old, number in new.items():
        item = boxes.items[old]
        items.append(_full(b"infe", struct.pack(">HH4sB", number, 0, item.kind, 0), version=2))
        mine = []
        for name, content, place in boxes.properties_of(old):
            nclx = name == b"colr" and content[:4] == b"nclx"
            if name not in _KEPT and not nclx:
                continue
            if place not in properties:
                properties[place] = len(properties) + 1
                kept.append(_box(name, content))
            mine.append(properties[place])
        links.append(struct.pack(f">HB{len(mine)}H", number, len(mine), *mine))
        pieces = boxes.pieces_of(data, item)
        body += pieces
        places.append((number, end, sum(map(len, pieces))))
        end += places[-1][2]
    references = [
        _box(name, struct.pack(f">HH{len(to)}H", new[of], len(to), *(new[i] for i in to)))
        for name, of, to in boxes.references
        if name in (b"dimg", b"auxl") and of in new and all(i in new for i in to)
    ]
    ftyp = _box(b"ftyp", b"heic\0\0\0\0mif1heic")

    def meta(start: int) -> bytes:
        rows = [struct.pack(">HHHII", n, 0, 1, start + at, size) for n, at, size in places if size]
        return _full(
            b"meta",
            _full(b"hdlr", bytes(4), b"pict", bytes(13)),
            _full(b"pitm", struct.pack(">H", 1)),
            _full(b"iinf", struct.pack(">H", len(items)), *items),
            _full(b"iref", *references),
            _box(
                b"iprp",
                _box(b"ipco", *kept),
                _full(b"ipma", struct.pack(">I", len(links)), *links, flags=1),
            ),
            _full(b"iloc", b"\x44\0", struct.pack(">H", len(rows)), *rows),
        )

    start = len(ftyp) + len(meta(0)) + 8
    return b"".join([ftyp, meta(start), struct.pack(">I4s", 8 + end, b"mdat"), *body])


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, bytes([version, 0, 0, flags]), *content)
