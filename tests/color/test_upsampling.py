"""Chroma upsampling: colours end where the photo's edges are."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from chromaserve.color.postprocess import enlarge_ab
from chromaserve.color.upsampling import local_model
from chromaserve.store.contract import NETWORK_SIZE, GuidedFilter

Float = NDArray[np.float32]


def guided(ab: Float, L: Float, radius: int = 8) -> Float:
    return enlarge_ab(ab, L, method="guided", guided=GuidedFilter(radius=radius, eps=1e-3))


def bilinear(ab: Float, L: Float) -> Float:
    return cv2.resize(ab, L.shape[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32)


def error(found: Float, truth: Float) -> float:
    return float(np.sqrt(np.mean((found - truth) ** 2)))


def slanted_edge() -> tuple[Float, Float]:
    """L and true ab of a grainy photo of a dark blue and a bright orange half."""
    rows, columns = np.mgrid[0:600, 0:900]
    right = columns > 400 + rows / 5
    noise = np.random.default_rng(4).normal(0, 1.5, right.shape)
    L = np.clip(np.where(right, 70, 30) + noise, 0, 100).astype(np.float32)
    ab = np.where(right[..., np.newaxis], (30, 45), (5, -40)).astype(np.float32)
    return L, ab


@pytest.mark.parametrize("size", [NETWORK_SIZE, 56])
@pytest.mark.parametrize("shift", [0, 4])
def test_blurred_and_misplaced_colour_is_drawn_to_the_edge(size: int, shift: int) -> None:
    L, truth = slanted_edge()
    small = cv2.resize(truth, (size, size), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), 4 * size / NETWORK_SIZE)
    moved = shift * size // NETWORK_SIZE
    ab = np.roll(blurred, moved, axis=1).astype(np.float32)
    ab[:, :moved] = ab[:, moved : moved + 1]
    assert error(guided(ab, L), truth) < 0.8 * error(bilinear(ab, L), truth)


@pytest.mark.parametrize("radius", [0, 1, 8, 40])
def test_constant_colour_stays_constant(radius: int) -> None:
    L, _ = slanted_edge()
    ab = np.full((NETWORK_SIZE, NETWORK_SIZE, 2), (-17.5, 63.25), np.float32)
    np.testing.assert_allclose(
        guided(ab, L, radius), np.full((*L.shape, 2), (-17.5, 63.25)), atol=1e-3
    )


def test_colour_that_has_nothing_to_do_with_lightness_keeps_its_place() -> None:
    rng = np.random.default_rng(6)
    L = rng.uniform(20, 80, (500, 700)).astype(np.float32)
    ramp = np.linspace(-50, 50, NETWORK_SIZE, dtype=np.float32)
    ab = np.stack(np.meshgrid(ramp, ramp), axis=-1)
    # Grain must not show as colour: ramps of 100 units stay within two units.
    inner = (slice(40, -40), slice(40, -40))
    assert np.abs(guided(ab, L) - bilinear(ab, L))[inner].max() < 2


def test_no_radius_means_bilinear() -> None:
    L, truth = slanted_edge()
    ab = cv2.resize(truth, (NETWORK_SIZE, NETWORK_SIZE)).astype(np.float32)
    np.testing.assert_allclose(guided(ab, L, 0), bilinear(ab, L), atol=1e-3)


def test_flat_lightness_gives_a_smooth_enlargement() -> None:
    # Without edges the filter is two box means and a bilinear resize, drawn here by OpenCV alone.
    L = np.full((430, 610), 50, np.float32)
    ab = np.random.default_rng(9).normal(0, 30, (NETWORK_SIZE, NETWORK_SIZE, 2)).astype(np.float32)
    twice = ab
    for _ in range(2):
        twice = cv2.blur(twice, (17, 17), borderType=cv2.BORDER_REFLECT).astype(np.float32)
    np.testing.assert_allclose(guided(ab, L), bilinear(twice, L), atol=1e-2)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3), (100, 500), (224, 224)])
@pytest.mark.parametrize("size", [1, 56, NETWORK_SIZE])
@pytest.mark.parametrize("radius", [0, 8])
def test_every_size_of_photo_and_chroma(shape: tuple[int, int], size: int, radius: int) -> None:
    L = np.random.default_rng(0).uniform(0, 100, shape).astype(np.float32)
    ab = np.full((size, size, 2), (10, -20), np.float32)
    found = guided(ab, L, radius)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.full((*shape, 2), (10, -20)), atol=1e-3)


def test_what_does_not_fit_is_refused() -> None:
    L, ab = np.zeros((20, 30), np.float32), np.zeros((8, 8, 2), np.float32)
    with pytest.raises(ValueError, match="ab must be"):
        guided(ab[..., 0], L)
    with pytest.raises(ValueError, match="L must be"):
        guided(ab, L[..., np.newaxis])
    with pytest.raises(ValueError, match="radius"):
        local_model(ab, L, radius=-1, eps=1e-3)
    with pytest.raises(ValueError, match="eps"):
        local_model(ab, L, radius=4, eps=0)
