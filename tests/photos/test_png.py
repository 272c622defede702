"""PNGs written in strips, read back by decoders that know nothing of the writer."""

import io
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from chromaserve.photos.png import PngLevel, PngWriter
from tests.sample_photos import decoded, load


def samples(channels: int, dtype: type, rows: int = 300, columns: int = 451) -> NDArray[Any]:
    """A photo, wide samples with noise in the low byte, the last channel its own."""
    photo = load("chelsea.png").astype(np.int64)[:rows, :columns]
    photo = np.dstack([photo, photo[..., :1] // 2])[..., :channels]
    if dtype == np.uint16:
        photo = photo * 257 ^ np.random.default_rng(0).integers(0, 256, photo.shape)
    return photo.astype(dtype)


def written(pixels: NDArray[Any], step: int, level: PngLevel = "fast") -> bytes:
    rows, columns, channels = pixels.shape
    writer = PngWriter(columns, rows, channels, pixels.dtype.type, level)
    for i in range(0, rows, step):
        writer.write(pixels[i : i + step])
    return writer.finish()


@pytest.mark.parametrize("level", ["fast", "small"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_pixels_come_back(channels: int, dtype: type, level: PngLevel) -> None:
    pixels = samples(channels, dtype)
    data = written(pixels, 100, level)
    back = decoded(data)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, pixels)
    with Image.open(io.BytesIO(data)) as image:
        image.verify()  # every chunk's checksum
    if dtype == np.uint8:
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3)])
def test_small_pictures(shape: tuple[int, int]) -> None:
    pixels = samples(3, np.uint8, *shape)
    np.testing.assert_array_equal(decoded(written(pixels, 1)), pixels)


def test_strips_of_any_height_give_the_same_pixels() -> None:
    pixels = samples(4, np.uint8)
    for step in (1, 7, 300):
        np.testing.assert_array_equal(decoded(written(pixels, step)), pixels)


def test_the_same_pixels_give_the_same_bytes() -> None:
    pixels = samples(3, np.uint8)
    assert written(pixels, 64) == written(pixels.copy(), 64)


def test_files_are_smaller_than_opencvs_and_small_is_smallest() -> None:
    pixels = load("chelsea.png")
    opencv = len(cv2.imencode(".png", pixels)[1])
    assert len(written(pixels, 64, "small")) < len(written(pixels, 64)) < opencv


def test_rows_that_are_missing_are_noticed() -> None:
    writer = PngWriter(4, 3, 3, np.uint8)
    writer.write(np.zeros((2, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="1 rows"):
        writer.finish()
