"""Ways of post-processing compared on photos, from one pass of a model."""

import re
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.color.lab import srgb_to_lab
from chromaserve.store.contract import NETWORK_SIZE, GuidedFilter, Postprocess
from training.data import read_photo
from training.postprocess import compare_methods, crops_picture, markdown_table

Float = NDArray[np.float32]
PHOTOS = sorted((Path(__file__).parents[2] / "samples" / "colour").glob("*.jpg"))[:3]
METHODS = get_args(Postprocess)


class Blurred:
    """A model that knows each photo's colours, at 28 x 28, and counts how often it is asked."""

    def __init__(self) -> None:
        self.answers = 0

    def __call__(self, L: Float, vividness: float) -> Float:
        assert L.shape == (1, NETWORK_SIZE, NETWORK_SIZE, 1)
        assert vividness == 0.5
        ab = srgb_to_lab(read_photo(PHOTOS[self.answers]))[1]
        self.answers += 1
        small = cv2.resize(ab, (28, 28), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (NETWORK_SIZE, NETWORK_SIZE)), np.float32)[np.newaxis]


def test_figures_and_picture_of_every_method() -> None:
    model = Blurred()
    guided = GuidedFilter(radius=8, eps=1e-3)
    compared = list(compare_methods(model, PHOTOS, guided, 0.5))
    assert model.answers == len(PHOTOS)
    assert [c.file for c in compared] == [p.name for p in PHOTOS]
    for each in compared:
        assert set(each.methods) == set(METHODS)
        assert min(m.gain for m in each.methods.values()) > 0
        grey, *coloured, truth = each.crop
        side = len(truth)
        assert {crop.shape for crop in each.crop} == {(side, side, 3)}
        assert np.ptp(grey.astype(int), axis=-1).max() <= 1
        assert len(coloured) == len(METHODS)
    rows = [re.split(r" *\| *", line)[1:-1] for line in markdown_table(compared).splitlines()[2:]]
    assert [row[0] for row in rows] == [f"`{method}`" for method in METHODS]
    gains = {row[0].strip("`"): float(row[1]) for row in rows}
    for row in rows:
        method, difference = row[0].strip("`"), row[2]
        mean, low, high = map(float, re.findall(r"[+-][\d.]+", difference))
        assert low <= mean <= high
        assert abs(mean - (gains[method] - gains["guided"])) < 0.0016  # three digits each
    picture = crops_picture(compared, rows=2, side=60)
    assert picture.dtype == np.uint8
    assert picture.shape == (28 + 2 * 64, 6 * 64, 3)
