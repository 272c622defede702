"""Losses and measures against values worked out by hand or by another library."""

import numpy as np
import pytest
import tensorflow as tf
from skimage import metrics

from training.losses import (
    ab_bins,
    annealed_mean,
    distribution_loss,
    log_mean_squared_error,
    mean_squared_error,
    rebalancing_weights,
    soft_bins,
)
from training.metrics import ab_error, accuracy, colourfulness, gain_db, psnr


def test_bins_are_a_grid_of_ten_that_covers_srgb() -> None:
    bins = ab_bins()
    assert np.all(bins % 10 == 0)
    assert len(np.unique(bins, axis=0)) == len(bins)
    assert [0, 0] in bins.tolist()
    # a and b of pure red, green and blue (published Lab values of sRGB's primaries).
    for primary in ((80.1, 67.2), (-86.2, 83.2), (79.2, -107.9)):
        assert np.hypot(*(bins - primary).T).min() <= 10 / np.sqrt(2)


def test_soft_bins_of_a_bin_centre_peak_there_and_sum_to_one() -> None:
    bins = ab_bins()
    q = soft_bins(tf.constant([[20.0, -10.0], [0.0, 0.0]]), tf.constant(bins)).numpy()
    np.testing.assert_allclose(q.sum(-1), 1, rtol=1e-5)
    assert bins[q[0].argmax()].tolist() == [20, -10]
    # Neighbours at distance 10 with sigma 5 weigh exp(-2) of the centre.
    neighbour = bins.tolist().index([30, -10])
    assert q[0, neighbour] / q[0].max() == pytest.approx(np.exp(-2), rel=1e-4)


def test_annealed_mean_goes_from_mean_to_mode() -> None:
    bins = tf.constant([[0.0, 0.0], [40.0, 20.0]])
    logits = tf.math.log(tf.constant([[[[0.25, 0.75]]]]))
    mean = annealed_mean(logits, bins, tf.constant([1.0])).numpy()
    np.testing.assert_allclose(mean[0, 0, 0], [30, 15], rtol=1e-5)
    mode = annealed_mean(logits, bins, tf.constant([0.01])).numpy()
    np.testing.assert_allclose(mode[0, 0, 0], [40, 20], rtol=1e-4)


def test_rebalancing_weights_leave_the_mean_pixel_at_one_and_favour_the_rare() -> None:
    prior = np.array([0.9, 0.09, 0.01], np.float32)
    weights = rebalancing_weights(prior, 0.5)
    assert (prior * weights).sum() == pytest.approx(1, rel=1e-5)
    assert weights[0] < weights[1] < weights[2]
    np.testing.assert_allclose(rebalancing_weights(prior, 1.0), 1, rtol=1e-5)


def test_squared_errors_by_hand() -> None:
    ab = tf.constant([[[[12.8, 0.0]]], [[[0.0, 25.6]]]])
    zero = tf.zeros_like(ab)
    assert float(mean_squared_error(zero, ab)) == pytest.approx((0.01 + 0.04) / 4, rel=1e-5)
    expected = np.mean([np.log(12.8**2 / 2 + 25), np.log(25.6**2 / 2 + 25)])
    assert float(log_mean_squared_error(zero, ab, 5.0)) == pytest.approx(expected, rel=1e-5)


def test_distribution_loss_is_least_at_the_target_and_scales_with_weights() -> None:
    bins = tf.constant(ab_bins())
    ab = tf.constant([[[[20.0, -10.0]]]])
    ones = tf.ones([len(bins)])
    best = tf.math.log(soft_bins(ab, bins) + 1e-12)
    least = float(distribution_loss(best, ab, bins, ones))
    assert float(distribution_loss(tf.zeros_like(best), ab, bins, ones)) > least
    assert float(distribution_loss(best, ab, bins, 3 * ones)) == pytest.approx(3 * least, rel=1e-5)


def test_psnr_agrees_with_scikit_image() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 256, (40, 30, 3), np.uint8)
    image = np.clip(truth + random.normal(0, 9, truth.shape), 0, 255).astype(np.uint8)
    reference = metrics.peak_signal_noise_ratio(truth, image)
    assert psnr(image, truth) == pytest.approx(reference, abs=1e-3)


def test_colourfulness_of_grey_is_zero_and_of_two_halves_is_the_papers() -> None:
    assert colourfulness(np.full((4, 4, 3), 90, np.uint8)) == 0
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, :, 0] = 100  # rg: 100, 0; yb: 50, 0
    expected = np.hypot(50, 25) + 0.3 * np.hypot(50, 25)
    assert colourfulness(image) == pytest.approx(expected, rel=1e-5)


def test_gain_and_ab_error_by_hand() -> None:
    ab = np.full((1, 2, 2, 2), 10, np.float32)
    assert gain_db(ab[0] * 0.5, ab[0]) == pytest.approx(20 * np.log10(2), abs=1e-3)
    assert ab_error(ab[0] * 0, ab[0]) == pytest.approx(np.sqrt(200), rel=1e-5)


def test_accuracy_is_keras_accuracy() -> None:
    import keras

    random = np.random.default_rng(0)
    predicted, ab = random.normal(0, 20, (2, 8, 8, 2)).astype(np.float32)
    ab[..., 1] += 10
    reference = keras.metrics.CategoricalAccuracy()
    reference.update_state(ab, predicted)
    assert accuracy(predicted, ab) == pytest.approx(float(reference.result()), abs=1e-6)
