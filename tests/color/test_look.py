"""How the network looks at faded prints and at frames with nothing in them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from chromaserve.color.lab import srgb_to_L
from chromaserve.color.look import network_look, substance
from tests.sample_photos import load

Float = NDArray[np.float32]


def faded(dark: int, light: int) -> Float:
    """The lightness of a photo whose codes were squeezed to a range, as old prints fade."""
    grey = load("camera.png").astype(np.float32)
    return srgb_to_L(np.rint(dark + grey * (light - dark) / 255).astype(np.uint8))


def test_a_photo_that_is_not_faded_is_seen_as_it_is() -> None:
    L = faded(0, 255)
    assert network_look(L) is L


@pytest.mark.parametrize("codes", [(70, 190), (100, 180)])
def test_a_faded_print_is_seen_nearly_as_the_photo_that_it_was(codes: tuple[int, int]) -> None:
    L, whole = faded(*codes), faded(0, 255)
    seen = network_look(L)
    assert 0 <= seen.min() < seen.max() <= 100
    assert np.abs(seen - whole).mean() < np.abs(L - whole).mean() / 3


def test_one_end_that_is_missing_is_no_fading() -> None:
    fog = np.float32(50) + faded(0, 255) / np.float32(2)
    assert network_look(fog) is fog


@pytest.mark.parametrize("value", [0, 40, 80, 100])
def test_a_flat_frame_stays_grey(value: float) -> None:
    noise = np.random.default_rng(1).normal(0, 0.3, (224, 224))
    flat = np.clip(value + noise, 0, 100).astype(np.float32)
    assert network_look(flat) is flat
    assert substance(flat) == 0
    assert substance(faded(0, 255)) == 1
    assert substance(faded(100, 180)) == 1
