"""What a JPEG 2000 says of its place and size: turned upright once, its resolution with it."""

import io
import struct
import uuid

import numpy as np
import pytest
from PIL import Image, ImageOps

from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect
from chromaserve.photos.photo import Photo
from tests.photos.test_metadata import result
from tests.sample_photos import encoded, small

EXIFTOOL = b"JpgTiffExif->JP2"
ADOBE = uuid.UUID("0537cdab-9d0c-4431-a72a-fa561f2a113e").bytes
XMP = uuid.UUID("be7acfcb-97a9-42e8-9c71-999491e3afac").bytes


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def exif(orientation: int) -> bytes:
    made = Image.Exif()
    made[0x0112] = orientation
    return made.tobytes().removeprefix(b"Exif\0\0")


def resolution(name: bytes, x: tuple[int, int, int], y: tuple[int, int, int]) -> bytes:
    """The box for pixels a metre: above, below, power of ten (ISO/IEC 15444-1, I.5.3.7)."""
    return box(name, struct.pack(">4H2b", *y[:2], *x[:2], y[2], x[2]))


def jp2(image: Image.Image, *, said: bytes = b"", of_resolution: bytes = b"") -> bytes:
    """A file with boxes of these contents: behind the pixels, and for the resolution."""
    data = encoded(image, "JPEG2000", irreversible=False)
    if of_resolution:
        at = data.index(b"jp2h") - 4
        size = struct.unpack_from(">I", data, at)[0]
        head = data[at + 8 : at + size] + box(b"res ", of_resolution)
        data = data[:at] + box(b"jp2h", head) + data[at + size :]
    return data + said


def taken(data: bytes) -> Photo:
    return decode(data, inspect(data, max_pixels=10**6, max_side=10**4))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", [EXIFTOOL, ADOBE])
def test_a_turned_photo_stands_upright_once(kind: bytes, orientation: int) -> None:
    image = small("L")
    image.putpixel((0, 0), 0)
    photo = taken(jp2(image, said=box(b"uuid", kind + exif(orientation))))
    image.getexif()[0x0112] = orientation
    assert np.array_equal(photo.grey, np.asarray(ImageOps.exif_transpose(image)))
    made = photo.metadata.for_result("keep", "us").exif
    assert made is not None
    assert made.number(0x0112) == 1


def test_a_photo_is_turned_by_its_xmp_where_there_is_no_exif() -> None:
    image = small("L")
    said = b'<rdf:Description tiff:Orientation="8"/>'
    photo = taken(jp2(image, said=box(b"uuid", XMP + said)))
    image.getexif()[0x0112] = 8
    assert np.array_equal(photo.grey, np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize(
    ("x", "y"),
    [
        # 600 and 300 an inch, as whole numbers of a metre, and by powers of ten, also negative.
        ((23622, 1, 0), (11811, 1, 0)),
        ((236, 1, 2), (118, 1, 2)),
        ((60000, 254, 2), (30000, 254, 2)),
        ((23622, 1, 0), (59055, 5, 0)),
        ((60000, 1, -1), (60000, 2, -1)),
    ],
)
def test_resolution_turns_with_the_photo(x: tuple[int, int, int], y: tuple[int, int, int]) -> None:
    across, down = ((n / of * 10**power) * 0.0254 for n, of, power in (x, y))
    for name in (b"resc", b"resd"):
        said = resolution(name, x, y)
        for orientation, expected in ((1, (across, down)), (6, (down, across))):
            data = jp2(
                small("L"), said=box(b"uuid", EXIFTOOL + exif(orientation)), of_resolution=said
            )
            with Image.open(io.BytesIO(result("jpeg", data=data))) as image:
                assert image.info["dpi"] == pytest.approx(expected, rel=2e-2)


def test_the_resolution_of_the_scan_goes_before_that_of_a_screen() -> None:
    screen = resolution(b"resd", (2835, 1, 0), (2835, 1, 0))
    scan = resolution(b"resc", (23622, 1, 0), (11811, 1, 0))
    for both in (screen + scan, scan + screen):
        assert taken(jp2(small("L"), of_resolution=both)).metadata.dpi == pytest.approx(
            (600, 300), rel=1e-4
        )


def test_a_resolution_of_nothing_is_none() -> None:
    for x in ((1, 0, 0), (1, 1, 127), (0, 1, 0)):
        said = resolution(b"resc", x, (11811, 1, 0))
        assert taken(jp2(small("L"), of_resolution=said)).metadata.dpi is None
