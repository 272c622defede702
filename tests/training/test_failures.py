"""The measures of the known failures, on images made so that the answer is known."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr

from training.intervals import rank_correlation, told
from training.thesis.curves import parting
from training.thesis.failures import (
    blobs,
    brown_share,
    gradient,
    hue_entropy,
    region_sums,
    smooth_sky,
)
from training.thesis.measures import failure_figures
from training.thesis.photo import PhotoMeasures, measure_photo

SIDE = 56


def flat(a: float, b: float) -> NDArray[np.float32]:
    return np.tile(np.array([a, b], np.float32), (SIDE, SIDE, 1))


def test_relative_error_is_one_for_grey_and_nothing_for_the_truth() -> None:
    L, truth = np.full((SIDE, SIDE), 60, np.float32), flat(12, -9)
    grey = measure_photo("a", "people", "val", L, flat(0, 0), truth)
    assert grey.relative_error == pytest.approx(1)
    assert grey.loss == grey.loss_grey
    assert measure_photo("a", "people", "val", L, truth, truth).relative_error == 0


def test_a_regions_error_and_chroma_are_sums_over_its_pixels() -> None:
    where = np.zeros((SIDE, SIDE), bool)
    where[:2, :5] = True
    sums = region_sums(flat(6, 8), flat(12, 16), where)
    assert sums == pytest.approx((100, 100, 200))


def test_hue_entropy_counts_hues_by_their_chroma() -> None:
    assert hue_entropy(flat(20, 5)) == 0
    halves = flat(20, 5)
    halves[:, : SIDE // 2] = (-20, -5)
    assert hue_entropy(halves) == pytest.approx(1)
    grey_half = halves.copy()
    grey_half[:, : SIDE // 2] = 0
    assert hue_entropy(grey_half) == 0


def test_brown_is_orange_to_yellow() -> None:
    assert brown_share(flat(15, 25)) == 1
    assert brown_share(flat(15, -25)) == 0


def test_blobs_are_patches_that_the_truth_lacks() -> None:
    truth = flat(2, 3)
    assert blobs(truth, truth) == 0
    patchy = truth.copy()
    patchy[20:24, 30:34] += (30, 0)
    assert blobs(patchy, truth) == pytest.approx(16 / SIDE**2)
    assert blobs(patchy, patchy) == 0
    # A whole photo of a wrong colour is an error, but no blob.
    assert blobs(flat(40, 3), truth) == 0


def test_gradient_of_a_ramp_is_its_slope() -> None:
    ramp = np.zeros((SIDE, SIDE, 2), np.float32)
    ramp[..., 1] = 0.5 * np.arange(SIDE)
    np.testing.assert_allclose(gradient(ramp), 0.5, atol=1e-5)


def test_sky_is_blue_bright_smooth_and_above() -> None:
    L = np.full((SIDE, SIDE), 70, np.float32)
    L[:, 40:] += 10 * np.random.default_rng(0).random((SIDE, 16), np.float32)
    sky = smooth_sky(L, flat(-3, -20))
    assert sky[:28, :39].all()
    assert not sky[28:].any()
    assert sky[:, 41:].mean() < 0.1
    assert not smooth_sky(L, flat(5, 20)).any()


def person(factor: float, strength: float = 1.0, file: str = "a") -> PhotoMeasures:
    """A photo with skin above and blue below; the answer is its ab times a factor."""
    L, ab = np.full((SIDE, SIDE), 65, np.float32), flat(16, 20)
    ab[30:] = (0, -20 * strength)
    answer = np.asarray(ab * factor, np.float32)
    return measure_photo(file, "people", "val", L, answer, ab)


def test_skin_is_measured_on_people_only() -> None:
    figures = failure_figures([person(0.5)])
    for name in ("skin_error", "skin_chroma", "rest_error", "rest_chroma"):
        assert figures[name][0] == pytest.approx(0.5, abs=0.01)
    L, ab = np.full((SIDE, SIDE), 65, np.float32), flat(16, 20)
    animal = measure_photo("a", "animals", "val", L, ab, ab)
    assert np.isnan(animal.skin_error)
    assert np.isnan(failure_figures([animal])["skin_error"][0])


def test_error_of_clothes_is_pooled_over_chroma() -> None:
    # Hardly any chroma to be right about: by itself a relative error of 2.
    vivid, faint = person(0.5), person(-1.0, strength=0.01)
    assert failure_figures([faint])["rest_error"][0] == pytest.approx(2, abs=0.01)
    pooled = failure_figures([vivid, faint])["rest_error"][0]
    assert pooled == pytest.approx((0.5 * 20 + 2 * 0.2) / 20.2, abs=0.01)


def test_fewer_than_five_photos_have_no_interval() -> None:
    few = failure_figures([person(0.5), person(0.7)])["rest_error"]
    assert told(few) == "0.40"
    value, low, high = failure_figures([person(0.1 * i) for i in range(6)])["rest_error"]
    assert low < value < high
    assert told((value, low, high)).startswith("0.75 [")
    assert told(failure_figures([person(0.5)])["scenery_error"]) == "–"


def test_rank_correlation_agrees_with_scipy() -> None:
    x, y = np.random.default_rng(1).random((2, 80))
    assert rank_correlation(x, x + y) == pytest.approx(spearmanr(x, x + y).statistic)
    assert np.isnan(rank_correlation(x[:2], y[:2]))


def test_losses_part_where_their_ratio_leaves_its_lowest_for_good() -> None:
    train = [10.0, 8, 7, 6, 5, 4, 3]
    # Closest at epoch 3 (ratio 1), at 4 apart by 3% only, from 5 on apart by 10% and more.
    assert parting(train, [20.0, 10, 7, 6.2, 5.5, 5.4, 5.4]) == 5
    assert parting(train, train) is None
    # Apart for one epoch, then close again: not parted.
    assert parting(train, [10.0, 8, 7, 9, 5, 4, 3]) is None
    # A validation split that is easier doesn't count as parted before it is above training.
    assert parting(train, [5.0, 4, 3.6, 3.2, 2.8, 2.4, 2]) is None
