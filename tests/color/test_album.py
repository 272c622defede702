"""Photos that agree: who has a say, where colours go, and what stays as it is."""

import numpy as np
import pytest
from numpy.typing import NDArray

from chromaserve.color.album import agreed, matched, neighbours, shifted
from chromaserve.color.reference import COLOURS, SIDE, Seen

Float = NDArray[np.float32]
MOVED = 4  # places of the grid


def scene(seed: int = 0) -> Float:
    """What is seen at each place of a wide scene, [28, 56, 64]."""
    return np.random.default_rng(seed).normal(size=(SIDE, 2 * SIDE, 64)).astype(np.float32)


def view(of: Float, left: int, *, mirrored: bool = False, grey: float = 50) -> Seen:
    part = of[:, left : left + SIDE]
    part = part[:, ::-1] if mirrored else part
    fine = part / np.linalg.norm(part, axis=-1, keepdims=True)
    coarse = part.reshape(SIDE // 2, 2, SIDE // 2, 2, -1).mean((1, 3))
    coarse /= np.linalg.norm(coarse, axis=-1, keepdims=True)
    L = np.full((COLOURS, COLOURS), grey, np.float32)
    return Seen(fine.astype(np.float16), coarse.astype(np.float16), L)


def together(photos: list[Seen], colours: list[Float], trust: list[float]) -> list[Float]:
    """The photos' colours once they agree."""
    pairs = [(i, j, matched(photos[i], photos[j])) for i, j in neighbours(photos)]
    counts = [np.full((SIDE, SIDE), each, np.float32) for each in trust]
    shifts = agreed(colours, counts, pairs)
    return [ab + shift for ab, shift in zip(colours, shifts, strict=True)]


def plain(a: float, b: float) -> Float:
    return np.broadcast_to(np.array([a, b], np.float32), (SIDE, SIDE, 2)).copy()


@pytest.mark.parametrize("mirrored", [False, True])
def test_two_views_meet_in_the_middle_where_both_see_a_thing(mirrored: bool) -> None:
    of = scene()
    photos = [view(of, 0), view(of, MOVED, mirrored=mirrored, grey=40)]
    one, other = together(photos, [plain(20, 0), plain(0, 20)], [1, 1])
    shared = np.s_[6:-6, MOVED + 6 : -6]
    np.testing.assert_allclose(one[shared] - other[6:-6, 6 : -MOVED - 6], 0, atol=4)
    np.testing.assert_allclose(one[shared] + other[6:-6, 6 : -MOVED - 6], 20, atol=5)


def test_photos_of_different_scenes_are_left_alone() -> None:
    photos = [view(scene(seed), 0) for seed in range(3)]
    colours = [plain(20, 0), plain(0, 20), plain(-20, 5)]
    for before, after in zip(colours, together(photos, colours, [1, 1, 1]), strict=True):
        np.testing.assert_array_equal(before, after)


def test_what_somebody_knows_goes_before_what_is_guessed() -> None:
    of = scene()
    photos = [view(of, 0), view(of, MOVED)]
    known, guessed = together(photos, [plain(30, 0), plain(0, 30)], [31, 1])
    inside = np.s_[6:-6, 6 : -MOVED - 6]
    np.testing.assert_allclose(
        known[6:-6, MOVED + 6 : -6], np.broadcast_to((30, 0), (16, 12, 2)), atol=3
    )
    np.testing.assert_allclose(guessed[inside], np.broadcast_to((30, 0), (16, 12, 2)), atol=3)


def test_colours_reach_a_photo_by_way_of_another() -> None:
    of = scene()
    photos = [view(of, 0), view(of, 9), view(of, 18)]
    colours = [plain(30, 0), plain(0, 0), plain(0, 0)]
    _, middle, last = together(photos, colours, [31, 1, 1])
    assert middle[10:18, 3:12, 0].mean() > 15
    assert last[10:18, 2:8, 0].mean() > middle[10:18, 22:, 0].mean() * 0.5


def test_of_many_photos_each_is_matched_with_those_most_like_it() -> None:
    scenes = [scene(seed) for seed in range(3)]
    photos = [view(scenes[i % 3], i) for i in range(12)]
    pairs = neighbours(photos)
    assert len(pairs) == 12 * 6
    for i in range(12):
        found = [j for first, j in pairs if first == i]
        assert {j for j in range(12) if j % 3 == i % 3 and j != i} <= set(found)
        assert i not in found


def test_nothing_is_added_where_nothing_changes() -> None:
    ab = np.random.default_rng(0).normal(size=(224, 224, 2)).astype(np.float32)
    assert shifted(ab, plain(0, 0)) is ab
    np.testing.assert_allclose(
        shifted(ab, plain(3, -2)) - ab, np.broadcast_to((3, -2), ab.shape), atol=1e-5
    )
