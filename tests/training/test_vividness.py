"""Vividness: 0 the least error, 1 the truth's colourfulness, evenly in between."""

import numpy as np
import pytest
import tensorflow as tf

from model_store.lab import lab_to_srgb
from training.colorizer import blend
from training.config import Publish
from training.metrics import colourfulness
from training.vividness import TEMPERATURES, Answers, calibrate_vividness


@pytest.fixture(scope="module")
def answers() -> Answers:
    """Photos whose regression is 1.25 times half the truth, and whose heads disagree with it."""
    random = np.random.default_rng(2)
    coarse = random.normal(0, 25, (12, 4, 4, 2)).astype(np.float32)
    truth = tf.image.resize(coarse, (56, 56), "bicubic").numpy()
    noise = tf.image.resize(random.normal(0, 12, (12, 4, 4, 2)), (56, 56)).numpy()
    L = np.full((12, 56, 56), 60, np.float32)
    annealed = {t: (0.6 + 0.3 * t) * truth + noise for t in TEMPERATURES}
    return Answers(L, truth, np.float32(1.25) * (0.5 * truth + 0.1 * noise), annealed)


def ratio(answers: Answers, vividness: float, settings: Publish) -> float:
    v = np.full(len(answers.L), vividness, np.float32)
    ab = blend(answers.regression, answers.annealed[settings.temperature], v, settings).numpy()

    def mean(chroma: np.ndarray) -> float:  # type: ignore[type-arg]
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
    assert gains[0] == max(gains)
    assert np.mean(found.safe_gains) == pytest.approx(gains[0], abs=1e-4)


def test_vividness_0_is_scaled_to_the_least_error(answers: Answers) -> None:
    # The regression is 0.625 of the truth and noise of no use: it gains by being scaled up.
    found = calibrate_vividness(answers, Publish())
    assert found.settings.safe_scale > 1.0


def test_blend_by_hand() -> None:
    regression = tf.fill([3, 1, 1, 2], 10.0)
    annealed = tf.fill([3, 1, 1, 2], 30.0)
    settings = Publish(shares=(0.0, 0.2, 1.0), safe_scale=0.5, vivid_scale=2.0)
    ab = blend(regression, annealed, tf.constant([0.0, 0.25, 1.0]), settings).numpy()[:, 0, 0, 0]
    # Share 0; 0.1: 0.5^0.9 * 2^0.1 * (0.9 * 10 + 0.1 * 30) = 0.574349 * 12; share 1.
    np.testing.assert_allclose(ab, [5.0, 6.892191, 60.0], rtol=1e-5)
