"""TIFFs of floating-point numbers, written by tifffile and by libtiff."""

import io
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from skimage.color import rgb2lab

from chromaserve.color.lab import srgb_to_L
from chromaserve.errors import UnsupportedSamples
from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect
from chromaserve.photos.icc import grey_profile, srgb_profile
from chromaserve.photos.photo import Photo
from tests.photos.test_profiles import L_of, decoded_L, with_gamma
from tests.sample_photos import small

RGB = np.asarray(small("RGB", (240, 160))) / 255
GREY = RGB[..., 1]


def tiff(array: NDArray[Any], **options: Any) -> bytes:  # noqa: ANN401
    buffer = io.BytesIO()
    kind = "rgb" if array.ndim == 3 else "minisblack"
    tifffile.imwrite(buffer, array, **{"photometric": kind, **options})
    return buffer.getvalue()


def taken(data: bytes) -> Photo:
    header = inspect(data, max_pixels=10**6, max_side=10**4)
    return decode(data, header, keep_colours=True)


STORED: dict[str, dict[str, Any]] = {
    "plain": {},
    "big endian": {"byteorder": ">"},
    "deflate": {"compression": "deflate", "rowsperstrip": 32},
    "tiles": {"compression": "deflate", "tile": (48, 64)},
    "planes": {"planarconfig": "separate", "compression": "deflate"},
}


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("stored", STORED)
def test_numbers_from_0_to_1_are_read(stored: str, kind: type) -> None:
    values: NDArray[Any] = RGB.astype(kind)
    options = STORED[stored]
    array = np.moveaxis(values, 2, 0) if stored == "planes" else values
    photo = taken(tiff(array, **options))
    assert photo.dtype == np.uint16
    assert photo.colours is not None
    expected = np.floor(values.astype(np.float64) * 65535 + 0.5)
    assert np.abs(photo.colours - expected).max() <= 1


@pytest.mark.parametrize("predictor", [1, 2, 3])
@pytest.mark.parametrize("compression", [5, 8, 32773], ids=["LZW", "deflate", "PackBits"])
def test_what_libtiff_writes_is_read(compression: int, predictor: int) -> None:
    values = RGB.astype(np.float32)
    flags = [cv2.IMWRITE_TIFF_COMPRESSION, compression, cv2.IMWRITE_TIFF_PREDICTOR, predictor]
    data = cv2.imencode(".tif", values[..., ::-1].copy(), flags)[1].tobytes()
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        assert (page.compression, page.dtype) == (compression, np.dtype(np.float32))
    photo = taken(data)
    assert photo.colours is not None
    assert np.abs(photo.colours / 65535 - values).max() < 1e-5


def test_without_a_profile_numbers_are_srgb() -> None:
    photo = taken(tiff(RGB.astype(np.float32)))
    expected = rgb2lab(RGB)[..., 0]
    assert np.abs(srgb_to_L(photo.grey) - expected).max() < 0.1


def test_a_profile_counts() -> None:
    linear = GREY.astype(np.float32) ** 2.2
    data = tiff(linear, iccprofile=with_gamma(grey_profile(), 1.0))
    assert np.abs(decoded_L(data) - L_of(linear)).max() < 0.02
    colours = tiff(np.dstack([linear] * 3), iccprofile=with_gamma(srgb_profile(), 1.0))
    assert np.abs(decoded_L(colours) - L_of(linear)).max() < 0.05


def test_white_may_be_zero_and_alpha_a_channel() -> None:
    photo = taken(tiff(GREY.astype(np.float32), photometric="miniswhite"))
    assert np.abs(photo.grey / 65535 - (1 - GREY)).max() < 1e-4
    alpha = np.full_like(GREY, 0.25)
    array = np.dstack([RGB, alpha]).astype(np.float32)
    photo = taken(tiff(array, extrasamples=["unassalpha"]))
    assert photo.alpha is not None
    assert set(np.unique(photo.alpha)) == {16384}


def test_a_channel_that_is_no_colour_may_have_any_values() -> None:
    array = np.dstack([RGB, 1000 * GREY]).astype(np.float32)
    photo = taken(tiff(array, extrasamples=["unspecified"]))
    assert photo.alpha is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1.5, "such as 1.5"),
        (255, "such as 255"),
        (-0.2, "such as -0.2"),
        (1e300, r"such as 1e\+300"),
        (np.nan, "no numbers"),
        (np.inf, "infinite"),
        (-np.inf, "infinite"),
    ],
)
def test_values_that_mean_nothing_are_refused_with_the_reason(value: float, words: str) -> None:
    values = np.where(GREY > 0.99, 0.5, GREY)
    values[0, 0], values[150, 7] = 0, value
    with pytest.raises(UnsupportedSamples, match=words):
        taken(tiff(values))


def test_what_sharpening_leaves_beyond_is_clipped() -> None:
    values = GREY.astype(np.float32) * 1.01 - 0.005
    photo = taken(tiff(values))
    assert np.abs(photo.grey / 65535 - np.clip(values, 0, 1)).max() < 1e-4


def test_what_is_missing_is_grey() -> None:
    data = tiff(GREY.astype(np.float32))
    data = data[: len(data) * 3 // 4]
    header = inspect(data, max_pixels=10**6, max_side=10**4)
    photo = decode(data, header, accept_damage=True)
    assert photo.missing == pytest.approx(0.25, abs=0.01)
    assert set(np.unique(photo.grey[121:])) == {32768}


def test_kinds_of_samples_are_not_mixed() -> None:
    data = tiff(RGB.astype(np.float32))
    at = data.index(b"\x53\x01\x03\0\x03\0\0\0")
    place = int.from_bytes(data[at + 8 : at + 12], "little")
    data = data[:place] + b"\1\0" + data[place + 2 :]
    with pytest.raises(UnsupportedSamples, match="several kinds"):
        taken(data)
