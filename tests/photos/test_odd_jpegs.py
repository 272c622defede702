"""JPEGs that are whole, and written by programs that took the standard otherwise than others do."""

import io
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from chromaserve.color.lab import srgb_to_L
from chromaserve.errors import DamagedPhoto, ServiceError, UnsupportedFormat
from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect
from chromaserve.photos.icc import srgb_profile
from chromaserve.photos.photo import Photo
from tests.photos.jpeg_files import end_of_scan, segment, with_height_behind
from tests.photos.test_metadata import XMP, result
from tests.photos.test_profiles import L_of, with_gamma
from tests.sample_photos import encoded, small

GREY = encoded(small("L"), "JPEG", quality=90)
PLAIN = encoded(small(), "JPEG", quality=90, icc_profile=None)
LINEAR = with_gamma(srgb_profile(), 1.0)


def taken(data: bytes) -> Photo:
    return decode(data, inspect(data, max_pixels=10**6, max_side=10**4))


def grey_of(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("progressive", [False, True])
def test_the_height_may_stand_behind_the_first_scan(progressive: bool) -> None:
    whole = encoded(small("L"), "JPEG", quality=90, progressive=progressive)
    data = with_height_behind(whole)
    photo = taken(data)
    assert np.array_equal(photo.grey, grey_of(whole))
    assert photo.missing == 0
    end, lines = end_of_scan(data), 6
    with pytest.raises(DamagedPhoto, match="Check that it opens"):
        taken(data[:end] + data[end + lines :])
    cut = data[: (data.index(b"\xff\xda") + end) // 2] + data[end : end + lines] + data[-2:]
    with pytest.raises(DamagedPhoto, match="damaged=accept"):
        taken(cut)


@pytest.mark.parametrize("times", [1, 2, 300])
def test_a_jpeg_may_start_twice(times: int) -> None:
    assert np.array_equal(taken(b"\xff\xd8" * times + GREY).grey, grey_of(GREY))


@pytest.mark.parametrize("lead", [b"\n", b"\r\n\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf \t\n" * 9])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "GIF", "WEBP", "BMP"])
def test_programs_may_have_put_white_space_before_it(kind: str, lead: bytes) -> None:
    whole = encoded(small("L"), kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert np.array_equal(taken(lead + whole).grey, taken(whole).grey)


def test_words_before_a_jpeg_are_not_passed_over() -> None:
    """What has a JPEG in it may be another picture, or no picture: a film, a song, a raw file."""
    for lead in (b"\0" * 9, b"ID3\3\0", b"\n" * 1_001, b"a\n"):
        with pytest.raises(UnsupportedFormat):
            taken(lead + GREY)


@pytest.mark.parametrize("filler", [b"\0", b"abc", b"\xff\0\0", b"\xff", bytes(400)])
def test_bytes_between_segments_are_passed_over(filler: bytes) -> None:
    at = GREY.index(b"\xff\xdb")
    data = GREY[:at] + filler + GREY[at:]
    assert np.array_equal(taken(data).grey, grey_of(GREY))


def test_a_film_behind_a_photo_may_look_like_scans() -> None:
    """As telephones write it: a few seconds behind the photo, 20 MB perhaps."""
    film = b"\xff\xd9" + b"\0\0\0\x18ftypmp42" + b"\xff\xda\0\x02film" * 2_000
    for progressive in (False, True):
        whole = encoded(small("L"), "JPEG", progressive=progressive)
        photo = taken(whole[:-2] + film)
        assert np.array_equal(photo.grey, grey_of(whole))
        assert photo.missing == 0


def test_scans_that_are_too_many_are_refused_wherever_an_end_is_written() -> None:
    scan = GREY[GREY.index(b"\xff\xda") : -2]
    for between in (b"", segment(0xFE, b"\xff\xd9")):
        with pytest.raises(DamagedPhoto):
            taken(GREY[:-2] + between + scan * 300 + GREY[-2:])


def test_what_cameras_put_beside_the_picture_may_be_long() -> None:
    heat = segment(0xE3, bytes(65_000)) * 80
    assert np.array_equal(taken(GREY[:2] + heat + GREY[2:]).grey, grey_of(GREY))
    with pytest.raises(ServiceError):
        taken(GREY[:2] + segment(0xE1, b"Exif\0\0" + bytes(65_000)) * 80 + GREY[2:])


def profile(numbers: list[tuple[int, int]], size: int = 100) -> bytes:
    """A JPEG with parts of a profile whose light is its numbers, by their numbers and counts."""
    parts = [LINEAR[i : i + size] for i in range(0, len(LINEAR), size)]
    head = b"".join(
        segment(0xE2, b"ICC_PROFILE\0" + bytes(each) + parts[each[0] - 1]) for each in numbers
    )
    return PLAIN[:2] + head + PLAIN[2:]


COUNT = -(-len(LINEAR) // 100)
IN_ORDER = [(i, COUNT) for i in range(1, COUNT + 1)]


@pytest.mark.parametrize(
    "numbers",
    [
        IN_ORDER,
        IN_ORDER[::-1],
        IN_ORDER * 2,
        [*IN_ORDER, IN_ORDER[1]],
        [(i, 1) for i, _ in IN_ORDER],
        [(i, 0) for i, _ in IN_ORDER],
    ],
    ids=["in order", "backwards", "twice", "one twice", "counted as one", "not counted"],
)
def test_a_profile_counts_however_its_parts_come(numbers: list[tuple[int, int]]) -> None:
    colours = grey_of(PLAIN) / 255
    expected = L_of(colours @ [0.2126, 0.7152, 0.0722])
    photo = taken(profile(numbers))
    assert np.abs(srgb_to_L(photo.grey) - expected).mean() < 0.1
    assert photo.metadata.lost == ()


def test_of_a_profile_that_lacks_a_part_that_is_told() -> None:
    photo = taken(profile(IN_ORDER[:2] + IN_ORDER[3:]))
    assert np.array_equal(photo.grey, taken(PLAIN).grey)
    assert photo.metadata.lost == ("colour profile",)


def test_further_segments_of_xmp_are_told_of_and_not_named() -> None:
    guid = b' xmpNote:HasExtendedXMP="0123456789ABCDEF0123456789ABCDEF"'
    data = encoded(small("L"), "JPEG", xmp=XMP.replace(b" xmp:Nick", guid + b" xmp:Nick"))
    more = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + bytes(8) + b"<x/>"
    data = data[:2] + segment(0xE1, more) + data[2:]
    assert taken(data).metadata.lost == ("extended XMP",)
    with Image.open(io.BytesIO(result("jpeg", data=data))) as image:
        assert b"Oma" in image.info["xmp"]
        assert b"HasExtendedXMP" not in image.info["xmp"]


def test_results_do_not_say_that_a_film_or_gains_lie_behind_them() -> None:
    said = b' GCamera:MotionPhoto="1" GCamera:MicroVideoOffset="4000" hdrgm:Version="1.0"'
    parts = b"<Container:Directory><rdf:Seq><rdf:li/></rdf:Seq></Container:Directory>"
    xmp = XMP.replace(b" xmp:Nick", said + b" xmp:Nick")
    xmp = xmp.replace(b"/></rdf:RDF>", b">" + parts + b"</rdf:Description></rdf:RDF>")
    data = encoded(small("L"), "JPEG", xmp=xmp)
    with Image.open(io.BytesIO(result("jpeg", data=data))) as image:
        kept = image.info["xmp"]
    assert b"Oma" in kept
    for name in (b"Motion", b"MicroVideo", b"hdrgm", b"Container"):
        assert name not in kept
    assert ElementTree.fromstring(kept.split(b"?>")[-1]) is not None


@pytest.mark.parametrize("words", ["Großmutter, 1931", "Großmutter 婆"])
@pytest.mark.parametrize("kind", ["JPEG", "GIF"])
def test_a_comment_goes_along(kind: str, words: str) -> None:
    for letters in ("utf-8", "latin-1"):
        if letters == "latin-1" and "婆" in words:
            continue
        data = encoded(small("L"), kind, comment=words.encode(letters))
        with Image.open(io.BytesIO(result("png", data=data))) as image:
            assert image.info["Comment"] == words
        with Image.open(io.BytesIO(result("jpeg", data=data))) as image:
            assert image.info["comment"].decode() == words
    assert words.encode() not in result("jpeg", "none", data)


def test_tags_that_cannot_be_read_add_nothing_to_standard_error(tmp_path: Path) -> None:
    """Pillow would warn of each, as many lines as a file likes."""
    tags = b"".join(struct.pack("<HHII", 1 + i, 7, 2**30, 8) for i in range(100))
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 100) + tags + bytes(4)
    file = tmp_path / "photo.jpg"
    file.write_bytes(GREY[:2] + segment(0xE1, exif) + GREY[20:])  # without its JFIF
    program = (
        "import sys; from pathlib import Path; from chromaserve.photos.decode import decode;"
        "from chromaserve.photos.header import inspect; data = Path(sys.argv[1]).read_bytes();"
        "decode(data, inspect(data, max_pixels=10**6, max_side=10**4))"
    )
    command = [sys.executable, "-c", program, str(file)]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    assert made.stderr == ""
