"""Ways of post-processing compared on photos."""

import re
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from chromaserve import Colorizer
from chromaserve.color.lab import lab_to_srgb, srgb_to_lab
from chromaserve.color.postprocess import enlarge_ab
from chromaserve.store.contract import NETWORK_SIZE, GuidedFilter, Postprocess
from training.postprocess import compare_methods, crops_picture, markdown_table

pytestmark = pytest.mark.slow

Image = NDArray[np.uint8]
PHOTOS = sorted((Path(__file__).parents[2] / "samples" / "colour").glob("*.jpg"))[:5]
METHODS = get_args(Postprocess)


class Blurred(Colorizer):
    """Knows each photo's colours, but for what is finer than 28 x 28."""

    def __init__(self) -> None:
        pass

    def colorize(  # type: ignore[override]
        self,
        photo: Image,
        *,
        vividness: float,
        postprocess: Postprocess = "none",
    ) -> Image:
        assert vividness == 0.5
        L, ab = srgb_to_lab(photo)
        small = cv2.resize(ab, (28, 28), interpolation=cv2.INTER_AREA)
        answer = np.asarray(cv2.resize(small, (NETWORK_SIZE, NETWORK_SIZE)), np.float32)
        own = enlarge_ab(answer, L, method=postprocess, guided=GuidedFilter(radius=8, eps=1e-3))
        return np.asarray(lab_to_srgb(L, own), np.uint8)


def test_figures_and_picture_of_every_method() -> None:
    compared = list(compare_methods(Blurred(), PHOTOS, 0.5))
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
