"""Measuring photos: several settings in one pass, baselines, skin, mirroring."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from chromaserve.store.contract import GuidedFilter
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore
from training.evaluate import Plan, evaluate
from training.perceptual import Perceptual
from training.saved_model import Network, load_network, mirrored

COLOUR = Path(__file__).parents[2] / "samples" / "colour"
PLAN = Plan((0.0,), GuidedFilter(radius=8, eps=1e-3), "none", mean_ab=(4.0, 8.0))
Float = NDArray[np.float32]
Image8 = NDArray[np.uint8]


def constant(a: float, b: float) -> Network:
    return Network(lambda L, _: np.full((*L.shape[:3], 2), (a, b), np.float32))


def test_several_settings_in_one_pass_measure_as_one_by_one() -> None:
    network = load_network(ModelStore(BUNDLED_ROOT).resolve("latest").path)
    photos = [(COLOUR / "cat.jpg", "animals"), (COLOUR / "astronaut.jpg", "people")]
    plan = replace(PLAN, postprocess="guided")
    together = list(evaluate(network, photos, replace(plan, vividness=(0.25, 1.0))))
    assert [list(photo.outcomes) for photo in together] == [[0.25, 1.0]] * 2
    for v in (0.25, 1.0):
        alone = evaluate(network, photos, replace(plan, vividness=(v,)))
        for one, other in zip(together, alone, strict=True):
            assert one.outcomes[v].result == other.outcomes[v].result
            assert np.array_equal(one.outcomes[v].output, other.outcomes[v].output)
    measures = [outcome.result.measures for x in together for outcome in x.outcomes.values()]
    assert measures[0]["psnr"] != measures[1]["psnr"]
    assert measures[0]["psnr_grey"] == measures[1]["psnr_grey"]


def test_baselines_are_those_of_an_independent_library() -> None:
    path = COLOUR / "astronaut.jpg"
    (photo,) = evaluate(constant(4, 8), [(path, "people")], PLAN)
    found = photo.outcomes[0.0].result
    truth = np.asarray(PIL.Image.open(path).convert("RGB"))
    ab = rgb2lab(truth)[..., 1:]
    distance = np.linalg.norm(ab, axis=-1)
    assert found.measures["ab_error_grey"] == pytest.approx(distance.mean(), abs=0.05)
    expected = np.linalg.norm(ab - [4, 8], axis=-1).mean()
    assert found.measures["ab_error_mean_colour"] == pytest.approx(expected, abs=0.05)
    psnr_grey = peak_signal_noise_ratio(truth, photo.outcomes[0.0].grey)  # type: ignore[no-untyped-call]
    assert found.measures["psnr_grey"] == pytest.approx(psnr_grey, abs=0.01)
    grey = photo.outcomes[0.0].grey
    similarity = structural_similarity(truth, grey, channel_axis=-1)  # type: ignore[no-untyped-call]
    assert found.measures["ssim_grey"] == pytest.approx(similarity, abs=1e-9)
    # A model that answers the mean colour is measured as that baseline is.
    for name in ("psnr", "ab_error", "hue_error", "colourfulness", "accuracy", "skin_ab_error"):
        assert found.measures[name] == pytest.approx(found.measures[f"{name}_mean_colour"])
    assert found.measures["skin_hue_error_grey"] == pytest.approx(90)
    assert found.measures["skin_chroma_ratio_grey"] == 0


def test_skin_is_looked_for_in_photos_of_people_that_show_enough() -> None:
    photos = [(COLOUR / "astronaut.jpg", "people"), (COLOUR / "astronaut.jpg", "animals"),
              (COLOUR / "raccoon.jpg", "people")]  # fmt: skip
    found = [x.outcomes[0.0].result.measures for x in evaluate(constant(0, 0), photos, PLAN)]
    assert ["skin_ab_error" in measures for measures in found] == [True, False, False]


def test_nearest_photo_and_lpips_stand_beside_the_model() -> None:
    def distances(truth: Image8, pictures: list[Image8]) -> list[float]:
        return [float(np.abs(p.astype(float) - truth).mean()) for p in pictures]

    plan = replace(
        PLAN,
        vividness=(0.0, 1.0),
        nearest=lambda L: np.full((*L.shape[:2], 2), (5, 6), np.float32),
        perceptual=Perceptual("lpips", distances),
    )
    photos = [(COLOUR / "astronaut.jpg", "people")]
    (photo,) = evaluate(constant(5, 6), photos, plan)
    measures = photo.outcomes[1.0].result.measures
    # The neighbour's colours are measured as the same colours from the model are.
    for name in ("psnr", "ab_error", "hue_error", "colourfulness", "accuracy", "lpips"):
        assert measures[name] == pytest.approx(measures[f"{name}_nearest"])
    truth, grey = photo.outcomes[1.0].truth, photo.outcomes[1.0].grey
    assert measures["lpips_grey"] == distances(truth, [grey])[0]
    assert measures["lpips_grey"] != measures["lpips"]
    assert photo.deviations is None


def test_deviations_are_measured_where_the_network_tells_them() -> None:
    def spread(L: Float) -> tuple[Float, Float]:
        return np.zeros((*L.shape[:3], 2), np.float32), np.full(L.shape, 3, np.float32)

    network = replace(constant(0, 0), spread=spread)
    path = COLOUR / "astronaut.jpg"
    (photo,) = evaluate(network, [(path, "")], PLAN)
    assert photo.deviations is not None
    np.testing.assert_allclose(photo.deviations.expected, 9, rtol=1e-5)
    ab = rgb2lab(np.asarray(PIL.Image.open(path).convert("RGB")))[..., 1:]
    mean = ab.reshape(1, -1, 2).mean(axis=1)
    # The mean square exceeds the square of the mean.
    assert photo.deviations.observed.mean() > (mean**2).sum()
    assert photo.deviations.observed.mean() < (ab**2).sum(-1).mean()


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
