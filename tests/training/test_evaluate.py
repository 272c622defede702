"""Measuring photos: several settings in one pass, baselines, skin."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from chromaserve import Colorizer
from chromaserve.color.lab import lab_to_srgb, srgb_to_L
from chromaserve.store.contract import GuidedFilter
from training.evaluate import Photo, Plan, evaluate

COLOUR = Path(__file__).parents[2] / "samples" / "colour"
PLAN = Plan((0.0,), mean_ab=(4.0, 8.0), guided=GuidedFilter(radius=8, eps=1e-3))
Float = NDArray[np.float32]
Image8 = NDArray[np.uint8]


class Constant(Colorizer):
    """Answers one colour whatever the photo is."""

    def __init__(self, a: float, b: float) -> None:
        self._ab = (a, b)

    def colorize(self, photo: Image8, **_: object) -> Image8:  # type: ignore[override]
        L = srgb_to_L(photo)
        ab = np.full((*L.shape, 2), self._ab, np.float32)
        return np.asarray(lab_to_srgb(L, ab), np.uint8)


@pytest.fixture(scope="module")
def colorizer() -> Iterator[Colorizer]:
    with Colorizer(threads=1) as made:
        yield made


@pytest.mark.slow
def test_several_settings_in_one_pass_measure_as_one_by_one(colorizer: Colorizer) -> None:
    photos = [
        Photo.of_file(COLOUR, COLOUR / "cat.jpg"),
        Photo.of_file(COLOUR, COLOUR / "astronaut.jpg", "people"),
    ]
    together = list(evaluate(colorizer, photos, replace(PLAN, vividness=(0.25, 1.0))))
    assert [list(outcomes) for outcomes in together] == [[0.25, 1.0]] * 2
    for v in (0.25, 1.0):
        alone = evaluate(colorizer, photos, replace(PLAN, vividness=(v,)))
        for one, other in zip(together, alone, strict=True):
            assert one[v].result == other[v].result
            assert np.array_equal(one[v].output, other[v].output)
    measures = [outcome.result.measures for x in together for outcome in x.values()]
    assert measures[0]["psnr"] != measures[1]["psnr"]
    assert measures[0]["psnr_grey"] == measures[1]["psnr_grey"]


def test_baselines_are_those_of_an_independent_library() -> None:
    path = COLOUR / "astronaut.jpg"
    (photo,) = evaluate(Constant(4, 8), [Photo.of_file(path.parent, path, "people")], PLAN)
    found = photo[0.0].result
    truth = np.asarray(PIL.Image.open(path).convert("RGB"))
    ab = rgb2lab(truth)[..., 1:]
    distance = np.linalg.norm(ab, axis=-1)
    assert found.measures["ab_error_grey"] == pytest.approx(distance.mean(), abs=0.05)
    expected = np.linalg.norm(ab - rgb2lab(photo[0.0].output)[..., 1:], axis=-1).mean()
    assert found.measures["ab_error_mean_colour"] == pytest.approx(expected, abs=0.05)
    psnr_grey = peak_signal_noise_ratio(truth, photo[0.0].grey)
    assert found.measures["psnr_grey"] == pytest.approx(psnr_grey, abs=0.01)
    grey = photo[0.0].grey
    similarity = structural_similarity(truth, grey, channel_axis=-1)
    assert found.measures["ssim_grey"] == pytest.approx(similarity, abs=1e-9)
    # A model that answers the mean colour is measured as that baseline is.
    for name in ("psnr", "ab_error", "hue_error", "colourfulness", "accuracy", "skin_ab_error"):
        assert found.measures[name] == pytest.approx(found.measures[f"{name}_mean_colour"])
    assert found.measures["skin_hue_error_grey"] == pytest.approx(90)
    assert found.measures["skin_chroma_ratio_grey"] == 0


def test_skin_is_looked_for_in_photos_of_people_that_show_enough() -> None:
    names = (("astronaut", "people"), ("astronaut", "animals"), ("raccoon", "people"))
    photos = [Photo.of_file(COLOUR, COLOUR / f"{name}.jpg", kind) for name, kind in names]
    found = [x[0.0].result.measures for x in evaluate(Constant(0, 0), photos, PLAN)]
    assert ["skin_ab_error" in measures for measures in found] == [True, False, False]


def test_photos_of_one_name_stay_apart_and_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        shutil.copy(COLOUR / "cat.jpg", tmp_path / folder / "photo.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    files = [tmp_path / name for name in ("one/photo.jpg", "broken.jpg", "two/photo.jpg")]
    found = evaluate(Constant(0, 0), [Photo.of_file(tmp_path, file) for file in files], PLAN)
    assert [each[0.0].result.file for each in found] == ["one/photo.jpg", "two/photo.jpg"]


def test_the_nearest_photo_stands_beside_the_model() -> None:
    plan = replace(
        PLAN,
        vividness=(0.0, 1.0),
        nearest=lambda L: np.full((*L.shape[:2], 2), (5, 6), np.float32),
    )
    photos = [Photo.of_file(COLOUR, COLOUR / "astronaut.jpg", "people")]
    (photo,) = evaluate(Constant(5, 6), photos, plan)
    measures = photo[1.0].result.measures
    # The neighbour's colours are measured as the same colours from the model are.
    for name in ("psnr", "ab_error", "hue_error", "colourfulness", "accuracy"):
        assert measures[name] == pytest.approx(measures[f"{name}_nearest"])
