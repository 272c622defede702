"""Matching with a reference: what looks alike gets its colours, and nothing else does."""

import numpy as np
import pytest
from numpy.typing import NDArray

from chromaserve.color.reference import Match, Seen, described, matched, weight, with_reference

Floats = NDArray[np.float32]
CHANNELS = 64


def scene(seed: int) -> tuple[Seen, Floats]:
    """A made-up scene: features and lightness that tell places apart, and colours of them."""
    rng = np.random.default_rng(seed)

    def positive(*shape: int) -> Floats:
        return np.maximum(rng.standard_normal(shape), 0).astype(np.float32)

    coarse = positive(14, 14, CHANNELS)
    fine = positive(28, 28, CHANNELS)
    L = rng.uniform(20, 80, (28, 28)).astype(np.float32)
    colours = rng.uniform(-40, 40, (28, 28, 2)).astype(np.float32)
    # Four parts of each place, alike.
    return Seen(fine, coarse, doubled(L)), doubled(colours)


def doubled(plane: Floats) -> Floats:
    return np.repeat(np.repeat(plane, 2, 0), 2, 1)


def moved(seen: Seen, colours: Floats, places: int) -> tuple[Seen, Floats]:
    """The scene as a camera has it that was turned by so many places of the coarse grid."""
    return (
        Seen(
            np.roll(seen.fine, 2 * places, 1),
            np.roll(seen.coarse, places, 1),
            np.roll(seen.L, 4 * places, 1),
        ),
        np.roll(colours, 4 * places, 1),
    )


def test_places_get_the_colours_of_the_same_places_elsewhere() -> None:
    seen, colours = scene(1)
    match = matched(seen, *moved(seen, colours, 3))
    # At the seams of the roll the coarse scale is of two places.
    inner = (slice(8, 48), slice(8, 36))
    apart = np.abs(match.ab - colours)[inner]
    assert np.median(apart) < 2
    assert weight(match)[4:24, 4:18].mean() > 0.8


def test_the_share_of_the_reference_is_its_weight() -> None:
    """By evidence that is the same everywhere: between the network's answer and its colours."""
    seen, colours = scene(1)
    sure = matched(seen, seen, np.full_like(colours, 20))
    own = np.zeros((224, 224, 2), np.float32)
    share = weight(sure)
    everywhere = np.broadcast_to(sure.evidence[14, 14], sure.evidence.shape)
    even = Match(sure.ab, everywhere.copy(), sure.whole)
    np.testing.assert_allclose(
        with_reference(own, even), np.full_like(own, 20 * share[14, 14]), atol=0.01
    )


@pytest.mark.parametrize("flat", ["features", "lightness", "colours"])
def test_flat_photos_give_finite_colours(flat: str) -> None:
    seen, colours = scene(1)
    if flat == "features":
        seen = Seen(np.zeros_like(seen.fine), np.zeros_like(seen.coarse), seen.L)
    elif flat == "lightness":
        seen = Seen(seen.fine, seen.coarse, np.full_like(seen.L, 50))
    else:
        colours = np.zeros_like(colours)
    own = np.full((224, 224, 2), 10, np.float32)
    assert np.isfinite(with_reference(own, matched(seen, seen, colours))).all()


@pytest.mark.parametrize("side", [28, 14])
def test_likeness_does_not_hang_on_the_order_of_sums(side: int) -> None:
    """By another number of threads BLAS adds in another order."""
    rng = np.random.default_rng(side)
    here, there = (described(rng.standard_normal((side, side, 512), np.float32)) for _ in range(2))
    alike = here @ there.T
    for _ in range(3):
        order = rng.permutation(512)
        np.testing.assert_array_equal(alike, here[:, order] @ there[:, order].T)
    np.testing.assert_allclose((here * here).sum(1), 1, atol=0.01)
