"""PNGs made in strips, read back by decoders that know nothing of the writer."""

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from chromaserve.photos.photo import Striped
from chromaserve.photos.png import PngLevel, _adler32_joined, png
from tests.sample_photos import decoded, load


def samples(channels: int, dtype: type, rows: int = 300, columns: int = 451) -> NDArray[Any]:
    """A photo, wide samples with noise in the low byte, the last channel its own."""
    photo = load("chelsea.png").astype(np.int64)[:rows, :columns]
    photo = np.dstack([photo, photo[..., :1] // 2])[..., :channels]
    if dtype == np.uint16:
        photo = photo * 257 ^ np.random.default_rng(0).integers(0, 256, photo.shape)
    return photo.astype(dtype)


def made(pixels: NDArray[Any], level: PngLevel = "fast") -> bytes:
    return png(Striped(pixels.shape, pixels.dtype.type, lambda i, j: pixels[i:j]), level)


def stream(data: bytes) -> bytes:
    """What the IDAT chunks hold, one after the other."""
    at, found = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        found += data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    return found


@pytest.mark.parametrize("level", ["fast", "small"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("strip", [10**6, 1], ids=["one strip", "many"])
def test_pixels_come_back(
    channels: int, dtype: type, level: PngLevel, strip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chromaserve.photos.photo._STRIP", strip)
    pixels = samples(channels, dtype)
    data = made(pixels, level)
    back = decoded(data)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, pixels)
    with Image.open(io.BytesIO(data)) as image:
        image.verify()  # every chunk's checksum
    if dtype == np.uint8:
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)
    # One zlib stream, whose end says that nothing is missing: readers differ in how they mind.
    inflater = zlib.decompressobj()
    filtered = inflater.decompress(stream(data))
    assert len(filtered) == len(pixels) + pixels.nbytes
    assert inflater.eof
    assert not inflater.unused_data


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3)])
def test_small_pictures(shape: tuple[int, int]) -> None:
    pixels = samples(3, np.uint8, *shape)
    np.testing.assert_array_equal(decoded(made(pixels)), pixels)


def test_the_same_pixels_give_the_same_bytes() -> None:
    pixels = samples(3, np.uint8)
    assert made(pixels) == made(pixels.copy())


@pytest.mark.slow
@pytest.mark.parametrize("level", ["fast", "small"])
@pytest.mark.parametrize("size", [(1800, 1200), (20_000, 100)])
def test_strips_cost_next_to_nothing(
    level: PngLevel, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = cv2.resize(load("coffee.png"), size, interpolation=cv2.INTER_CUBIC).astype(int)
    grain = np.random.default_rng(0).normal(0, 3, photo.shape)
    pixels = np.clip(photo + grain, 0, 255).astype(np.uint8)
    several = len(made(pixels, level))
    monkeypatch.setattr("chromaserve.photos.photo._STRIP", pixels.size)
    assert several <= 1.01 * len(made(pixels, level))


def test_checksums_are_joined() -> None:
    data = np.random.default_rng(0).integers(0, 256, 300_000).astype(np.uint8).tobytes()
    for i in (0, 1, 65_521, 299_999, 300_000):
        first, second = zlib.adler32(data[:i]), zlib.adler32(data[i:])
        assert _adler32_joined(first, second, len(data) - i) == zlib.adler32(data)


def test_files_are_smaller_than_opencvs_and_small_is_smallest() -> None:
    pixels = load("chelsea.png")
    opencv = len(cv2.imencode(".png", pixels)[1])
    assert len(made(pixels, "small")) < len(made(pixels)) < opencv
