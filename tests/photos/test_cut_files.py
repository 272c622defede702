"""JPEGs and PNGs that end too early, or have a hole: the share that is missing is the true one."""

import io
import struct
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from chromaserve.errors import DamagedPhoto
from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect
from chromaserve.photos.photo import Photo
from tests.hostile.files import chunk
from tests.photos.heif_files import avif, heic
from tests.sample_photos import encoded, small

SIZE = 900, 600
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "grey": ("L", {}),
    "colour": ("RGB", {"subsampling": 0}),
    "coarse chroma": ("RGB", {"subsampling": 2}),
    "restart markers": ("L", {"restart_marker_rows": 1}),
    "four inks": ("CMYK", {}),
}
ROOM = 4096


def taken(data: bytes, *, accept: bool = False) -> Photo:
    header = inspect(data, max_pixels=10**6, max_side=10**4)
    return decode(data, header, accept_damage=accept)


def jpeg(kind: str) -> bytes:
    mode, options = KINDS[kind]
    return encoded(small(mode, SIZE), "JPEG", quality=80, **options)


def png(**options: Any) -> bytes:  # noqa: ANN401
    return encoded(small("L", SIZE), "PNG", **options)


def grey_of(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("L"))


def flat_from(photo: Photo) -> int:
    """The first of the rows at the bottom that are of one grey."""
    same = (photo.grey == photo.grey[-1, -1]).all(axis=1)
    return len(same) - int(np.argmin(same[::-1]))


CUTS = {
    "cut": lambda data, at: data[:at],
    "cut and ended": lambda data, at: data[:at] + b"\xff\xd9",
    "filled up with zeros": lambda data, at: data[:at] + bytes(len(data) - at),
    "filled up as erased": lambda data, at: data[:at] + b"\xff" * (len(data) - at),
}


@pytest.mark.slow
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("how", CUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_of_a_jpeg_the_part_that_never_came_is_told(kind: str, how: str, part: float) -> None:
    whole = jpeg(kind)
    data = CUTS[how](whole, int(part * len(whole)))
    with pytest.raises(DamagedPhoto, match=r"JPEG file is damaged: about \d+%.*damaged=accept"):
        taken(data)
    photo = taken(data, accept=True)
    filled = flat_from(photo)
    assert photo.missing == pytest.approx(1 - filled / SIZE[1], abs=0.03)
    there = filled - 2 * 16  # chroma of the row of units before is smoothed with it
    assert np.array_equal(photo.grey[:there], taken(whole).grey[:there])


@pytest.mark.parametrize("how", CUTS)
def test_of_a_progressive_jpeg_the_scans_that_never_came_are_told(how: str) -> None:
    whole = encoded(small("RGB", SIZE), "JPEG", quality=80, progressive=True)
    scans = [i for i in range(len(whole)) if whole.startswith(b"\xff\xda", i)]
    data = CUTS[how](whole, scans[-2])
    with pytest.raises(DamagedPhoto, match="about 1%"):
        taken(data)
    assert 0 < taken(data, accept=True).missing < 0.01
    assert taken(whole).missing == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_without_its_end_alone_is_whole(kind: str) -> None:
    whole = jpeg(kind)
    photo = taken(whole[:-2])
    assert photo.missing == 0
    assert np.array_equal(photo.grey, taken(whole).grey)


def test_a_jpeg_that_ends_in_middle_grey_is_whole() -> None:
    image = small("L", SIZE)
    image.paste(128, (0, 500, 900, 600))
    for options in ({}, {"optimize": True}, {"progressive": True}):
        photo = taken(encoded(image, "JPEG", **options))
        assert photo.missing == 0
        assert (photo.grey[510:] == 128).all()
    flat = taken(encoded(Image.new("L", (2000, 500), 128), "JPEG", optimize=True))
    assert flat.missing == 0


def test_a_jpeg_with_a_thumbnail_is_measured_by_itself() -> None:
    thumbnail = encoded(small("RGB", (160, 120)), "JPEG")
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0" + thumbnail
    whole = encoded(small("L", SIZE), "JPEG", exif=exif, quality=80)
    photo = taken(whole[: (len(whole) + len(thumbnail)) // 2], accept=True)
    assert photo.missing == pytest.approx(0.5, abs=0.1)


def test_of_a_progressive_jpeg_detail_alone_is_missing() -> None:
    whole = encoded(small("L", SIZE), "JPEG", progressive=True)
    photo = taken(whole[: len(whole) * 3 // 4], accept=True)
    assert photo.missing == 0.005
    assert np.abs(photo.grey.astype(int) - grey_of(whole)).mean() < 6
    first_scan = taken(whole[: len(whole) // 20], accept=True)
    assert first_scan.missing > 0.2


@pytest.mark.parametrize("how", ["cut", "filled up with zeros"])
def test_of_a_png_the_part_that_never_came_is_told(how: str) -> None:
    whole = png()
    data = CUTS[how](whole, len(whole) // 2)
    with pytest.raises(DamagedPhoto, match=r"PNG file is damaged: about \d+%.*damaged=accept"):
        taken(data)
    photo = taken(data, accept=True)
    assert photo.missing == pytest.approx(1 - flat_from(photo) / SIZE[1], abs=0.005)
    assert 0.3 < photo.missing < 0.7


def test_what_is_whole_of_a_png_in_one_piece_is_found_in_time_that_grows_with_it() -> None:
    """Of 36 MB, and not with its square."""
    rows = np.random.default_rng(1).integers(0, 256, (4_000, 9_001), np.uint8)
    rows[:, 0] = 0  # each row's filter
    head = b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", struct.pack(">IIBBBBB", 3_000, 4_000, 8, 2, 0, 0, 0)
    )
    data = (head + chunk(b"IDAT", zlib.compress(rows.tobytes(), 0)))[:-400_000]
    header = inspect(data, max_pixels=10**8, max_side=10**4)
    start = time.process_time()
    with pytest.raises(DamagedPhoto, match="about 1%"):
        decode(data, header)
    assert time.process_time() - start < 3


@pytest.mark.parametrize("hole", [bytes(ROOM), b"\xff" * ROOM, bytes(range(256)) * 16])
def test_of_a_png_with_a_hole_the_rows_above_are_taken(hole: bytes) -> None:
    whole = png()
    at = len(whole) // 2
    data = whole[:at] + hole + whole[at + ROOM :]
    with pytest.raises(DamagedPhoto, match=r"about \d+%"):
        taken(data)
    photo = taken(data, accept=True)
    expected, there = grey_of(whole), int((1 - photo.missing) * SIZE[1])
    assert 0.25 < photo.missing < 0.75
    # Up to the hole it is the photo, and a few rows are what the hole was read as.
    assert np.array_equal(photo.grey[: there * 3 // 4], expected[: there * 3 // 4])
    assert (photo.grey[there + 1 :] == 0).all()


def test_a_png_of_which_no_row_is_whole_is_refused() -> None:
    whole = png()
    start = whole.index(b"IDAT") + 4
    data = whole[:start] + bytes(len(whole) - start)
    with pytest.raises(DamagedPhoto, match="Check that it opens"):
        taken(data, accept=True)


WITHOUT_PARTS: dict[str, Callable[[Image.Image], bytes]] = {
    "HEIC": heic,
    "AVIF": avif,
    "JPEG 2000": lambda image: encoded(image, "JPEG2000"),
}


@pytest.mark.slow
@pytest.mark.parametrize("filler", [b"\0", b"\xff"])
@pytest.mark.parametrize("kind", WITHOUT_PARTS)
def test_room_for_what_never_came_is_told(kind: str, filler: bytes) -> None:
    whole = WITHOUT_PARTS[kind](small("RGB", SIZE))
    cut = int(0.6 * len(whole))
    with pytest.raises(DamagedPhoto):
        taken(whole[:cut] + filler * (len(whole) - cut))


@pytest.mark.parametrize("kind", WITHOUT_PARTS)
@pytest.mark.parametrize("level", [0, 255])
def test_a_blank_sheet_is_whole(kind: str, level: int) -> None:
    photo = taken(WITHOUT_PARTS[kind](Image.new("RGB", SIZE, (level,) * 3)))
    assert (
        np.abs(photo.grey.astype(int) - level * (257 if photo.grey.itemsize == 2 else 1)).max()
        < 600
    )


@pytest.mark.slow
@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("filler", [b"\0", b"\xff"])
def test_of_a_webp_with_room_the_part_that_never_came_is_told(
    filler: bytes, lossless: bool
) -> None:
    whole = encoded(small("RGB", SIZE), "WEBP", quality=90, lossless=lossless)
    cut = int(0.6 * len(whole))
    data = whole[:cut] + filler * (len(whole) - cut)
    with pytest.raises(DamagedPhoto, match="damaged=accept"):
        taken(data)
    photo = taken(data, accept=True)
    there = round(SIZE[1] * (1 - photo.missing))
    assert 0.25 < photo.missing < 0.6
    assert np.array_equal(photo.grey[: there - 16], taken(whole).grey[: there - 16])


@pytest.mark.slow
@pytest.mark.parametrize("level", [0, 255])
def test_a_blank_webp_that_ends_in_zeros_is_whole(level: int) -> None:
    data = encoded(Image.new("L", (4500, 3000), level), "WEBP", quality=80)
    assert data.endswith(bytes(512))
    header = inspect(data, max_pixels=10**8, max_side=10**4)
    assert decode(data, header).missing == 0
