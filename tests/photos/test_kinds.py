"""Every row of the table of photos that are taken, docs/reference/photos.md."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from chromaserve.errors import ServiceError, slug_of
from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect
from chromaserve.photos.photo import Photo
from tests.hostile.files import chunk
from tests.photos.heif_files import (
    avif,
    clap,
    coded,
    grid,
    heic,
    ispe,
    put_together,
    wide_avif,
    wide_heic,
)
from tests.photos.jpeg_files import with_height_behind
from tests.photos.tiff_files import of_size, written, ycbcr
from tests.sample_photos import encoded, lightness, png16, small

DOCUMENT = Path(__file__).parents[2] / "docs/reference/photos.md"
ROWS, COLUMNS = 80, 120
RAMP = np.add.outer(np.arange(ROWS), np.arange(COLUMNS)) / (ROWS + COLUMNS - 2)
GREY16 = (RAMP * 65535).astype(np.uint16)
RGB16 = np.dstack([GREY16, GREY16[::-1], GREY16[:, ::-1]])
ALPHA16 = GREY16 // 2
RGB8 = np.asarray(small())
GREY8 = np.asarray(small("L"))


def tiff(array: NDArray[Any], **options: Any) -> bytes:  # noqa: ANN401
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def packed_tiff(bits: int) -> tuple[bytes, NDArray[Any]]:
    """Grey samples of so many bits, without a gap between them; and what they are."""
    values = np.rint(RAMP * ((1 << bits) - 1)).astype(np.uint16)
    apart = (values[..., np.newaxis] >> np.arange(bits - 1, -1, -1) & 1).astype(np.uint8)
    data = np.packbits(apart.reshape(ROWS, -1), axis=1).tobytes()
    tags = [(256, COLUMNS), (257, ROWS), (258, bits), (259, 1), (262, 1), (273, 8), (277, 1)]
    tags += [(278, ROWS), (279, len(data))]
    directory = struct.pack("<H", len(tags))
    directory += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + bytes(4), np.rint(
        values / ((1 << bits) - 1) * 65535
    ).astype(np.uint16)


def cut(data: bytes, kind: str) -> bytes:
    return data[: -len(data) // 4] if kind == "JPEG" else data[: len(data) // 2]


def png_with(kind: bytes, content: bytes, *, right: bool = True) -> bytes:
    data = encoded(small("L"), "PNG")
    extra = chunk(kind, content)
    return data[:33] + (extra if right else extra[:-1] + b"?") + data[33:]


def with_wrong_sum(png: bytes) -> bytes:
    """Of one chunk of pixels, whose own sum is right."""
    at = png.index(b"IDAT")
    end = at + 4 + int.from_bytes(png[at - 4 : at], "big")
    return png[: at - 4] + chunk(b"IDAT", png[at + 4 : end - 4] + bytes(4)) + png[end + 4 :]


def with_wrong_sizes() -> bytes:
    data = encoded(COLOUR, "TIFF", compression="tiff_lzw")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        size = struct.pack("<H", file.pages[0].databytecounts[0])
    assert data.count(size) == 1
    return data.replace(size, b"\7\0")


def with_bits(data: bytes, bits: int) -> bytes:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        at = file.pages[0].tags[258].valueoffset  # type: ignore[union-attr]
    return data[:at] + struct.pack("<H", bits) + data[at + 2 :]


def with_reduced_copy() -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(RGB8[::4, ::4], photometric="rgb", subfiletype=1)
        file.write(RGB8, photometric="rgb")
    return buffer.getvalue()


def dng() -> bytes:
    return tiff(
        RGB8[::4, ::4], photometric="rgb", extratags=[(50706, 1, 4, bytes([1, 4, 0, 0]), True)]
    )


def planar16() -> bytes:
    return tiff(np.moveaxis(RGB16, 2, 0), photometric="rgb", planarconfig="separate")


def with_alpha16(colours: NDArray[Any], extra: str, kind: str) -> bytes:
    return tiff(np.dstack([colours, ALPHA16]), photometric=kind, extrasamples=[extra])


GREY, COLOUR = small("L"), small()
HEVC, PART = coded(COLOUR), (31, 17, 6, 9)
HEVC_SAYS = [ispe(*COLOUR.size), HEVC[0]]
HIGH_RANGE = b"nclx" + struct.pack(">HH", 1, 13), b"nclx" + struct.pack(">HH", 9, 16)
LOSSY = "JPEG,", "JPEG w", "PNG, 1 to", "AVIF", "HEIC"
JPEG = encoded(GREY, "JPEG", quality=95)
MAKERS: dict[str, tuple[Callable[[], bytes], NDArray[Any] | None]] = {
    "JPEG, grey": (lambda: JPEG, GREY8),
    "JPEG, colour": (lambda: encoded(COLOUR, "JPEG", quality=97), RGB8),
    "JPEG, CMYK": (lambda: encoded(small("CMYK"), "JPEG", quality=97), RGB8),
    "JPEG without its end, all pixels there": (lambda: JPEG[:-2], GREY8),
    "JPEG, its height behind its first scan": (lambda: with_height_behind(JPEG), GREY8),
    "JPEG of which pixels are missing": (lambda: cut(JPEG, "JPEG"), None),
    "JPEG, 12 bits": (lambda: JPEG.replace(b"\x00\x0b\x08", b"\x00\x0b\x0c", 1), None),
    "JPEG-LS": (
        lambda: b"\xff\xd8" + JPEG[JPEG.index(b"\xff\xc0") :].replace(b"\xc0", b"\xf7", 1),
        None,
    ),
    "PNG, 1 to 8 bits, palettes too": (lambda: encoded(GREY.quantize(256), "PNG"), GREY8),
    "PNG, 16 bits, grey": (lambda: png16(GREY16), GREY16),
    "PNG, 16 bits, grey with alpha": (lambda: png_grey_alpha16(), GREY16),
    "PNG, 16 bits, colour with alpha": (lambda: png16(np.dstack([RGB16, ALPHA16])), RGB16),
    "PNG, alpha opaque everywhere": (lambda: encoded(small("RGBA"), "PNG"), RGB8),
    "PNG without IEND": (lambda: encoded(GREY, "PNG")[:-12], GREY8),
    "PNG, wrong checksum of a text": (lambda: png_with(b"tEXt", b"A\0b", right=False), GREY8),
    "PNG, wrong sum of all pixels": (lambda: with_wrong_sum(encoded(GREY, "PNG")), GREY8),
    "PNG of which rows are missing": (lambda: cut(encoded(GREY, "PNG"), "PNG"), None),
    "PNG, high dynamic range (PQ, HLG)": (lambda: png_with(b"cICP", bytes([9, 16, 0, 1])), None),
    "WebP": (lambda: encoded(COLOUR, "WEBP", lossless=True), RGB8),
    "WebP with alpha": (lambda: encoded(transparent(), "WEBP", lossless=True, exact=True), RGB8),
    "WebP, wrong size in its header": (
        lambda: b"RIFF\7\0\0\0" + encoded(COLOUR, "WEBP", lossless=True)[8:],
        RGB8,
    ),
    "WebP of which pixels are missing": (lambda: cut(encoded(COLOUR, "WEBP"), "WEBP"), None),
    "TIFF, 1 to 8 bits, grey, colour, palette": (lambda: encoded(COLOUR, "TIFF"), RGB8),
    "TIFF, CMYK, 8 bits": (lambda: encoded(small("CMYK"), "TIFF"), RGB8),
    "TIFF, YCbCr of coarse colours, 8 bits": (
        lambda: written({**of_size(COLUMNS, ROWS, 3, 6, 16), 259: 1, 530: (2, 2)}, ycbcr(RGB8)[0]),
        ycbcr(RGB8)[1],
    ),
    "TIFF, 16 bits, grey": (lambda: tiff(GREY16, photometric="minisblack"), GREY16),
    "TIFF, 16 bits, white is zero": (lambda: tiff(~GREY16, photometric="miniswhite"), GREY16),
    "TIFF, 16 bits, colour": (lambda: tiff(RGB16, photometric="rgb"), RGB16),
    "TIFF, 16 bits, LZW with predictor": (
        lambda: cv2.imencode(".tif", np.ascontiguousarray(RGB16[..., ::-1]))[1].tobytes(),
        RGB16,
    ),
    "TIFF, 16 bits, big endian": (lambda: tiff(RGB16, photometric="rgb", byteorder=">"), RGB16),
    "TIFF, 16 bits, separate planes": (planar16, RGB16),
    "TIFF, 16 bits, tiles": (
        lambda: tiff(RGB16, photometric="rgb", tile=(32, 48), compression="deflate"),
        RGB16,
    ),
    "TIFF, 16 bits, colour with alpha": (lambda: with_alpha16(RGB16, "unassalpha", "rgb"), RGB16),
    "TIFF, 16 bits, colour with infrared": (
        lambda: with_alpha16(RGB16, "unspecified", "rgb"),
        RGB16,
    ),
    "TIFF, 16 bits, grey with alpha": (
        lambda: with_alpha16(GREY16, "unassalpha", "minisblack"),
        GREY16,
    ),
    "TIFF, 8 bits, colour with two more channels": (
        lambda: tiff(
            np.dstack([RGB8, GREY8, GREY8]), photometric="rgb", extrasamples=["unspecified"] * 2
        ),
        RGB8,
    ),
    "TIFF, 10 bits, grey": (lambda: packed_tiff(10)[0], packed_tiff(10)[1]),
    "TIFF, 12 bits, grey": (lambda: packed_tiff(12)[0], packed_tiff(12)[1]),
    "TIFF, 14 bits, grey": (lambda: packed_tiff(14)[0], packed_tiff(14)[1]),
    "TIFF, BigTIFF": (lambda: tiff(RGB8, photometric="rgb", bigtiff=True), RGB8),
    "TIFF of which pixels are missing": (lambda: cut(tiff(RGB8), "TIFF"), None),
    "TIFF, 16 bits, of which pixels are missing": (lambda: cut(tiff(RGB16), "TIFF"), None),
    "TIFF, sizes of its strips wrong": (with_wrong_sizes, RGB8),
    "TIFF, first page a reduced copy": (with_reduced_copy, RGB8),
    "TIFF, several pages": (
        lambda: encoded(small(), "TIFF", save_all=True, append_images=[small("L"), small()]),
        RGB8,
    ),
    "TIFF, 16 bits, CMYK": (
        lambda: tiff(np.dstack([RGB16, GREY16]), photometric="separated"),
        None,
    ),
    "TIFF, 32 bits": (lambda: tiff(GREY16.astype(np.uint32), photometric="minisblack"), None),
    "TIFF, floating point, 16 bits": (lambda: tiff(RAMP.astype(np.float16)), GREY16),
    "TIFF, floating point, 32 bits, grey": (lambda: tiff(RAMP.astype(np.float32)), GREY16),
    "TIFF, floating point, 32 bits, colour, with predictor": (
        lambda: cv2.imencode(
            ".tif",
            (RGB16[..., ::-1] / 65535).astype(np.float32),
            [cv2.IMWRITE_TIFF_COMPRESSION, 8, cv2.IMWRITE_TIFF_PREDICTOR, 3],
        )[1].tobytes(),
        RGB16,
    ),
    "TIFF, floating point, 64 bits": (lambda: tiff(RGB16 / 65535, photometric="rgb"), RGB16),
    "TIFF, floating point, values beyond 0 to 1": (
        lambda: tiff((RAMP * 255).astype(np.float32)),
        None,
    ),
    "TIFF, floating point, values that are no numbers": (
        lambda: tiff(np.where(RAMP > 0.9, np.nan, RAMP).astype(np.float32)),
        None,
    ),
    "TIFF, floating point, 24 bits": (
        lambda: with_bits(tiff(RAMP.astype(np.float32)), 24),
        None,
    ),
    "TIFF, signed": (lambda: tiff(GREY16.astype(np.int16)), None),
    "TIFF, Lab": (lambda: encoded(COLOUR.convert("LAB"), "TIFF"), None),
    "raw files of cameras (DNG, CR2, CR3, NEF, ARW, ORF, RAF, RW2)": (dng, None),
    "BMP": (lambda: encoded(COLOUR, "BMP"), RGB8),
    "GIF": (lambda: encoded(GREY, "GIF"), GREY8),
    "JPEG 2000, grey": (lambda: encoded(GREY, "JPEG2000", irreversible=False), GREY8),
    "JPEG 2000, colour": (lambda: encoded(COLOUR, "JPEG2000", irreversible=False), RGB8),
    "JPEG 2000, colour, 16 bits": (
        lambda: cv2.imencode(
            ".jp2",
            np.ascontiguousarray(RGB16[..., ::-1]),
            [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000],
        )[1].tobytes(),
        RGB16,
    ),
    "PNM, binary (P4 to P6)": (lambda: encoded(COLOUR, "PPM"), RGB8),
    "PNM, binary, 10 bits": (
        lambda: b"P5 120 80 # ten\n1023\n" + (GREY16 >> 6).astype(">u2").tobytes(),
        np.rint((GREY16 >> 6) / 1023 * 65535).astype(np.uint16),
    ),
    "PNM, in letters (P1 to P3)": (lambda: b"P2\n1 1\n255\n7\n", None),
    "HEIC": (lambda: heic(COLOUR), RGB8),
    "HEIC with alpha": (lambda: heic(transparent()), RGB8),
    "HEIC, 10 or 12 bits": (lambda: wide_heic(RGB16), RGB16),
    "HEIC of tiles, as telephones make it": (lambda: grid([COLOUR], 1, COLOUR.size), RGB8),
    "HEIC of which a part is to be shown (clap)": (
        lambda: put_together([(b"hvc1", HEVC[1], [*HEVC_SAYS, clap(*PART, COLOUR.size)])]),
        RGB8[9:26, 6:37],
    ),
    "HEIC by another picture of the file (iden)": (
        lambda: put_together(
            [(b"iden", b"", HEVC_SAYS[:1]), (b"hvc1", HEVC[1], HEVC_SAYS)], [(b"dimg", 1, [2])]
        ),
        RGB8,
    ),
    "HEIC of pictures laid over one another (iovl)": (
        lambda: put_together(
            [(b"iovl", bytes(22), HEVC_SAYS[:1]), (b"hvc1", HEVC[1], HEVC_SAYS)],
            [(b"dimg", 1, [2])],
        ),
        None,
    ),
    "AVIF": (lambda: avif(COLOUR), RGB8),
    "AVIF with alpha": (lambda: avif(transparent()), RGB8),
    "AVIF, 10 or 12 bits": (lambda: wide_avif(RGB16), RGB16),
    "HEIC and AVIF, high dynamic range (PQ, HLG)": (
        lambda: heic(COLOUR).replace(*HIGH_RANGE),
        None,
    ),
    "HEIC and AVIF, moving pictures": (
        lambda: avif(COLOUR, save_all=True, append_images=[COLOUR.rotate(9)]),
        None,
    ),
}


def png_grey_alpha16() -> bytes:
    import zlib

    samples = np.dstack([GREY16, ALPHA16]).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    head = struct.pack(">IIBBBBB", COLUMNS, ROWS, 16, 4, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND")
    return b"\x89PNG\r\n\x1a\n" + parts


def transparent() -> Image.Image:
    image = small("RGBA")
    image.putalpha(100)
    return image


def rows() -> dict[str, str]:
    table = DOCUMENT.read_text().split("| --- | --- |\n")[1].split("\n\n")[0]
    return {
        cells[1].strip(): cells[2].strip()
        for cells in (line.split("|") for line in table.splitlines())
    }


def taken(data: bytes, *, accept: bool = False) -> tuple[Photo, int]:
    header = inspect(data, max_pixels=10**6, max_side=10**4)
    return decode(data, header, accept_damage=accept), len(header.pages)


def test_every_row_has_its_file() -> None:
    assert list(rows()) == list(MAKERS)


@pytest.mark.parametrize("name", MAKERS)
def test_a_photo_becomes_what_the_table_says(name: str) -> None:
    said = rows()[name]
    make, expected = MAKERS[name]
    data = make()
    if said.startswith("refused"):
        with pytest.raises(ServiceError) as refused:
            taken(data)
        kind = said.removeprefix("refused: ").split(";")[0]
        if kind == "develop it first":
            assert "Develop it first" in refused.value.detail
        else:
            assert slug_of(refused.value).startswith(kind.replace(" ", "-"))
        if "damaged=accept" in said:
            photo, _ = taken(data, accept=True)
            assert 0.05 < photo.missing < 0.95
        return
    photo, pages = taken(data)
    assert photo.dtype == (np.uint16 if said.startswith("16") else np.uint8)
    assert (photo.alpha is not None) == ("with alpha" in said)
    assert photo.missing == 0
    assert expected is not None
    assert photo.size == expected.shape[1::-1]
    off = np.abs(lightness(photo.grey) - lightness(expected))
    assert off.mean() < (1.5 if name.startswith(LOSSY) else 0.02)
    assert pages == (3 if name == "TIFF, several pages" else 1)
