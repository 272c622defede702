"""How hints spread over a photo: distances, shares, what is left alone."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from chromaserve.color.geodesic import nearest
from chromaserve.color.hint_spreading import Disc, hint_model, hinted
from chromaserve.store.contract import squeeze

Float = NDArray[np.float32]


def spread(L: Float, *discs: Disc) -> Float:
    """Chroma of a photo whose network says (5, 5) everywhere."""
    model = hint_model(discs, L.shape, lambda height, width: squeeze(L, height, width))
    return hinted(np.full((*L.shape, 2), 5, np.float32), L, model)


def test_distance_on_a_flat_photo_is_that_of_a_walk_in_eight_directions() -> None:
    labels = np.full((30, 50), -1, np.int32)
    labels[3, 4], labels[25, 40] = 7, 2
    distance, nearest_label = nearest(np.zeros((30, 50), np.float32), labels, step=0.5)
    y, x = np.mgrid[:30, :50]
    walks = []
    for row, column in ((3, 4), (25, 40)):
        down, right = np.abs(y - row), np.abs(x - column)
        walks.append(np.maximum(down, right) + (np.sqrt(2) - 1) * np.minimum(down, right))
    np.testing.assert_allclose(distance, 0.5 * np.minimum(*walks), atol=1e-4)
    clear = np.abs(walks[0] - walks[1]) > 1e-6
    np.testing.assert_array_equal(nearest_label[clear], np.where(walks[0] < walks[1], 7, 2)[clear])


def test_distance_goes_around_a_wall() -> None:
    plane = np.zeros((21, 21), np.float32)
    plane[:20, 10] = 100  # open at the bottom
    labels = np.full((21, 21), -1, np.int32)
    labels[0, 9] = 0
    distance, _ = nearest(plane, labels, step=1)
    assert distance[0, 11] == pytest.approx(2 * (20 + np.sqrt(2) - 1), abs=2)


@pytest.mark.parametrize("shape", [(90, 120), (600, 800), (40, 1200)])
def test_a_hint_takes_its_region_whole_and_no_other(shape: tuple[int, int]) -> None:
    L = np.where(np.arange(shape[1]) < shape[1] // 2, 65, 30).astype(np.float32)
    L = L + np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
    ab = spread(L, Disc(shape[1] * 0.3, shape[0] * 0.5, None, 40, -30))
    edge, margin = shape[1] // 2, max(2, shape[1] // 64)
    near = slice(edge - shape[0] // 2, edge - margin)  # a flat photo is not all one thing
    np.testing.assert_allclose(ab[:, near].reshape(-1, 2) @ (0.8, -0.6), 50, atol=4)
    right = ab[:, edge + margin :]
    np.testing.assert_array_equal(right, np.full_like(right, 5))


def test_of_two_hints_in_a_region_each_has_the_half_that_is_nearer() -> None:
    L = np.full((100, 300), 50, np.float32)
    ab = spread(L, Disc(75, 50, None, 40, 0), Disc(225, 50, None, 0, 40))
    np.testing.assert_allclose(ab[30:70, 60:130], np.broadcast_to((40, 0), (40, 70, 2)), atol=3)
    np.testing.assert_allclose(ab[30:70, 170:240], np.broadcast_to((0, 40), (40, 70, 2)), atol=3)


def test_where_discs_overlap_the_later_one_counts() -> None:
    L = np.full((60, 60), 50, np.float32)
    wide, small = Disc(30, 30, 25, 40, 0), Disc(30, 30, 6, 0, 40)
    np.testing.assert_allclose(spread(L, wide, small)[30, 30], (0, 40), atol=1)
    np.testing.assert_allclose(spread(L, wide, small)[30, 45], (40, 0), atol=1)
    np.testing.assert_allclose(spread(L, small, wide)[30, 30], (40, 0), atol=1)


def test_the_same_hints_give_the_same_bytes_and_change_nothing_that_was_given() -> None:
    noise = np.random.default_rng(1).uniform(0, 100, (200, 300)).astype(np.float32)
    L = np.asarray(cv2.GaussianBlur(noise, (0, 0), 3), np.float32)
    before = L.copy()
    discs = [Disc(40, 50, None, 30, 20), Disc(200, 150, 9, -30, 20)]
    assert spread(L, *discs).tobytes() == spread(L, *discs).tobytes()
    np.testing.assert_array_equal(L, before)
