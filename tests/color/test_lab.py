"""Lab conversion against scikit-image's, an implementation of its own."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data
from skimage.color import rgb2lab

from chromaserve.color import lab
from chromaserve.color.lab import lab_to_srgb, srgb_to_L, srgb_to_lab

# Measured 4e-5 in L and 0.0047 in ab (scikit-image's white point is 7e-5 off its matrix's).
L_BOUND, AB_BOUND = 1e-4, 0.006

DEPTHS = pytest.mark.parametrize("dtype", [np.uint8, np.uint16])


def every_grey(dtype: type) -> NDArray[np.uint8]:
    return np.arange(np.iinfo(dtype).max + 1).astype(dtype).reshape(16, -1)


def as_rgb(grey: NDArray[Any]) -> NDArray[Any]:
    return np.repeat(grey[..., np.newaxis], 3, axis=2)


def dense_grid(dtype: type) -> NDArray[np.uint8]:
    steps = np.unique([*range(0, 256, 5), 1, 2, 3, 4, 253, 254, 255]).astype(np.int64)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, steps.size, 3)
    return (grid * (np.iinfo(dtype).max // 255)).astype(dtype)


@DEPTHS
def test_agrees_with_scikit_image_over_a_grid_of_colours(dtype: type) -> None:
    rgb = dense_grid(dtype)
    expected = rgb2lab(rgb)
    L, ab = srgb_to_lab(rgb)
    assert L.dtype == ab.dtype == np.float32
    assert np.abs(L - expected[..., 0]).max() <= L_BOUND
    assert np.abs(ab - expected[..., 1:]).max() <= AB_BOUND
    assert np.abs(srgb_to_L(rgb) - expected[..., 0]).max() <= L_BOUND


@DEPTHS
def test_every_grey_is_neutral_and_has_scikit_images_lightness(dtype: type) -> None:
    grey = every_grey(dtype)
    expected = rgb2lab(as_rgb(grey))[..., 0]
    L, ab = srgb_to_lab(as_rgb(grey))
    assert np.abs(ab).max() <= 0.001
    for found in (L, srgb_to_L(grey), srgb_to_L(as_rgb(grey))):
        assert np.abs(found - expected).max() <= L_BOUND
        assert found.min() == 0
        assert found.max() == 100


@DEPTHS
def test_greys_come_back_exactly(dtype: type) -> None:
    grey = every_grey(dtype)
    L = srgb_to_L(grey)
    back = lab_to_srgb(L, np.zeros((*L.shape, 2), np.float32), dtype)
    np.testing.assert_array_equal(back, as_rgb(grey))


@DEPTHS
def test_no_chroma_is_grey_at_any_lightness(dtype: type) -> None:
    L = np.linspace(0, 100, 100_003, dtype=np.float32).reshape(1, -1)
    rgb = lab_to_srgb(L, np.zeros((*L.shape, 2), np.float32), dtype)
    assert rgb.dtype == dtype
    np.testing.assert_array_equal(rgb, as_rgb(rgb[..., 1]))


@DEPTHS
def test_colours_come_back_through_lab(dtype: type) -> None:
    rgb = dense_grid(dtype)
    back = lab_to_srgb(*srgb_to_lab(rgb), dtype).astype(int)
    # 16 bits: float32's resolution of L and ab at the steepest place.
    assert np.abs(back - rgb).max() <= (0 if dtype == np.uint8 else 3)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
def test_photos_come_back_through_lab(name: str) -> None:
    photo = getattr(data, name)()
    np.testing.assert_array_equal(lab_to_srgb(*srgb_to_lab(photo)), photo)


@DEPTHS
def test_result_does_not_depend_on_how_the_work_is_divided(
    dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    L = rng.uniform(0, 100, (397, 251)).astype(np.float32)
    ab = rng.uniform(-60, 60, (397, 251, 2)).astype(np.float32)
    whole = lab_to_srgb(L, ab, dtype)
    monkeypatch.setattr(lab, "_BLOCK", 1024)
    np.testing.assert_array_equal(lab_to_srgb(L, ab, dtype), whole)
    np.testing.assert_array_equal(lab_to_srgb(L[100:200], ab[100:200], dtype), whole[100:200])


def test_views_of_larger_arrays_are_read_in_place() -> None:
    photo: NDArray[np.uint8] = getattr(data, "chelsea")()  # noqa: B009 - it is untyped
    view = photo[10:200:3, 300:20:-2]
    L, ab = srgb_to_lab(view)
    expected_L, expected_ab = srgb_to_lab(view.copy())
    np.testing.assert_array_equal(L, expected_L)
    np.testing.assert_array_equal(ab, expected_ab)
    np.testing.assert_array_equal(lab_to_srgb(L[::-1], ab[::-1]), view[::-1])
    np.testing.assert_array_equal(
        srgb_to_L(photo[::2, ::-1, 0]), srgb_to_L(photo[..., 0])[::2, ::-1]
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_tiny_photos(shape: tuple[int, int]) -> None:
    rgb = np.full((*shape, 3), (200, 100, 50), np.uint8)
    L, ab = srgb_to_lab(rgb)
    assert L.shape == srgb_to_L(rgb).shape == shape
    np.testing.assert_array_equal(lab_to_srgb(L, ab), rgb)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 3), np.int16),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
    ],
)
def test_other_images_are_refused(image: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="expected"):
        srgb_to_lab(image)
    with pytest.raises(ValueError, match="expected"):
        srgb_to_L(image)


def test_colour_conversion_refuses_grey() -> None:
    with pytest.raises(ValueError, match=r"\[H, W, 3\]"):
        srgb_to_lab(np.zeros((4, 4), np.uint8))


def test_recombination_refuses_what_does_not_fit_together() -> None:
    L, ab = np.zeros((4, 5), np.float32), np.zeros((4, 5, 2), np.float32)
    with pytest.raises(ValueError, match="must be"):
        lab_to_srgb(L, ab[:3])
    with pytest.raises(ValueError, match="float32"):
        lab_to_srgb(L, ab.astype(np.float64))
    with pytest.raises(ValueError, match="uint8 or uint16"):
        lab_to_srgb(L, ab, np.float32)
    with pytest.raises(ValueError, match="finite"):
        lab_to_srgb(L, np.full_like(ab, np.nan))
