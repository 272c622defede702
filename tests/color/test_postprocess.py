"""From the network's chroma to the photo's size: every method, and the two solvers behind them."""

from typing import get_args

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve
from skimage.restoration import denoise_tv_chambolle

from chromaserve.color.postprocess import Postprocess, enlarge_ab
from chromaserve.color.random_field import spread_colour
from chromaserve.color.total_variation import denoise_tv, edge_weights
from chromaserve.color.upsampling import apply_model, local_model
from chromaserve.store.contract import NETWORK_SIZE, GuidedFilter, network_input

Float = NDArray[np.float32]
METHODS: tuple[Postprocess, ...] = get_args(Postprocess)
AWARE = [method for method in METHODS if method != "none"]
GUIDED = GuidedFilter(radius=8, eps=1e-3)


def enlarge(ab: Float, L: Float, method: Postprocess) -> Float:
    return enlarge_ab(ab, L, method=method, guided=GUIDED)


def rms(x: Float) -> float:
    return float(np.sqrt(np.mean(x**2)))


def two_regions(rows: int = 480, columns: int = 640) -> tuple[Float, Float, Float]:
    """L of a grainy photo of a dark blue and a bright orange part, its true ab, and ab blurred.

    Blurred as a network's is that sees 56 x 56 colours.
    """
    y, x = np.mgrid[0:rows, 0:columns]
    right = x > columns * 0.45 + y / 5
    noise = np.random.default_rng(4).normal(0, 1.5, right.shape)
    L = np.clip(np.where(right, 70, 30) + noise, 0, 100).astype(np.float32)
    truth = np.where(right[..., np.newaxis], (30, 45), (5, -40)).astype(np.float32)
    coarse = cv2.resize(truth, (56, 56), interpolation=cv2.INTER_AREA)
    coarse = cv2.GaussianBlur(coarse, (0, 0), 1)
    ab = cv2.resize(coarse, (NETWORK_SIZE, NETWORK_SIZE), interpolation=cv2.INTER_LINEAR)
    return L, truth, np.asarray(ab, np.float32)


@pytest.mark.parametrize("method", AWARE)
def test_colour_stays_inside_an_edge(method: Postprocess) -> None:
    L, truth, ab = two_regions()
    edge = cv2.morphologyEx(truth[..., 0], cv2.MORPH_GRADIENT, np.ones((3, 3)))
    near = cv2.dilate(edge, np.ones((31, 31))) > 0
    assert 0.02 < near.mean() < 0.2
    bleeding = rms((enlarge(ab, L, "none") - truth)[near])
    assert rms((enlarge(ab, L, method) - truth)[near]) < 0.75 * bleeding


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 300), (300, 1), (2, 3), (3, 4000), (100, 500), (224, 224), (700, 500)]
)
def test_constant_colour_is_kept_at_every_size(method: Postprocess, shape: tuple[int, int]) -> None:
    L = np.random.default_rng(0).uniform(0, 100, shape).astype(np.float32)
    ab = np.full((NETWORK_SIZE, NETWORK_SIZE, 2), (-17.5, 63.25), np.float32)
    found = enlarge(ab, L, method)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.full((*shape, 2), (-17.5, 63.25)), atol=2e-3)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_photo_gets_the_same_bytes_and_is_left_alone(method: Postprocess) -> None:
    L, _, ab = two_regions(150, 200)
    ab += np.random.default_rng(1).normal(0, 5, ab.shape).astype(np.float32)
    before = L.copy(), ab.copy()
    first = enlarge(ab, L, method)
    assert enlarge(ab, L, method).tobytes() == first.tobytes()
    # Where an array lies in memory must not matter either.
    elsewhere = np.empty(ab.size + 1, np.float32)[1:].reshape(ab.shape)
    elsewhere[:] = ab
    assert enlarge(elsewhere, L, method).tobytes() == first.tobytes()
    np.testing.assert_array_equal(L, before[0])
    np.testing.assert_array_equal(ab, before[1])


def test_none_is_bilinear_and_guided_is_the_guided_filter() -> None:
    L, _, ab = two_regions()
    bilinear = cv2.resize(ab, L.shape[::-1], interpolation=cv2.INTER_LINEAR)
    # OpenCV's weights are rounded more.
    np.testing.assert_allclose(enlarge(ab, L, "none"), bilinear, atol=1e-3)
    guide = network_input(L)[:, :, 0]
    model = local_model(ab, guide, radius=GUIDED.radius, eps=GUIDED.eps)
    np.testing.assert_array_equal(enlarge(ab, L, "guided"), apply_model(model, L))


@pytest.mark.parametrize("method", METHODS)
def test_another_size_of_chroma(method: Postprocess) -> None:
    L, truth, _ = two_regions()
    ab = np.asarray(cv2.resize(truth, (56, 56), interpolation=cv2.INTER_AREA), np.float32)
    assert rms(enlarge(ab, L, method) - truth) < 12


@pytest.mark.parametrize("method", METHODS)
def test_what_does_not_fit_is_refused(method: Postprocess) -> None:
    L, _, ab = two_regions(60, 80)
    for wrong_ab, wrong_L in ((ab[..., 0], L), (ab, L[..., np.newaxis]), (ab, L[:0])):
        with pytest.raises(ValueError, match="must be float32"):
            enlarge(wrong_ab, wrong_L, method)


def noisy_step() -> Float:
    rng = np.random.default_rng(0)
    plane = np.where(np.add.outer(np.arange(90), np.arange(120)) > 100, 40, -20)
    return (plane + rng.normal(0, 8, plane.shape)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(("weight", "tolerance"), [(2.0, 0.02), (8.0, 0.3)])
@pytest.mark.parametrize("angle", [0, 1.1])
def test_total_variation_is_chambolles(weight: float, tolerance: float, angle: float) -> None:
    # Along one direction of the ab plane, |∇| over both is that of the scalar plane.
    direction = np.array([np.cos(angle), np.sin(angle)], np.float32)
    plane = noisy_step()
    expected = denoise_tv_chambolle(
        plane.astype(np.float64), weight=weight, eps=0, max_num_iter=3000
    )
    found = denoise_tv(plane[..., np.newaxis] * direction, weight)
    np.testing.assert_allclose(found @ direction, expected, atol=tolerance)
    across = found @ np.array([-direction[1], direction[0]])
    np.testing.assert_allclose(across, np.zeros_like(across), atol=1e-3)


def test_total_variation_without_weight_changes_nothing() -> None:
    ab = np.random.default_rng(2).normal(0, 30, (20, 30, 2)).astype(np.float32)
    np.testing.assert_allclose(denoise_tv(ab, 0.0), ab, atol=1e-4)


def test_total_variation_yields_to_edges_of_lightness() -> None:
    # A bar of width k loses 2·weight/k of its height, unless lightness changes with it.
    bar = np.abs(np.arange(60) - 29.5) < 4
    ab = np.zeros((50, 60, 2), np.float32)
    ab[:, bar, 0] = 40
    L = np.where(bar, 70, 30).astype(np.float32) * np.ones((50, 1), np.float32)
    even = denoise_tv(ab, 20.0)[25, bar, 0]
    np.testing.assert_allclose(even, np.full(8, 40 - 2 * 20 / 8), atol=0.3)
    kept = denoise_tv(ab, edge_weights(L, weight=20, contrast=2))[25, bar, 0]
    np.testing.assert_allclose(kept, np.full(8, 40), atol=0.3)


def levins_system(L: Float) -> sparse.csr_array:
    """(I − W)ᵀ(I − W) written from the paper in plain loops, the floor of σ² apart."""
    rows, columns = L.shape
    difference = np.eye(L.size)
    for y in range(rows):
        for x in range(columns):
            window = [
                (i, j)
                for i in range(max(0, y - 1), min(rows, y + 2))
                for j in range(max(0, x - 1), min(columns, x + 2))
            ]
            variance = max(float(np.var([L[at] for at in window])), 2.0)
            others = [at for at in window if at != (y, x)]
            weights = np.array(
                [np.exp(-((float(L[y, x]) - float(L[at])) ** 2) / (2 * variance)) for at in others]
            )
            for (i, j), weight in zip(others, weights / weights.sum(), strict=True):
                difference[y * columns + x, i * columns + j] -= weight
    return sparse.csr_array(difference.T @ difference)


@pytest.mark.parametrize("shape", [(14, 19), (1, 40), (40, 2)])
def test_the_random_field_is_levins(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    L = cv2.GaussianBlur(rng.uniform(0, 100, shape), (0, 0), 1).astype(np.float32).reshape(shape)
    ab = rng.normal(0, 30, (*shape, 2)).astype(np.float32)
    confidence = rng.uniform(0.01, 0.3, shape).astype(np.float32)
    confidence[rng.uniform(size=shape) < 0.05] = 1e4  # colours that a user knows
    confidence[rng.uniform(size=shape) < 0.1] = 0  # and nothing at all
    trust = sparse.diags_array(confidence.ravel().astype(np.float64))
    right = confidence.reshape(-1, 1) * ab.reshape(-1, 2).astype(np.float64)
    expected = spsolve(sparse.csc_array(levins_system(L) + trust), right).reshape(ab.shape)
    np.testing.assert_allclose(spread_colour(ab, L, confidence), expected, atol=0.1)


def test_a_known_colour_spreads_to_its_region_alone() -> None:
    L = np.where(np.arange(40) < 20, 30, 70).astype(np.float32) * np.ones((30, 1), np.float32)
    ab, confidence = np.zeros((30, 40, 2), np.float32), np.full((30, 40), 1e-6, np.float32)
    ab[15, 8], confidence[15, 8] = (50, 20), 1e3
    ab[15, 32], confidence[15, 32] = (-20, 40), 1e3
    found = spread_colour(ab, L, confidence)
    np.testing.assert_allclose(found[15, 8], (50, 20), atol=0.5)
    left, right = found[:, :18].mean(axis=(0, 1)), found[:, 22:].mean(axis=(0, 1))
    assert np.hypot(*(left - (50, 20))) < 20
    assert np.hypot(*(right - (-20, 40))) < 20


def test_a_single_pixel_keeps_its_colour() -> None:
    ab = np.full((1, 1, 2), 7, np.float32)
    np.testing.assert_array_equal(spread_colour(ab, np.full((1, 1), 50, np.float32), 0.1), ab)
