"""Work in strips: no seams, and the same as on the whole photo at once."""

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from chromaserve.color.lab import lab_to_srgb, srgb_to_grey, srgb_to_L
from chromaserve.color.postprocess import enlarge_ab
from chromaserve.errors import InvalidOptions
from chromaserve.photos.decode import decode
from chromaserve.photos.encode import check_format, encode
from chromaserve.photos.formats import Format
from chromaserve.photos.header import inspect
from chromaserve.photos.photo import Photo
from chromaserve.photos.thumbnail import Thumbnail
from chromaserve.pipeline.recolor import recolor
from chromaserve.store.contract import GuidedFilter, Postprocess, squeeze
from tests.sample_photos import decoded, load, png16

GUIDED = GuidedFilter(radius=8, eps=1e-4)
AB = np.random.default_rng(2).normal(0, 25, (224, 224, 2)).astype(np.float32)
METHODS = pytest.mark.parametrize("method", ["none", "guided", "tv", "crf"])


def photo_of(pixels: NDArray[Any]) -> Photo:
    wide = pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * 257
    data = png16(wide)
    return decode(data, inspect(data, max_pixels=10**7, max_side=10**5))


@METHODS
def test_colours_are_those_of_the_whole_photo_at_once(
    method: Postprocess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chromaserve.photos.photo._STRIP", 5000)
    monkeypatch.setattr("chromaserve.color.recombine._BLOCK", 2000)
    pixels = load("coffee.png").astype(np.uint16) * 257
    photo = photo_of(pixels)
    # The old way: L and ab of the whole photo, then Lab to sRGB.
    L = srgb_to_L(photo.grey)
    whole = lab_to_srgb(L, enlarge_ab(AB, L, method=method, guided=GUIDED), np.uint16)
    strips = dict[int, NDArray[Any]]()
    recolor(photo, AB, method, GUIDED).each(lambda *each: each, lambda each: strips.update([each]))
    assert len(strips) > 10
    # Float32 rounds otherwise: 1/255 is 257 here. Where colours leave the gamut, the search for
    # its surface may end elsewhere within its tolerance.
    difference = np.abs(np.concatenate(list(strips.values())).astype(int) - whole)
    assert np.quantile(difference, 0.999) <= 2
    assert difference.max() <= 128


def test_strips_of_any_height_give_the_same_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = photo_of(load("chelsea.png"))
    found = []
    for strip in (451, 20 * 451, 10**6):
        monkeypatch.setattr("chromaserve.photos.photo._STRIP", strip)
        found.append(recolor(photo, AB, "guided", GUIDED).pixels())
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_grey_of_a_colour_has_its_lightness(dtype: type) -> None:
    rng = np.random.default_rng(5)
    rgb: NDArray[Any] = rng.integers(0, np.iinfo(dtype).max + 1, (200, 300, 3)).astype(dtype)
    rgb[0, :256] = (np.arange(256)[:, np.newaxis] * (np.iinfo(dtype).max // 255)).astype(dtype)
    grey = srgb_to_grey(rgb)
    assert grey.dtype == np.uint16
    # 16 bits' own resolution of L is 0.0017.
    assert np.abs(srgb_to_L(grey) - srgb_to_L(rgb)).max() <= 0.004


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (700, 3), (224, 224), (300, 451), (997, 601)])
def test_a_thumbnail_from_strips_is_that_of_the_whole(shape: tuple[int, int]) -> None:
    plane = np.random.default_rng(1).uniform(0, 100, shape).astype(np.float32)
    thumbnail = Thumbnail(*shape, 224, 224)
    for i in range(0, shape[0], 37):
        thumbnail.put(thumbnail.sums(i, plane[i : i + 37]))
    np.testing.assert_allclose(thumbnail.finish(), squeeze(plane, 224, 224), atol=1e-3)


@pytest.mark.parametrize("late", [False, True], ids=["before the pixels", "after them"])
def test_a_16_bit_png_is_turned_by_its_exif(late: bool) -> None:
    pixels = load("chelsea.png").astype(np.uint16) * 257
    data, exif = png16(pixels), Image.Exif()
    exif[0x0112] = 6
    content = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    length, checksum = len(content) - 4, zlib.crc32(content)
    at = len(data) - 12 if late else data.index(b"IDAT") - 4
    data = data[:at] + struct.pack(">I", length) + content + struct.pack(">I", checksum) + data[at:]
    photo = decode(data, inspect(data, max_pixels=10**7, max_side=10**4))
    np.testing.assert_array_equal(photo.grey, np.rot90(srgb_to_grey(pixels), -1))


def test_16_bits_become_8_in_jpeg() -> None:
    photo = photo_of(load("chelsea.png"))
    out = decoded(encode(recolor(photo, AB * 0, "guided", GUIDED), "jpeg"))
    assert out.dtype == np.uint8
    np.testing.assert_allclose(srgb_to_L(out), srgb_to_L(photo.grey), atol=6)


@pytest.mark.parametrize(("output", "most"), [("jpeg", 65_500), ("webp", 16_383)])
def test_a_side_that_is_too_long_for_a_format_is_told(output: Format, most: int) -> None:
    whole, longer = (photo_of(np.full((1, side), 99, np.uint8)) for side in (most, most + 1))
    check_format(whole, output)
    assert encode(recolor(whole, AB * 0, "none", GUIDED), output)
    with pytest.raises(InvalidOptions, match=f"holds at most {most:,} pixels a side"):
        check_format(longer, output)
