"""Files that are cut or broken: what is whole is taken, what is missing is counted and grey."""

import io
import struct
import time
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from chromaserve.errors import DamagedPhoto
from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect
from chromaserve.photos.photo import Photo
from tests.photos.tiff_files import of_size, written
from tests.sample_photos import encoded, lightness, small

SIZE = 240, 160
RGB8 = np.asarray(small("RGB", SIZE))
RGB16 = RGB8.astype(np.uint16) * 257 + np.uint16(3)
GREY = {np.dtype(np.uint8): 128, np.dtype(np.uint16): 32768}


def taken(data: bytes, *, accept: bool = False) -> Photo:
    header = inspect(data, max_pixels=10**6, max_side=10**4)
    return decode(data, header, accept_damage=accept, keep_colours=True)


def tiff(array: NDArray[Any], **options: Any) -> bytes:  # noqa: ANN401
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **{"photometric": "rgb", **options})
    return buffer.getvalue()


def parts(data: bytes) -> list[tuple[int, int]]:
    """Where the strips or tiles of the first page are, and how long."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        return list(zip(page.dataoffsets, page.databytecounts, strict=True))


def with_tag(data: bytes, tag: int, values: list[int]) -> bytes:
    """With other values of a tag, in place."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        found = file.pages[0].tags[tag]  # type: ignore[union-attr]
        kind = {3: "H", 4: "I"}[found.dtype]
        raw = struct.pack(f"<{len(values)}{kind}", *values)
        assert len(values) == found.count
        return data[: found.valueoffset] + raw + data[found.valueoffset + len(raw) :]


KINDS: dict[str, dict[str, Any]] = {
    "one strip": {},
    "strips": {"rowsperstrip": 16},
    "deflate": {"compression": "deflate", "rowsperstrip": 160},
    "deflate, predictor": {"compression": "deflate", "rowsperstrip": 40, "predictor": True},
    "tiles": {"tile": (64, 48), "compression": "deflate"},
    "planes": {"planarconfig": "separate"},
}


@pytest.mark.parametrize("array", [RGB8, RGB16], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_tiff_that_is_cut_short_is_had_up_to_there(kind: str, array: NDArray[Any]) -> None:
    options = KINDS[kind]
    whole = tiff(np.moveaxis(array, 2, 0) if kind == "planes" else array, **options)
    data = whole[: len(whole) * 5 // 6]
    with pytest.raises(DamagedPhoto, match=r"about \d+% of its pixels.*damaged=accept"):
        taken(data)
    photo = taken(data, accept=True)
    assert photo.colours is not None
    assert photo.dtype == array.dtype
    lost = (photo.colours == GREY[array.dtype]).all(axis=2)
    assert lost.mean() == pytest.approx(photo.missing, abs=0.001)
    assert np.array_equal(photo.colours[~lost], array[~lost])
    # Of planes, the last one has no more than half of its rows.
    least = 0.45 if kind == "planes" else 0.14
    assert least < photo.missing < least + (0.25 if kind == "tiles" else 0.06)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits"])
def test_what_libtiff_unpacks_is_had_up_to_where_it_ends(compression: str) -> None:
    image = small("RGB", (240, 160))
    data = encoded(image, "TIFF", compression=compression)
    start, size = parts(data)[-1]  # rows 91 to 159
    assert start + size < len(data)  # the directory is behind them: cut out, and put right
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        places = file.pages[0].dataoffsets
    data += data[start : start + size // 2]
    data = with_tag(data, 273, [places[0], len(data) - size // 2])
    photo = taken(data, accept=True)
    assert photo.colours is not None
    lost = (photo.colours == 128).all(axis=2)
    first = int(np.argmax(lost.all(axis=1)))
    assert 91 + 20 < first < 91 + 45
    assert np.array_equal(photo.colours[:first], RGB8[:first])
    assert photo.missing == pytest.approx((160 - first) / 160)


def test_a_strip_that_cannot_be_unpacked_is_grey_and_those_after_it_are_taken() -> None:
    data = bytearray(tiff(RGB16, compression="deflate", rowsperstrip=32))
    start, size = parts(bytes(data))[2]
    data[start : start + size] = b"\xff" * size
    with pytest.raises(DamagedPhoto, match="about 20%"):
        taken(bytes(data))
    photo = taken(bytes(data), accept=True)
    assert photo.colours is not None
    assert photo.missing == 0.2
    assert (photo.colours[64:96] == 32768).all()
    assert np.array_equal(photo.colours[:64], RGB16[:64])
    assert np.array_equal(photo.colours[96:], RGB16[96:])


@pytest.mark.parametrize(("every", "alone"), [(250, True), (3, False)], ids=["few", "very many"])
def test_of_small_strips_broken_ones_are_grey_and_most_others_are_taken(
    every: int, alone: bool
) -> None:
    """Where very many are broken, libtiff isn't asked for each of those around them."""
    rows = np.arange(6_000 * 24).reshape(6_000, 8, 3).astype(np.uint8) & 127
    rows[:3_000, :, 0] = rows[3_000:, :, 2] = 255
    strips = [b"\x17" + row.tobytes() for row in rows]  # PackBits: 24 bytes follow
    strips[::every] = [b"\x17"] * len(strips[::every])
    photo = taken(written({**of_size(8, 6_000, 3, 2, 1), 259: 32773}, strips), accept=True)
    assert photo.colours is not None
    lost = (photo.colours == 128).all(axis=(1, 2))
    assert photo.missing == pytest.approx(lost.mean())
    assert lost[::every].all()
    assert not lost[1:every].any()
    assert np.array_equal(photo.colours[~lost], rows[~lost])
    assert (photo.missing == 1 / every) == alone


@pytest.mark.parametrize("array", [RGB8, RGB16], ids=["8 bits", "16 bits"])
def test_a_wrong_checksum_is_damage(array: NDArray[Any]) -> None:
    data = bytearray(tiff(array, compression="deflate", rowsperstrip=80))
    start, size = parts(bytes(data))[1]
    data[start + size - 1] ^= 1
    with pytest.raises(DamagedPhoto, match="about 50%"):
        taken(bytes(data))
    assert taken(bytes(data), accept=True).missing == 0.5


def test_what_is_missing_is_opaque() -> None:
    alpha = np.full(RGB16.shape[:2], 9000, np.uint16)
    whole = tiff(np.dstack([RGB16, alpha]), extrasamples=["assocalpha"])
    photo = taken(whole[: len(whole) // 2], accept=True)
    assert photo.alpha is not None
    assert set(np.unique(photo.alpha[:79])) == {9000}
    assert set(np.unique(photo.alpha[81:])) == {65535}


@pytest.mark.parametrize("wrong", ["zero", "half", "beyond the end", "without"])
@pytest.mark.parametrize("compression", [None, "deflate", "tiff_lzw"])
def test_sizes_of_strips_may_be_wrong(compression: str | None, wrong: str) -> None:
    if compression == "tiff_lzw":
        data = encoded(small("RGB", SIZE), "TIFF", compression=compression)
    else:
        data = tiff(RGB8, compression=compression, rowsperstrip=20)
    sizes = [size for _, size in parts(data)]
    values = {"zero": 0, "half": sizes[0] // 2, "beyond the end": 65_000}
    if wrong == "without":
        at = next(at for kind in (3, 4) if (at := data.find(struct.pack("<HH", 279, kind))) > 0)
        data = data[:at] + struct.pack("<H", 280) + data[at + 2 :]
    else:
        data = with_tag(data, 279, [values[wrong]] * len(sizes))
    photo = taken(data)
    assert photo.missing == 0
    assert photo.colours is not None
    assert np.array_equal(photo.colours, RGB8)


def test_strips_that_share_their_bytes_are_not_read_whole_for_each() -> None:
    rows = 20_000
    grey = np.zeros((rows, 16), np.uint16)
    data = tiff(grey, photometric="minisblack", compression="deflate", rowsperstrip=1)
    end = len(data)
    data += zlib.compress(b"", 0)[:2] + b"\0\0\0\xff\xff" * 200_000  # blocks of nothing
    data = with_tag(data, 279, [65_000] * rows)
    data = with_tag(data, 273, [end] * rows)
    start = time.process_time()
    with pytest.raises(DamagedPhoto):
        decode(data, inspect(data, max_pixels=10**6, max_side=10**5))
    assert time.process_time() - start < 10  # whole, they are 1.3 GB of blocks


def test_a_tiff_of_broken_strips_alone_is_given_up() -> None:
    grey = np.zeros((30_000, 16), np.uint16)
    data = tiff(grey, photometric="minisblack", compression="deflate", rowsperstrip=1)
    data = with_tag(data, 259, [5])  # says that it is LZW
    with pytest.raises(DamagedPhoto, match="damaged or incomplete"):
        decode(data, inspect(data, max_pixels=10**6, max_side=10**5), accept_damage=True)


@pytest.mark.parametrize("array", [RGB8, RGB16], ids=["8 bits", "16 bits"])
def test_nothing_is_made_of_a_tiff_that_has_no_pixels_left(array: NDArray[Any]) -> None:
    data = tiff(array)
    data = data[: parts(data)[0][0]]
    for accept in (False, True):
        with pytest.raises(DamagedPhoto, match="damaged or incomplete"):
            taken(data, accept=accept)


def test_a_tiff_that_ends_before_its_directory_says_so() -> None:
    data = encoded(small(), "TIFF", compression="tiff_lzw")
    with pytest.raises(DamagedPhoto, match="cut short, before its directory"):
        taken(data[: len(data) // 2])


def test_a_tiff_that_cannot_be_taken_in_part_says_so() -> None:
    data = bytearray(encoded(small(), "TIFF", compression="jpeg"))
    start, size = parts(bytes(data))[0]
    data[start : start + size] = bytes(size)
    with pytest.raises(DamagedPhoto, match="JPEG or fax"):
        taken(bytes(data), accept=True)


def test_the_lightness_of_what_is_whole_is_that_of_the_photo() -> None:
    whole = tiff(RGB16[..., 1], photometric="minisblack")
    photo = taken(whole[: len(whole) // 2], accept=True)
    off = lightness(photo.grey[:79]) - lightness(RGB16[:79, :, 1])
    assert np.abs(off).max() < 0.01


WEBP: dict[str, dict[str, Any]] = {
    "lossy": {"quality": 90},
    "lossless": {"lossless": True},
    "lossy with alpha": {"quality": 90, "alpha": True},
    "lossless with metadata": {"lossless": True, "xmp": b"<x/>", "alpha": True},
}


def webp(alpha: bool = False, **options: Any) -> bytes:  # noqa: ANN401
    image = small("RGBA" if alpha else "RGB", SIZE)
    if alpha:
        image.putalpha(100)
    return encoded(image, "WEBP", exact=True, **options)


@pytest.mark.parametrize("kind", WEBP)
@pytest.mark.parametrize("part", [0.3, 0.5, 0.75, 0.97])
def test_a_webp_that_is_cut_short_is_had_up_to_there(kind: str, part: float) -> None:
    whole = webp(**WEBP[kind])
    data = whole[: int(len(whole) * part)]
    with Image.open(io.BytesIO(whole)) as image:
        expected = np.asarray(image.convert("RGB"))
    with pytest.raises(DamagedPhoto, match=r"WebP file is damaged: about \d+%.*damaged=accept"):
        taken(data)
    photo = taken(data, accept=True)
    assert photo.colours is not None
    rows = round((1 - photo.missing) * 160)
    assert np.array_equal(photo.colours[:rows], expected[:rows])
    assert (photo.colours[rows:] == 128).all()
    assert part - 0.3 < rows / 160 < part + 0.15  # bytes are not spread evenly over rows
    if photo.alpha is not None:
        assert (photo.alpha[:rows] == 100).all()
        assert (photo.alpha[rows:] == 255).all()


def test_a_webp_that_claims_to_lack_much_costs_little() -> None:
    image = Image.new("RGB", (1_000, 1_000), (90, 90, 90))
    whole = encoded(image, "WEBP")
    size = struct.pack("<I", 16 * 10**6)
    content = whole[20 : len(whole) * 2 // 3]
    tracemalloc.start()
    try:
        with pytest.raises(DamagedPhoto):
            taken(b"RIFF" + size + b"WEBPVP8 " + size + content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * 10**6


@pytest.mark.parametrize("kind", WEBP)
@pytest.mark.parametrize("size", [0, 100, 10**6, 2**32 - 1])
def test_a_webp_may_say_a_wrong_size_of_itself(kind: str, size: int) -> None:
    data = webp(**WEBP[kind])
    whole = taken(data)
    for changed in (data[:4] + struct.pack("<I", size) + data[8:], data + b"more" * 9):
        photo = taken(changed)
        assert photo.missing == 0
        assert np.array_equal(photo.colours, whole.colours)  # type: ignore[arg-type]


def test_the_first_picture_of_an_animation_that_is_cut_is_taken() -> None:
    first, second = small("RGB", SIZE), small("RGB", SIZE).rotate(90)
    data = encoded(first, "WEBP", save_all=True, append_images=[second], lossless=True)
    photo = taken(data[: len(data) * 3 // 4])
    assert photo.missing == 0
    assert np.array_equal(photo.colours, RGB8)  # type: ignore[arg-type]


def test_nothing_is_made_of_a_webp_that_has_no_pixels_left() -> None:
    for size in (30, 60, 200):
        with pytest.raises(DamagedPhoto, match="damaged or incomplete"):
            taken(webp(lossless=True)[:size], accept=True)


def test_a_small_webp_that_says_it_has_gigabytes_costs_nothing() -> None:
    data = webp(quality=90)
    data = data[:16] + struct.pack("<I", 2**31) + data[20:]
    tracemalloc.start()
    try:
        with pytest.raises(DamagedPhoto, match="damaged or incomplete"):
            taken(data, accept=True)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
