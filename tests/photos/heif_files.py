"""HEIC and AVIF files made for tests: by an encoder, and put together box by box."""

import io
import struct
from collections.abc import Sequence

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image


def heic(image: Image.Image, *others: Image.Image, **options: object) -> bytes:
    """Without a loss, unless the options say otherwise."""
    file = io.BytesIO()
    plain = {"quality": -1, "chroma": 444, "matrix_coefficients": 0}
    made = pillow_heif.from_pillow(image)
    for other in others:
        made.add_from_pillow(other)
    made.save(file, **{**plain, **options})
    return file.getvalue()


def wide_heic(rgb: NDArray[np.uint16], **options: object) -> bytes:
    """Of 10 bits, from 16; without a loss of those."""
    made = pillow_heif.from_bytes("RGB;16", rgb.shape[1::-1], rgb.tobytes())
    file = io.BytesIO()
    plain = {"quality": -1, "chroma": 444, "matrix_coefficients": 0}
    made.save(file, **{**plain, **options})
    return file.getvalue()


def avif(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "AVIF", **{"quality": 97, "subsampling": "4:4:4", "speed": 9, **options})
    return file.getvalue()


def wide_avif(rgb: NDArray[np.uint16]) -> bytes:
    """Of 10 bits, from 16."""
    options = [cv2.IMWRITE_AVIF_DEPTH, 10, cv2.IMWRITE_AVIF_QUALITY, 100]
    options += [cv2.IMWRITE_AVIF_SPEED, 9]
    done, data = cv2.imencode(".avif", np.ascontiguousarray(rgb[..., ::-1] >> 6), options)
    assert done
    return data.tobytes()


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind: bytes, *content: bytes, version: int = 0) -> bytes:
    return box(kind, bytes([version, 0, 0, 0]), *content)


def ispe(width: int, height: int) -> bytes:
    return full(b"ispe", struct.pack(">II", width, height))


def coded(image: Image.Image) -> tuple[bytes, bytes]:
    """The configuration box and the coded bytes of one picture."""
    file = heic(image, enc_params={"preset": "ultrafast"})
    at = file.index(b"hvcC") - 4
    configuration = file[at : at + int.from_bytes(file[at : at + 4], "big")]
    at = file.index(b"mdat") - 4
    return configuration, file[at + 8 : at + int.from_bytes(file[at : at + 4], "big")]


def grid(
    tiles: Sequence[Image.Image],
    columns: int,
    size: tuple[int, int],
    said: tuple[int, int] | None = None,
    repeat: int = 1,
) -> bytes:
    """A HEIC as telephones make it: tiles of one size, row by row, cut to the whole's size.

    Args:
        tiles: of the picture.
        columns: of tiles.
        size: of the whole.
        said: what each tile's item says of its size, if not the truth.
        repeat: how often each tile is named.
    """
    parts = [coded(tile) for tile in tiles]
    names = [number for number in range(2, 2 + len(parts)) for _ in range(repeat)]
    rows = len(names) // columns
    head = struct.pack(">BBBBHH", 0, 0, rows - 1 & 255, columns - 1 & 255, *size)
    ftyp = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    items = [full(b"infe", struct.pack(">HH4sB", 1, 0, b"grid", 0), version=2)]
    items += [
        full(b"infe", struct.pack(">HH4sB", number, 0, b"hvc1", 0), version=2)
        for number in range(2, 2 + len(parts))
    ]
    properties = box(b"ipco", ispe(*size), ispe(*(said or tiles[0].size)), parts[0][0])
    linked = [struct.pack(">HBB", 1, 1, 1)]
    linked += [struct.pack(">HBBB", number, 2, 2, 3) for number in range(2, 2 + len(parts))]
    linked_all = full(b"ipma", struct.pack(">I", len(linked)), *linked)

    def meta(start: int) -> bytes:
        places = [struct.pack(">HHHHII", 1, 1, 0, 1, 0, len(head))]
        for number, (_, data) in enumerate(parts, 2):
            places.append(struct.pack(">HHHHII", number, 0, 0, 1, start, len(data)))
            start += len(data)
        return full(
            b"meta",
            full(b"hdlr", bytes(4), b"pict", bytes(13)),
            full(b"pitm", struct.pack(">H", 1)),
            full(b"iinf", struct.pack(">H", len(items)), *items),
            full(b"iref", box(b"dimg", struct.pack(f">HH{len(names)}H", 1, len(names), *names))),
            box(b"iprp", properties, linked_all),
            full(b"iloc", b"\x44\0", struct.pack(">H", len(places)), *places, version=1),
            box(b"idat", head),
        )

    start = len(ftyp) + len(meta(0)) + 8
    return ftyp + meta(start) + box(b"mdat", *(data for _, data in parts))


def put_together(
    items: Sequence[tuple[bytes, bytes, Sequence[bytes]]],
    references: Sequence[tuple[bytes, int, Sequence[int]]] = (),
    brand: bytes = b"heic",
) -> bytes:
    """A file of these items, the first of which is shown.

    Args:
        items: of each its kind, its bytes, and the boxes of its properties in their order.
        references: of each its kind, from which item and to which, from 1.
        brand: of the file.
    """
    head = box(b"ftyp", brand + b"\0\0\0\0mif1" + brand)
    numbered = list(enumerate(items, 1))
    infos = [
        full(b"infe", struct.pack(">HH4sB", n, 0, kind, 0), version=2)
        for n, (kind, _, _) in numbered
    ]
    properties = [each for _, _, own in items for each in own]
    linked, at = [], 1
    for n, (_, _, own) in numbered:
        essential = [0x80 * (each[4:8] in (b"clap", b"irot", b"imir")) for each in own]
        places = [at + i | must for i, must in enumerate(essential)]
        linked.append(struct.pack(f">HB{len(own)}B", n, len(own), *places))
        at += len(own)
    links = [
        box(kind, struct.pack(f">HH{len(to)}H", of, len(to), *to)) for kind, of, to in references
    ]

    def meta(start: int) -> bytes:
        places = []
        for n, (_, data, _) in numbered:
            places.append(struct.pack(">HHHII", n, 0, 1, start, len(data)))
            start += len(data)
        return full(
            b"meta",
            full(b"hdlr", bytes(4), b"pict", bytes(13)),
            full(b"pitm", struct.pack(">H", 1)),
            full(b"iinf", struct.pack(">H", len(items)), *infos),
            full(b"iref", *links) if links else b"",
            box(
                b"iprp",
                box(b"ipco", *properties),
                full(b"ipma", struct.pack(">I", len(linked)), *linked),
            ),
            full(b"iloc", b"\x44\0", struct.pack(">H", len(places)), *places),
        )

    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", *(data for _, data, _ in items))


def clap(width: int, height: int, left: int, top: int, size: tuple[int, int]) -> bytes:
    """The part that is to be shown, of so many pixels from there (ISO/IEC 14496-12, 12.1.4)."""
    across, down = 2 * left + width - size[0], 2 * top + height - size[1]
    return box(b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, across, 2, down, 2))


def coded_avif(image: Image.Image) -> tuple[bytes, bytes]:
    """As `coded`, of an AVIF."""
    file = avif(image)
    at = file.index(b"av1C") - 4
    configuration = file[at : at + int.from_bytes(file[at : at + 4], "big")]
    at = file.index(b"mdat") - 4
    return configuration, file[at + 8 : at + int.from_bytes(file[at : at + 4], "big")]
