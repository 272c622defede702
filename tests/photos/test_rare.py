"""Photos of known kinds stored in ways that few programs choose, and what is refused of them."""

import io
import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from chromaserve.errors import ServiceError, slug_of
from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect
from chromaserve.photos.photo import Photo
from tests.photos.test_kinds import ALPHA16, GREY16, RGB8, RGB16, packed_tiff, tiff
from tests.sample_photos import encoded, lightness, small


def taken(data: bytes) -> Photo:
    return decode(data, inspect(data, max_pixels=10**6, max_side=10**4))


def test_a_bitmap_of_pnm_is_black_where_its_bits_are_set() -> None:
    bitmap = small("1", (121, 80))  # a row ends within a byte
    data = encoded(bitmap, "PPM")
    assert data.startswith(b"P4")
    assert np.array_equal(taken(data).grey, np.asarray(bitmap.convert("L")))


def test_pictures_behind_the_first_of_a_pnm_are_counted() -> None:
    bitmap, grey, colours = (encoded(small(mode), "PPM") for mode in ("1", "L", "RGB"))
    header = inspect(colours + bitmap + grey, max_pixels=10**6, max_side=10**4)
    assert header.pictures == 3
    for behind in (b"", b"P", b"P5 1", b"Peter"):
        assert inspect(grey + behind, max_pixels=10**6, max_side=10**4).pictures == 1
    assert np.array_equal(taken(grey + colours).grey, np.asarray(small("L")))


def test_a_gif_may_say_more_before_its_picture() -> None:
    image = small("L").quantize(64)
    data = encoded(image, "GIF", transparency=0, comment=b"of an aunt " * 40, duration=10)
    photo = taken(data)
    assert photo.size == (120, 80)
    assert photo.alpha is not None
    clear = np.asarray(image) == 0
    assert clear.any()
    assert np.array_equal(photo.alpha == 0, clear)
    off = np.abs(lightness(photo.grey) - lightness(np.asarray(image.convert("L"))))
    assert off[~clear].max() <= 0.02


def test_boxes_of_jpeg_2000_may_have_long_lengths() -> None:
    data = encoded(small("L"), "JPEG2000", irreversible=False)
    at = data.index(b"jp2c") - 4
    stream = data[at + 8 :]
    long = data[:at] + struct.pack(">I4sQ", 1, b"jp2c", 16 + len(stream)) + stream
    assert np.array_equal(taken(long).grey, np.asarray(small("L")))
    with pytest.raises(ServiceError) as refused:
        taken(data[:at] + struct.pack(">I4s", 3, b"xyz ") + stream)
    assert slug_of(refused.value) == "damaged-photo"


@pytest.mark.parametrize("bits", [9, 10, 12, 14])
def test_greys_of_jpeg_2000_reach_white_with_any_number_of_bits(bits: int) -> None:
    values = GREY16 >> 16 - bits
    # Of 16 bits, but as far from their middle as those are from theirs, which the file then says.
    shifted = values + np.uint16((1 << 15) - (1 << bits - 1))
    data = cv2.imencode(".jp2", shifted, [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])[1]
    at = data.tobytes().index(b"\xff\x4f\xff\x51") + 42
    data[at] = bits - 1
    expected = np.rint(values / ((1 << bits) - 1) * 65535)
    assert np.abs(taken(data.tobytes()).grey - expected).max() <= 1


def test_colours_that_were_multiplied_by_their_alpha_are_divided_by_it() -> None:
    alpha = ALPHA16 + 32768  # so that little is lost
    scale = alpha[..., np.newaxis] / 65535
    premultiplied = np.rint(RGB16 * scale).astype(np.uint16)
    data = tiff(np.dstack([premultiplied, alpha]), photometric="rgb", extrasamples=["assocalpha"])
    photo = taken(data)
    plain = taken(tiff(RGB16, photometric="rgb"))
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha, alpha)
    assert np.abs(photo.grey.astype(int) - plain.grey).max() <= 3  # of 65,535


def test_bits_may_come_in_the_other_order() -> None:
    data, expected = packed_tiff(12)
    at = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, at)[0]
    rows = data[at + 2 : at + 2 + 12 * count] + struct.pack("<HHII", 266, 3, 1, 2)
    samples = np.frombuffer(data[8:at], np.uint8)
    turned = np.packbits(np.unpackbits(samples, bitorder="little")).tobytes()
    other = data[:8] + turned + struct.pack("<H", count + 1) + rows + bytes(4)
    assert np.array_equal(taken(other).grey, expected)


def raw_in_sub_page() -> bytes:
    """As cameras and converters write it: a preview, below which the sensor's numbers are."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(RGB8[::4, ::4], photometric="rgb", subifds=1)
        file.write(GREY16, photometric="cfa")
    return buffer.getvalue()


def with_tag(data: bytes, tag: int, value: int) -> bytes:
    """A little-endian TIFF with another value of a tag of one value in its first page."""
    at = struct.unpack_from("<I", data, 4)[0]
    for place in range(at + 2, at + 2 + 12 * struct.unpack_from("<H", data, at)[0], 12):
        found, kind = struct.unpack_from("<HH", data, place)
        if found == tag:
            number = struct.pack("<H" if kind == 3 else "<I", value).ljust(4, b"\0")
            return data[: place + 8] + number + data[place + 12 :]
    raise AssertionError(tag)


def jpeg2000(precision: int, image: Image.Image) -> bytes:
    """With samples that say they have so many bits."""
    data = encoded(image, "JPEG2000")
    at = data.index(b"\xff\x4f\xff\x51") + 42
    sizes = b"".join(bytes([precision - 1, 1, 1]) for _ in image.getbands())
    return data[:at] + sizes + data[at + len(sizes) :]


def jpeg2000_of_colours(number: int) -> bytes:
    """Which are called by a number in the box colr."""
    data = encoded(small(), "JPEG2000")
    at = data.index(b"colr") + 7
    return data[:at] + struct.pack(">I", number) + data[at + 4 :]


def jpeg2000_at(left: int, sampled: int = 1) -> bytes:
    """With its picture away from the origin, and a channel that has not all pixels."""
    data = encoded(small(), "JPEG2000")
    at = data.index(b"\xff\x4f\xff\x51")
    data = data[: at + 16] + struct.pack(">I", left) + data[at + 20 :]
    return data[: at + 46] + bytes([sampled]) + data[at + 47 :]


def many_channels() -> bytes:
    return tiff(
        np.dstack([RGB16, GREY16, GREY16]), photometric="rgb", extrasamples=["unspecified"] * 2
    )


def tiles(width: int) -> bytes:
    data = tiff(RGB16, photometric="rgb", tile=(32, 48))
    return with_tag(with_tag(data, 322, width), 323, 2048)


def palette16() -> bytes:
    colours = np.tile(np.arange(65536, dtype=np.uint16), (3, 1))
    return tiff(GREY16, photometric="palette", colormap=colours)


def bitmap(packing: int, bits: int, size: int = 40, *masks: int) -> bytes:
    """A BMP of a kind, or what another program would read as one."""
    head = struct.pack("<iiHHI", 120, 80, 1, bits, packing) + bytes(size - 20)
    body = struct.pack(f"<{len(masks)}I", *masks) + bytes(120 * 80 * 8)
    return b"BM" + struct.pack("<IIII", 14 + size + len(body), 0, 14 + size, size) + head + body


def jpeg_of_frame(marker: int) -> bytes:
    return encoded(small(), "JPEG").replace(b"\xff\xc0", bytes([0xFF, marker]))


def for_telephones() -> bytes:
    data = encoded(small(), "PNG")
    return data[:8] + struct.pack(">I4sII", 4, b"CgBI", 0x50002002, 0) + data[8:]


def compressed(number: int) -> bytes:
    return with_tag(encoded(small(), "TIFF"), 259, number)


REFUSED: dict[str, tuple[Callable[[], Any], str, str]] = {
    "raw behind a preview": (raw_in_sub_page, "unsupported-format", "Develop it first"),
    "five channels": (many_channels, "unsupported-samples", "5 channels of 16 bits"),
    "tiles far larger than it": (lambda: tiles(2048), "damaged-photo", "tiles are far larger"),
    "tiles larger than a photo may be": (lambda: tiles(512), "damaged-photo", "1,048,576 pixels"),
    "colours of 12 bits": (lambda: jpeg2000(12, small()), "unsupported-samples", "12 bits"),
    "signed": (lambda: jpeg2000(0x88, small("L")), "unsupported-samples", "signed"),
    "Lab in JPEG 2000": (lambda: jpeg2000_of_colours(14), "unsupported-samples", "such as CMYK"),
    "CMY in JPEG 2000": (lambda: jpeg2000_of_colours(11), "unsupported-samples", "such as CMYK"),
    "4 bits in JPEG 2000": (
        lambda: jpeg2000(4, small("L")),
        "unsupported-samples",
        "fewer than 8 bits",
    ),
    "JPEG 2000 off its origin": (lambda: jpeg2000_at(9), "unsupported-samples", "a place on"),
    "JPEG 2000 of several sizes": (lambda: jpeg2000_at(0, 2), "unsupported-samples", "several"),
    "a WebP's head alone": (lambda: encoded(small(), "WEBP")[:20], "damaged-photo", "WebP"),
    "a JPEG 2000's head alone": (lambda: encoded(small(), "JPEG2000")[:60], "damaged-photo", ""),
    "a JPEG in a bitmap": (lambda: bitmap(4, 0), "unsupported-format", "a JPEG file in it"),
    "a PNG in a bitmap": (lambda: bitmap(5, 0, 108), "unsupported-format", "a PNG file in it"),
    "a bitmap of OS/2": (lambda: bitmap(4, 24, 64), "unsupported-format", "number 4"),
    "a printer's bitmap": (lambda: bitmap(11, 32), "unsupported-format", "number 11"),
    "a bitmap of 64 bits": (lambda: bitmap(0, 64), "unsupported-samples", "64 bits"),
    "a bitmap of 10 bits": (
        lambda: bitmap(3, 32, 40, 0x3FF00000, 0xFFC00, 0x3FF),
        "unsupported-samples",
        "other than 5, 6 or 8",
    ),
    "a bitmap of colours in another order": (
        lambda: bitmap(3, 32, 40, 0xFF, 0xFF00, 0xFF0000),
        "unsupported-samples",
        "an order that is not read",
    ),
    "a bitmap of 16 bits, blue first": (
        lambda: bitmap(3, 16, 40, 0x1F, 0x7E0, 0xF800),
        "unsupported-samples",
        "an order that is not read",
    ),
    "a palette of 16 bits": (palette16, "unsupported-samples", "a palette in 16 bits"),
    "a hierarchical JPEG": (lambda: jpeg_of_frame(0xC5), "unsupported-format", "hardly any"),
    "a PNG for telephones": (for_telephones, "unsupported-format", "Xcode"),
    "a TIFF of JPEG XL": (lambda: compressed(50002), "unsupported-samples", "JPEG XL"),
    "a TIFF of WebP": (lambda: compressed(50001), "unsupported-samples", "WebP"),
    "a TIFF of a future": (lambda: compressed(64000), "unsupported-samples", "number 64000"),
    "no directory": (lambda: b"II*\0" + bytes(8), "damaged-photo", "TIFF"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_taken_is_refused_with_what_it_is(name: str) -> None:
    make, slug, words = REFUSED[name]
    with pytest.raises(ServiceError) as refused:
        taken(make())
    assert slug_of(refused.value) == slug, refused.value.detail
    assert words in refused.value.detail
