"""Skin by its colour, against the patches of a colour chart."""

import numpy as np
import pytest

from training.skin import skin_measures, skin_pixels


def test_skin_is_told_from_other_colours_of_the_chart() -> None:
    # X-Rite ColorChecker in sRGB: dark skin, light skin | blue sky, foliage, blue, green, yellow,
    # purple, neutral 5, white.
    chart = [[115, 82, 68], [194, 150, 130],
             [98, 122, 157], [87, 108, 67], [56, 61, 150], [70, 148, 73], [231, 199, 31],
             [94, 60, 108], [122, 122, 121], [243, 243, 242]]  # fmt: skip
    assert skin_pixels(np.array([chart], np.uint8)).tolist() == [[True, True] + [False] * 8]


def test_measures_are_those_of_the_marked_pixels() -> None:
    truth = np.array([[[10, 0], [0, 20], [50, 50]]], np.float32)
    ab = np.array([[[0, 10], [0, 10], [-90, 0]]], np.float32)
    measures = skin_measures(ab, truth, np.array([[True, True, False]]))
    assert measures["skin_ab_error"] == pytest.approx((np.sqrt(200) + 10) / 2)
    assert measures["skin_hue_error"] == pytest.approx(90 * 10 / 30, abs=1e-4)
    assert measures["skin_chroma_ratio"] == pytest.approx(20 / 30)
