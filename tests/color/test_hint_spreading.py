"""How hints spread over a photo: distances, shares, what is left alone."""

import time

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from chromaserve.color.geodesic import nearest
from chromaserve.color.hint_shapes import Area, Disc, Shape, Stroke, lines
from chromaserve.color.hint_spreading import hint_model, hinted
from chromaserve.store.contract import squeeze

Float = NDArray[np.float32]


def spread(L: Float, *shapes: Shape) -> Float:
    """Chroma of a photo whose network says (5, 5) everywhere."""
    model = hint_model(shapes, L.shape, lambda height, width: squeeze(L, height, width))
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


def test_a_stroke_takes_all_that_it_crosses() -> None:
    L = np.full((200, 600), 30, np.float32)
    for left in (50, 250, 450):
        L[60:140, left : left + 100] = 70
    ab = spread(L, Stroke([(100, 100), (500, 100)], 4, 40, 0))
    for left in (50, 250, 450):
        np.testing.assert_allclose(ab[70:130, left + 8 : left + 92, 0], 40, atol=6)
    np.testing.assert_allclose(ab[97:103, 210:240, 0], 40, atol=3)  # between, where it was drawn
    one = spread(L, Stroke([(100, 100)], 4, 40, 0))
    np.testing.assert_array_equal(one, spread(L, Disc(100, 100, 4, 40, 0)))


@pytest.mark.parametrize("radius", [0.3, 2.0, 9.0, 100.0])
@pytest.mark.parametrize("points", [1, 2, 3, 300])
def test_a_stroke_has_the_pixels_whose_middles_are_no_farther_than_its_radius(
    points: int, radius: float
) -> None:
    shape = np.array([40, 60])
    ends = np.random.default_rng(points).uniform(0, shape[::-1], (points, 2))
    ends[-1, 1] = ends[0, 1]  # of two points a level line
    found = lines([Stroke(ends.tolist(), radius, 0, 0)], tuple(shape), tuple(shape)) == 0
    middles = np.stack(np.meshgrid(np.arange(60), np.arange(40)), axis=-1) + 0.5
    distance = np.full(tuple(shape), np.inf)
    for start, end in zip(ends, ends[1:] if points > 1 else ends, strict=False):
        way = end - start
        part = np.clip((middles - start) @ way / max(way @ way, 1e-9), 0, 1)
        beside = middles - start - part[..., np.newaxis] * way
        distance = np.minimum(distance, np.hypot(*np.moveaxis(beside, 2, 0)))
    assert found[distance <= radius - 1e-6].all()
    assert not found[distance > radius + np.sqrt(0.5)].any()  # but for what it lies in itself


RANDOM = np.random.default_rng(0).uniform(0, 4000, (2000, 2)).tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    "shapes",
    [
        [Stroke(RANDOM, 100_000, 9, 9)],
        [Stroke(RANDOM, 1_500, 9, 9)],
        [Area(RANDOM[i : i + 10], 9, 9) for i in range(0, 2000, 10)],
    ],
    ids=["wide", "large", "areas"],
)
def test_as_many_hints_as_there_may_be_hold_nobody_up(shapes: list[Shape]) -> None:
    L = np.random.default_rng(1).uniform(0, 100, (256, 256)).astype(np.float32)
    since = time.thread_time()
    hint_model(shapes, (4000, 4000), lambda *_: L)
    assert time.thread_time() - since < 1  # second


def test_a_region_has_its_colour_throughout_and_nothing_outside_has_it() -> None:
    L = np.where(np.random.default_rng(2).random((300, 400)) < 0.5, 30, 70).astype(np.float32)
    L = np.kron(L[::20, ::20], np.ones((20, 20), np.float32))  # many small things
    ab = spread(L, Area([(100, 60), (300, 60), (300, 240), (100, 240)], 40, -30))
    np.testing.assert_allclose(
        ab[75:225, 115:285], np.broadcast_to((40, -30), (150, 170, 2)), atol=1
    )
    outside = np.ones(L.shape, bool)
    outside[50:250, 90:310] = False  # but for the softness of a small copy
    np.testing.assert_array_equal(ab[outside], 5)


def test_a_region_drawn_loosely_ends_at_the_edge_within_its_line() -> None:
    L = np.full((600, 800), 40, np.float32)
    L[200:400, 200:600] = 75
    loose = [(190, 192), (608, 190), (611, 410), (191, 409)]
    ab = spread(L, Area(loose, 40, 0))[..., 0]
    np.testing.assert_allclose(ab[205:395, 205:595], 40, atol=2)
    assert abs(ab[300, 193:198] - 5).max() < 2, "between the line and the edge"


def test_a_line_that_crosses_itself_encloses_both_lobes() -> None:
    L = np.full((200, 400), 50, np.float32)
    bow = Area([(20, 20), (380, 180), (380, 20), (20, 180)], 40, 0)
    ab = spread(L, bow)[..., 0]
    np.testing.assert_allclose([ab[100, 60], ab[100, 340]], 40, atol=1)
    np.testing.assert_allclose([ab[30, 200], ab[170, 200]], 5, atol=0.1)
    ring = [(20, 20), (380, 20), (380, 180), (20, 180), (20, 20)]
    hole = [(150, 60), (250, 60), (250, 140), (150, 140), (150, 60)]
    ab = spread(L, Area([*ring, *hole], 40, 0))[..., 0]
    np.testing.assert_allclose([ab[100, 60], ab[100, 200]], (40, 5), atol=0.5)


def test_what_comes_after_a_region_lies_over_it() -> None:
    L = np.full((200, 400), 50, np.float32)
    region = Area([(20, 20), (380, 20), (380, 180), (20, 180)], 40, 0)
    disc = Disc(200, 100, 20, 0, 40)
    np.testing.assert_allclose(spread(L, region, disc)[100, 200], (0, 40), atol=1)
    np.testing.assert_allclose(spread(L, region, disc)[100, 60], (40, 0), atol=1)
    np.testing.assert_allclose(spread(L, disc, region)[100, 200], (40, 0), atol=1)
    inner = Area([(150, 50), (250, 50), (250, 150), (150, 150)], 0, 40)
    np.testing.assert_allclose(spread(L, region, inner)[100, 200], (0, 40), atol=1)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3000, 4000)])
def test_shapes_smaller_than_a_pixel_of_the_working_size_still_colour(
    shape: tuple[int, int],
) -> None:
    L = np.full(shape, 50, np.float32)
    x, y = shape[1] - 0.6, shape[0] - 0.6
    tiny = Area([(x, y), (x + 0.5, y), (x, y + 0.5)], 40, 0)
    assert 5 < spread(L, tiny)[-1, -1, 0] <= 40
    assert spread(L, Stroke([(x, y), (x + 0.5, y + 0.5)], 0.2, 40, 0))[-1, -1, 0] > 20
