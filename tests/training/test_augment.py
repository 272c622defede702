"""Augmented copies: other crops and other L, with the colours that the photo has there."""

from pathlib import Path

import numpy as np
import pytest
from skimage.color import rgb2lab
from skimage.io import imread

from training.augment import augment, crop_window, fade
from training.config import Augment
from training.features import prepare

PHOTO = Path(__file__).parents[2] / "samples" / "colour" / "picos-de-europa.jpg"
AGED = Augment(min_area=0.4, chance=1.0)


def test_copy_0_is_the_photo_as_it_is() -> None:
    L, ab = prepare(PHOTO, 0, AGED)
    lab = rgb2lab(imread(PHOTO))
    assert L.mean() == pytest.approx(lab[..., 0].mean(), abs=0.2)
    np.testing.assert_allclose(ab.mean(axis=(0, 1)), lab[..., 1:].mean(axis=(0, 1)), atol=0.2)


def test_copies_differ_and_come_back_the_same() -> None:
    copies = [prepare(PHOTO, n, AGED) for n in (1, 2, 1)]
    np.testing.assert_array_equal(copies[0][0], copies[2][0])
    np.testing.assert_array_equal(copies[0][1], copies[2][1])
    assert np.abs(copies[0][0] - copies[1][0]).mean() > 1


def test_without_changes_an_odd_copy_is_the_mirror_image() -> None:
    L, ab = prepare(PHOTO, 0, Augment())
    mirrored_L, mirrored_ab = prepare(PHOTO, 1, Augment())
    np.testing.assert_allclose(mirrored_L[:, ::-1], L, atol=1e-4)
    np.testing.assert_allclose(mirrored_ab[:, ::-1], ab, atol=1e-4)


def test_colours_stay_with_their_pixels() -> None:
    rows, columns = np.mgrid[0:90, 0:120].astype(np.float32)
    ab = np.stack([rows, columns], -1)
    L = np.full((90, 120), 50, np.float32)
    aged, cut = augment(L, ab, AGED, np.random.default_rng(5))
    assert cut.shape[:2] == aged.shape
    # Every pixel still says where it came from: a window, without holes or repeats.
    np.testing.assert_array_equal(np.diff(cut[..., 0], axis=0), 1)
    np.testing.assert_array_equal(np.diff(cut[..., 1], axis=1), 1)
    assert aged.min() >= 0
    assert aged.max() <= 100
    assert aged.std() > 0.5  # grain, on what was flat


def test_crops_keep_their_share_of_the_area() -> None:
    random = np.random.default_rng(1)
    shares = []
    for _ in range(300):
        rows, columns = crop_window((200, 300), Augment(min_area=0.4), random)
        assert 0 <= rows.start < rows.stop <= 200
        assert 0 <= columns.start < columns.stop <= 300
        shares.append((rows.stop - rows.start) * (columns.stop - columns.start) / 60_000)
    assert min(shares) > 0.33  # a side that would leave the photo is cut
    assert max(shares) > 0.9


def test_fading_keeps_the_order_of_tones() -> None:
    ramp = np.linspace(0, 100, 101, dtype=np.float32)[None]
    for seed in range(20):
        faded = fade(ramp, AGED, np.random.default_rng(seed))
        assert (np.diff(faded[0]) > 0).all()
        assert faded[0, 0] >= 0
        assert faded[0, -1] <= 100.001
