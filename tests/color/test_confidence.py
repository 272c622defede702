"""Confidence and places for hints, for distributions and photos made up."""

import numpy as np
import pytest
from numpy.typing import NDArray

from chromaserve.color.confidence import confidence_in, expected_error, moments
from chromaserve.color.hint_places import ground, suggested
from chromaserve.color.hint_shapes import Area, Disc
from chromaserve.store.contract import Calibration

Float = NDArray[np.float32]

PLAIN = Calibration(weights=(1, 1, 0, 1e-6), even=15, steepness=2)
BINS = np.array([[-40, 0], [40, 0], [0, 0]], np.float32)


def test_moments_are_those_of_the_distribution() -> None:
    logits = np.log(np.array([[[0.25, 0.25, 0.5], [1e-9, 1, 1e-9]]], np.float32))
    even, sure = moments(logits, BINS)[0]
    np.testing.assert_allclose(even, [0, 0, 0.5 * 40**2], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(sure, [40, 0, 0], atol=1e-3)


def test_the_expected_error_is_that_of_colours_drawn_from_the_distribution() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1, (2, 2, 3)).astype(np.float32)
    ab = rng.normal(0, 20, (2, 2, 2)).astype(np.float32)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    away = np.square(ab[:, :, np.newaxis] - BINS).sum(-1)
    actual = np.sqrt((p * away).sum(-1))
    np.testing.assert_allclose(expected_error(ab, moments(logits, BINS), PLAIN), actual, rtol=1e-4)


def test_confidence_falls_with_the_error_from_one_to_nothing() -> None:
    error = np.array([0, 5, 15, 40, 1e4], np.float32)
    told = confidence_in(error, PLAIN)
    assert told[0] == pytest.approx(1, abs=1e-3)
    assert told[2] == pytest.approx(0.5)
    assert told[-1] == pytest.approx(0, abs=1e-3)
    assert (np.diff(told) < 0).all()


def two_halves() -> tuple[Float, Float, Float]:
    """Dark and pale, with an edge between; the model doubts the pale half, and a speck in it."""
    L = np.full((224, 224), 20, np.float32)
    L[:, 112:] = 80
    error = np.full((56, 56), 5, np.float32)
    error[:, 28:] = 25
    return L, np.zeros((224, 224, 2), np.float32), error


def test_the_first_place_is_where_doubt_is_and_others_lie_apart() -> None:
    L, ab, error = two_halves()
    size = 600, 400
    places = suggested(ground(L, ab, error, size, ()))
    assert len(places) == 3
    assert places[0][0] > 0.5
    pixels = [np.array([x * size[0], y * size[1]]) for x, y in places]
    for i, one in enumerate(pixels):
        assert all(np.hypot(*(one - other)) > 0.1 * 600 for other in pixels[:i])


def test_where_a_hint_is_nobody_is_asked_again() -> None:
    L, ab, error = two_halves()
    before = ground(L, ab, error, (400, 400), ())
    hint = suggested(before)[0]
    known = Disc(400 * hint[0], 400 * hint[1], None, 20, 20)
    after = ground(L, ab, error, (400, 400), [known])
    assert after.squared.sum() < 0.5 * before.squared.sum(), "what it reaches is known now"
    for x, y in suggested(after):
        assert np.hypot(x - hint[0], y - hint[1]) > 0.1
    left = Area([(0, 0), (200, 0), (200, 400), (0, 400)], 20, 20)
    told = suggested(ground(L, ab, error, (400, 400), [left]))
    assert min(x for x, _ in told) >= 0.5, "of a region all is known"


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 2)])
def test_photos_of_any_shape_have_places_inside(size: tuple[int, int]) -> None:
    L, ab, error = two_halves()
    places = suggested(ground(L, ab, error, size, ()))
    assert places
    assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in places)
