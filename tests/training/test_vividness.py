"""Vividness: 0 the least error, 1 the truth's colourfulness, evenly in between."""

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from chromaserve.color.lab import lab_to_srgb
from chromaserve.color.vividness import livened
from training.config import Publish
from training.metrics import colourfulness
from training.vividness import (
    TEMPERATURES,
    Answers,
    Ruler,
    blend,
    calibrate_blend,
    calibrate_vividness,
)


@pytest.fixture(scope="module")
def answers() -> Answers:
    """A signal that the heads know and another that they don't; the regression is 0.9 of its best.

    The annealed mean is livelier than the regression, and errs more.
    """
    random = np.random.default_rng(2)

    def smooth(deviation: float) -> NDArray[np.float32]:
        coarse = random.normal(0, deviation, (12, 4, 4, 2)).astype(np.float32)
        return np.asarray(tf.image.resize(coarse, (56, 56), "bicubic"), np.float32)

    known = smooth(15)
    annealed = {t: (1.3 - 0.2 * t) * known + smooth(8) for t in TEMPERATURES}
    L = np.full((12, 56, 56), 60, np.float32)
    return Answers(L, known + smooth(15), np.float32(0.9) * known, annealed)


def ratio(answers: Answers, vividness: float, settings: Publish) -> float:
    v = np.full(len(answers.L), vividness, np.float32)
    annealed = answers.annealed[settings.temperature]
    ab = blend(answers.regression, annealed, tf.constant(v), settings).numpy()

    def mean(chroma: NDArray[np.float32]) -> float:
        photos = [
            lab_to_srgb(L, each)
            for L, each in zip(answers.L, chroma.astype(np.float32), strict=True)
        ]
        return float(np.mean([colourfulness(np.asarray(p, np.uint8)) for p in photos]))

    return mean(ab) / mean(answers.truth)


def test_ends_and_middle_mean_what_they_say(answers: Answers) -> None:
    found = calibrate_vividness(answers, Publish(default_colourfulness=0.9))
    settings = found.settings
    assert ratio(answers, 1.0, settings) == pytest.approx(1.0, abs=0.02)
    ends = [ratio(answers, v, settings) for v in (0.0, 1.0)]
    assert ratio(answers, 0.5, settings) == pytest.approx(np.mean(ends), abs=0.03)
    assert ratio(answers, settings.default_vividness, settings) >= 0.89
    gains = [p.gain for p in found.points]
    assert gains[0] > max(gains) - 0.02  # independent errors of the heads average out a little
    assert np.mean(found.safe_gains) == pytest.approx(gains[0], abs=1e-4)


def test_vividness_0_is_scaled_to_the_least_error(answers: Answers) -> None:
    found = calibrate_vividness(answers, Publish())
    # Of least squares it is 1.11; of the mean of decibels, a little less.
    assert found.settings.safe_scale in (1.05, 1.1)


def test_blend_by_hand() -> None:
    regression = tf.fill([3, 1, 1, 2], 10.0)
    annealed = tf.fill([3, 1, 1, 2], 30.0)
    settings = Publish(shares=(0.0, 0.2, 1.0), safe_scale=0.5, vivid_scale=2.0)
    ab = blend(regression, annealed, tf.constant([0.0, 0.25, 1.0]), settings).numpy()[:, 0, 0, 0]
    # Share 0; 0.1: 0.5^0.9 * 2^0.1 * (0.9 * 10 + 0.1 * 30) = 0.574349 * 12; share 1.
    np.testing.assert_allclose(ab, [5.0, 6.892191, 60.0], rtol=1e-5)


def test_colourfulness_rises_evenly_from_the_regressions_to_the_truths(answers: Answers) -> None:
    settings = calibrate_vividness(answers, Publish()).settings
    found = calibrate_blend(answers, settings)
    ruler = Ruler(answers)
    network = {}
    for v in (0.0, 0.5, 1.0):
        own = np.interp(v, np.linspace(0, 1, len(found.blend.asked)), found.blend.asked)
        vividness = np.full(len(answers.L), own, np.float32)
        annealed = answers.annealed[settings.temperature]
        ab = np.asarray(blend(answers.regression, annealed, vividness, settings), np.float32)
        network[v] = ruler.ratio(np.stack([livened(one, v, found.blend) for one in ab]))
    assert network[1.0] == pytest.approx(1, abs=0.02)
    assert network[0.5] == pytest.approx((network[0.0] + 1) / 2, abs=0.03)
    reached = network[0.0] + found.default_vividness * (1 - network[0.0])
    assert settings.default_colourfulness - 0.01 <= reached <= settings.default_colourfulness + 0.06
