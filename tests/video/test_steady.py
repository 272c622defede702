"""Colours over time: steady where the picture is, quick where it changes."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from chromaserve.video import SteadyColours
from tests.sample_photos import load

Float = NDArray[np.float32]
SIZE = 224


def picture(name: str) -> Float:
    """Lightness of a photo, float32 [300, 300] in [0, 100]; larger than a frame, to move over."""
    grey = load(name)
    grey = grey if grey.ndim == 2 else grey[..., 1]
    return np.asarray(cv2.resize(grey, (300, 300), interpolation=cv2.INTER_AREA), np.float32) / 2.55


def window(plane: Float, x: int, y: int = 0) -> Float:
    return np.ascontiguousarray(plane[y : y + SIZE, x : x + SIZE])


def wavering(colour: Float, count: int) -> list[Float]:
    """A chroma plane that is off by some 2 Lab units in each frame, otherwise in each place."""
    rng = np.random.default_rng(0)
    offs = [rng.normal(0, 2, (8, 8, 2)).astype(np.float32) for _ in range(count)]
    return [
        colour + np.asarray(cv2.resize(off, colour.shape[1::-1], interpolation=cv2.INTER_CUBIC))
        for off in offs
    ]


def change(frames: list[Float]) -> float:
    """Mean step of chroma from frame to frame, in Lab units, once it has settled."""
    steps = [np.hypot(*np.moveaxis(b - a, 2, 0)).mean() for a, b in pairwise(frames[5:])]
    return float(np.mean(steps))


def flat(a: float, b: float, size: int = SIZE) -> Float:
    return np.full((size, size, 2), (a, b), np.float32)


def test_a_still_picture_keeps_its_colours() -> None:
    L, seen = window(picture("coffee.png"), 0), wavering(flat(10, 20), 20)
    changes = {}
    for smoothing in (0.0, 0.5, 0.9):
        steady = SteadyColours(smoothing)
        changes[smoothing] = change([steady(L, ab) for ab in seen])
    assert changes[0.5] < 0.6 * changes[0]
    assert changes[0.9] < 0.2 * changes[0]


def test_without_smoothing_nothing_is_touched() -> None:
    L = window(picture("coffee.png"), 0)
    steady = SteadyColours(0)
    assert all(steady(L, ab) is ab for ab in wavering(flat(10, 20), 3))


def test_colours_travel_with_what_moves() -> None:
    """A pan by three pixels a frame: steady along the motion, and not smeared."""
    whole = picture("coffee.png")
    y, x = np.mgrid[0:300, 0:300].astype(np.float32)
    own = np.stack([30 * np.sin(x / 25), 30 * np.cos(y / 25)], axis=2)
    wavers = wavering(flat(0, 0), 20)
    inner = slice(20, -20)

    def off(smoothing: float) -> tuple[float, float]:
        steady = SteadyColours(smoothing)
        errors = []
        for t, waver in enumerate(wavers):
            made = steady(window(whole, 3 * t), window(own, 3 * t) + waver)
            errors.append((made - window(own, 3 * t))[inner, inner])
        along = [b[:, :-3] - a[:, 3:] for a, b in pairwise(errors[5:])]
        return float(np.abs(along).mean()), float(np.abs(errors[5:]).mean())

    (step, error), (steady_step, steady_error) = off(0), off(0.9)
    assert steady_step < 0.4 * step
    assert steady_error < error


def test_a_cut_starts_anew() -> None:
    steady = SteadyColours(1)
    first, second = window(picture("coffee.png"), 0), window(picture("moon.png"), 0)
    for _ in range(3):
        steady(first, flat(30, 30))
    assert np.array_equal(steady(second, flat(-20, 5)), flat(-20, 5))


def test_what_something_passes_over_has_its_own_colours_again() -> None:
    ground, thing = window(picture("moon.png"), 0), window(picture("coffee.png"), 40)
    steady = SteadyColours(0.9)
    for t in range(20):
        L, ab = ground.copy(), flat(0, -20)
        x = 8 * t
        L[80:140, x : x + 50] = thing[80:140, 80 : 80 + L[80:140, x : x + 50].shape[1]]
        ab[80:140, x : x + 50] = (30, 30)
        made = steady(L, ab)
    behind = made[85:135, x - 30 : x - 2]  # uncovered in the last four frames
    ghost = np.hypot(*np.moveaxis(behind - (0, -20), 2, 0))
    assert ghost.mean() < 5  # of the 58 that the two colours are apart
    on_it = np.hypot(*np.moveaxis(made[85:135, x + 5 : x + 45] - (30, 30), 2, 0))
    assert on_it.mean() < 5


@pytest.mark.parametrize("smoothing", [-0.1, 1.1, float("nan")])
def test_smoothing_outside_its_range(smoothing: float) -> None:
    with pytest.raises(Exception, match="smoothing"):
        SteadyColours(smoothing)
