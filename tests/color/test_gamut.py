"""Recombination keeps lightness and hue, whatever chroma it is given."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data
from skimage.color import rgb2lab

from chromaserve.color.lab import lab_to_srgb, srgb_to_L, srgb_to_lab

DEPTHS = pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
# IEC 61966-2-1's primaries to six digits, as scikit-image has them.
RGB_TO_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)


def lightness(image: NDArray[Any]) -> NDArray[np.float64]:
    rgb = image if image.ndim == 3 else np.repeat(image[..., np.newaxis], 3, axis=2)
    return np.asarray(rgb2lab(rgb)[..., 0])


def disc(L: float, radius: float, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    ab = radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)[np.newaxis]
    return np.full((1, count), L, np.float32), ab.astype(np.float32)


def inside(L: float, ab: NDArray[np.float64], slack: float) -> NDArray[np.bool_]:
    fy = (L + 16) / 116
    f = np.stack(
        [fy + ab[..., 0] / 500, np.full(ab.shape[:-1], fy), fy - ab[..., 1] / 200], axis=-1
    )
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * RGB_TO_XYZ.sum(axis=1)
    linear = xyz @ np.linalg.inv(RGB_TO_XYZ).T
    return np.asarray(((linear >= -slack) & (linear <= 1 + slack)).all(axis=-1))


@DEPTHS
@pytest.mark.parametrize("spread", [1, 6, 30, 128])
def test_every_grey_keeps_its_lightness_under_any_chroma(dtype: type, spread: float) -> None:
    levels: NDArray[Any] = np.linspace(0, np.iinfo(dtype).max, 256).round().astype(dtype)
    grey = np.repeat(levels[:, np.newaxis], 1500, axis=1)
    ab = np.random.default_rng(7).uniform(-spread, spread, (*grey.shape, 2)).astype(np.float32)
    difference = np.abs(lightness(lab_to_srgb(srgb_to_L(grey), ab, dtype)) - lightness(grey))
    # Measured: 8 bits 0.08 and 0.26 (rounding alone), 16 bits 0.0003 and 0.001.
    assert difference.mean() <= (0.1 if dtype == np.uint8 else 5e-4)
    assert difference.max() <= (0.3 if dtype == np.uint8 else 2e-3)


@pytest.mark.parametrize("chroma", ["random", "another photo's", "ten times its own"])
def test_photos_keep_their_lightness(chroma: str) -> None:
    rng = np.random.default_rng(3)
    photos = [getattr(data, name)() for name in ("astronaut", "coffee", "chelsea")]
    for photo, other in zip(photos, photos[1:] + photos[:1], strict=True):
        rows, columns = min(len(photo), len(other)), min(photo.shape[1], other.shape[1])
        photo, other = photo[:rows, :columns], other[:rows, :columns]
        L, own = srgb_to_lab(photo)
        ab = {
            "random": rng.uniform(-128, 127, own.shape).astype(np.float32),
            "another photo's": srgb_to_lab(other)[1],
            "ten times its own": 10 * own,
        }[chroma]
        difference = np.abs(lightness(lab_to_srgb(L, ab)) - lightness(photo))
        assert difference.mean() <= 0.1
        assert difference.max() <= 0.3


@pytest.mark.parametrize("L", [3.0, 20.0, 50.0, 80.0, 97.0])
def test_hue_is_kept_and_chroma_never_raised(L: float) -> None:
    lightness_in, ab = disc(L, 120, 720)
    found = rgb2lab(lab_to_srgb(lightness_in, ab, np.uint16))[..., 1:]
    chroma = np.hypot(*np.moveaxis(found, -1, 0))
    across = found[..., 0] * ab[..., 1] - found[..., 1] * ab[..., 0]
    along = (found * ab).sum(axis=-1)
    # Distance from the ray of the hue asked for, in Lab units: rounding and the white point.
    assert np.abs(across / 120).max() <= 0.02
    assert along.min() > 0
    assert chroma.max() < 120


@pytest.mark.slow
@pytest.mark.parametrize("L", [1.0, 5.0, 20.0, 32.3, 50.0, 75.0, 90.0, 99.0])
def test_no_more_chroma_is_given_up_than_needed(L: float) -> None:
    lightness_in, ab = disc(L, 128, 360)
    found = rgb2lab(lab_to_srgb(lightness_in, ab, np.uint16))[..., 1:]
    kept = np.hypot(found[..., 0], found[..., 1]) / 128
    # Independent: the largest of 2,001 scales inside a gamut a little smaller and a little larger.
    scales = np.linspace(0, 1, 2001)[:, np.newaxis, np.newaxis]
    smaller, larger = (
        np.where(inside(L, scales * ab.astype(np.float64), slack), scales[..., 0], 0).max(axis=0)
        for slack in (-1e-4, 1e-4)
    )
    assert (kept[0] >= smaller - 0.001).all()
    assert (kept[0] <= larger + 0.001).all()


def test_colours_inside_the_gamut_are_left_alone() -> None:
    rgb = np.random.default_rng(5).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    np.testing.assert_array_equal(lab_to_srgb(*srgb_to_lab(rgb)), rgb)


@DEPTHS
def test_black_and_white_stay_black_and_white(dtype: type) -> None:
    ab = np.random.default_rng(2).uniform(-128, 127, (50, 50, 2)).astype(np.float32)
    for L, code in ((0, 0), (100, np.iinfo(dtype).max)):
        rgb = lab_to_srgb(np.full((50, 50), L, np.float32), ab, dtype)
        assert (rgb == code).all()


def test_absurd_chroma_is_as_safe_as_any() -> None:
    L = np.linspace(0, 100, 400, dtype=np.float32).reshape(20, 20)
    for ab in (1e4, -1e4, 1e6):
        rgb = lab_to_srgb(L, np.full((20, 20, 2), ab, np.float32))
        assert np.abs(lightness(rgb) - L).max() <= 0.5
