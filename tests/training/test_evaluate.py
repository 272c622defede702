"""Measuring photos: several settings in one pass, baselines, skin, mirroring."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio

from model_store.contract import GuidedFilter
from model_store.store import BUNDLED_ROOT, ModelStore
from training.evaluate import Plan, evaluate
from training.saved_model import Network, load_network, mirrored

COLOUR = Path(__file__).parents[2] / "samples" / "colour"
PLAN = Plan((0.0,), GuidedFilter(radius=8, eps=1e-3), "none", mean_ab=(4.0, 8.0))
Float = NDArray[np.float32]


def constant(a: float, b: float) -> Network:
    return Network(lambda L, _: np.full((*L.shape[:3], 2), (a, b), np.float32))


def test_several_settings_in_one_pass_measure_as_one_by_one() -> None:
    network = load_network(ModelStore(BUNDLED_ROOT).resolve("latest").path)
    photos = [(COLOUR / "cat.jpg", "animals"), (COLOUR / "astronaut.jpg", "people")]
    plan = replace(PLAN, postprocess="guided")
    together = list(evaluate(network, photos, replace(plan, vividness=(0.25, 1.0))))
    assert [list(outcomes) for outcomes in together] == [[0.25, 1.0]] * 2
    for v in (0.25, 1.0):
        alone = evaluate(network, photos, replace(plan, vividness=(v,)))
        for one, other in zip(together, alone, strict=True):
            assert one[v].result == other[v].result
            assert np.array_equal(one[v].output, other[v].output)
    measures = [outcomes[v].result.measures for outcomes in together for v in outcomes]
    assert measures[0]["psnr"] != measures[1]["psnr"]
    assert measures[0]["psnr_grey"] == measures[1]["psnr_grey"]


def test_baselines_are_those_of_an_independent_library() -> None:
    path = COLOUR / "astronaut.jpg"
    (outcomes,) = evaluate(constant(4, 8), [(path, "people")], PLAN)
    found = outcomes[0.0].result
    truth = np.asarray(Image.open(path).convert("RGB"))
    ab = rgb2lab(truth)[..., 1:]
    distance = np.linalg.norm(ab, axis=-1)
    assert found.measures["ab_error_grey"] == pytest.approx(distance.mean(), abs=0.05)
    expected = np.linalg.norm(ab - [4, 8], axis=-1).mean()
    assert found.measures["ab_error_mean_colour"] == pytest.approx(expected, abs=0.05)
    psnr_grey = peak_signal_noise_ratio(truth, outcomes[0.0].grey)  # type: ignore[no-untyped-call]
    assert found.measures["psnr_grey"] == pytest.approx(psnr_grey, abs=0.01)
    # A model that answers the mean colour is measured as that baseline is.
    for name in ("psnr", "ab_error", "hue_error", "colourfulness", "accuracy", "skin_ab_error"):
        assert found.measures[name] == pytest.approx(found.measures[f"{name}_mean_colour"])
    assert found.measures["skin_hue_error_grey"] == pytest.approx(90)
    assert found.measures["skin_chroma_ratio_grey"] == 0


def test_skin_is_looked_for_in_photos_of_people_that_show_enough() -> None:
    photos = [(COLOUR / "astronaut.jpg", "people"), (COLOUR / "astronaut.jpg", "animals"),
              (COLOUR / "raccoon.jpg", "people")]  # fmt: skip
    found = [o[0.0].result.measures for o in evaluate(constant(0, 0), photos, PLAN)]
    assert ["skin_ab_error" in measures for measures in found] == [True, False, False]


def test_mirroring_takes_out_what_differs_between_left_and_right() -> None:
    def predict(L: Float, vividness: float) -> Float:
        # The answer leans to the right, whatever the photo is.
        ramp = np.broadcast_to(np.arange(L.shape[2], dtype=np.float32)[:, None], L.shape)
        return np.concatenate([L + vividness * ramp, L], axis=-1)

    L = np.random.default_rng(2).uniform(0, 100, (2, 4, 6, 1)).astype(np.float32)
    ab = mirrored(predict)(L, 2.0)
    # L goes back where it was; 2 x (the mean of x and 5 - x) = 5.
    np.testing.assert_allclose(ab[..., :1], L + 5, atol=1e-4)
    np.testing.assert_allclose(ab[..., 1:], L, atol=1e-4)
