"""Proposals: distinct colourings by modes that hold over a region, for distributions made up."""

import numpy as np
from numpy.typing import NDArray

from chromaserve.color.proposals import MAX_PROPOSALS, SIDE, proposed, with_proposal

Float = NDArray[np.float32]

STEPS = np.arange(-60, 61, 10, dtype=np.float32)
BINS = np.stack(np.meshgrid(STEPS, STEPS), -1).reshape(-1, 2)
GREEN, BROWN, BLUE, GREY = (-30, 30), (20, 30), (0, -40), (0, 0)
Colour = tuple[int, int]


def likely(*colours: tuple[Colour, float]) -> Float:
    """Logits [Q] of a distribution around colours, each with its share."""
    p = np.full(len(BINS), 1e-9)
    for colour, share in colours:
        near = np.exp(-np.square(BINS - colour).sum(1) / 50)
        p += share * near / near.sum()
    return np.asarray(np.log(p) / 0.4, np.float32)  # proposals flatten what they are given


def two_regions() -> Float:
    """Above, blue for certain or nearly; below, green or else brown."""
    logits = np.empty((2 * SIDE, 2 * SIDE, len(BINS)), np.float32)
    logits[:SIDE] = likely((BLUE, 0.97), (GREY, 0.03))
    logits[SIDE:] = likely((GREEN, 0.6), (BROWN, 0.4))
    return logits + np.random.default_rng(0).normal(0, 0.05, logits.shape).astype(np.float32)


def test_modes_hold_over_a_region_and_the_sure_region_stays() -> None:
    first, second = proposed(two_regions(), BINS)[:2]
    mean = 0.6 * np.array(GREEN) + 0.4 * np.array(BROWN)
    below = np.s_[SIDE // 2 + 6 :]
    got = sorted((each[below].mean((0, 1)) + mean).tolist() for each in (first, second))
    np.testing.assert_allclose(got, [GREEN, BROWN], atol=3, err_msg="one green, one brown")
    for each in (first, second):
        assert each[below].std((0, 1)).max() < 2, "the same over the region"
        assert np.abs(each[: SIDE // 2 - 6]).max() < 4, "blue stays blue"


def test_proposals_are_distinct_and_the_same_each_time() -> None:
    found = proposed(two_regions(), BINS)
    assert found.shape == (MAX_PROPOSALS - 1, SIDE, SIDE, 2)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, proposed(two_regions(), BINS))
    for n, one in enumerate(found):
        assert all(np.abs(one - other).max() > 1 for other in found[:n])


def test_where_every_colour_is_sure_nothing_is_added() -> None:
    logits = np.broadcast_to(likely((BLUE, 1.0)) * 20, (SIDE, SIDE, len(BINS)))
    found = proposed(np.ascontiguousarray(logits), BINS)
    assert np.isfinite(found).all()
    assert np.abs(found).max() < 1


def test_what_is_added_is_enlarged_to_the_answers_size() -> None:
    ab = np.full((224, 224, 2), 3, np.float32)
    assert with_proposal(ab, np.ones((SIDE, SIDE, 2), np.float32)).tolist() == (ab + 1).tolist()
