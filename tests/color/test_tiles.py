"""Which photos are looked at in tiles, and how the answers become one."""

import numpy as np
import pytest
from numpy.typing import NDArray

from chromaserve.color.tiles import MAX_TILES, Look, Tiling, grid, joined, tiling

Float = NDArray[np.float32]


@pytest.mark.parametrize("size", [(600, 400), (4000, 3000), (1999, 1000), (16, 9), (1, 1)])
def test_an_ordinary_photo_is_looked_at_as_a_whole(size: tuple[int, int]) -> None:
    assert tiling(*size, "auto") is None
    assert tiling(size[1], size[0], "auto") is None


@pytest.mark.parametrize("look", ["auto", "tiles"])
@pytest.mark.parametrize(
    ("size", "tiles"), [((600, 300), (1, 3)), ((300, 900), (5, 1)), ((900, 100), (1, 17))]
)
def test_tiles_of_a_wide_photo_are_as_high_as_it_is(
    look: Look, size: tuple[int, int], tiles: tuple[int, int]
) -> None:
    assert tiling(*size, look) == grid(*tiles)
    assert tiling(*size, "whole") is None


def test_tiles_of_a_large_photo_are_smaller_where_that_is_wanted() -> None:
    assert tiling(4000, 4000, "tiles") == grid(5, 5)
    assert tiling(600, 500, "tiles") == grid(3, 4)
    assert tiling(400, 300, "tiles") is None  # as few pixels as the network takes


@pytest.mark.parametrize("look", ["auto", "tiles"])
@pytest.mark.parametrize("size", [(30_000, 1), (30_000, 1000), (9000, 4400), (9000, 3000)])
def test_tiles_are_bounded(look: Look, size: tuple[int, int]) -> None:
    found = tiling(*size, look)
    assert found
    assert found.count <= MAX_TILES


@pytest.mark.parametrize("tiles", [grid(1, 3), grid(5, 1), grid(3, 4)])
def test_weights_add_up_to_one_everywhere(tiles: Tiling) -> None:
    total = np.zeros((*tiles.size, 1))
    for place, weight in zip(tiles.places(), tiles.weights(), strict=True):
        total[place] += weight
    assert np.allclose(total, 1, atol=1e-6)


def views(tiles: Tiling, seed: int = 0) -> list[Float]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(0, 100, (224, 224, 1)).astype(np.float32) for _ in range(tiles.count)]


def constant(a: float, b: float) -> Float:
    return np.broadcast_to(np.array([a, b], np.float32), (224, 224, 2))


def test_looks_that_agree_stay_as_they_are() -> None:
    tiles = grid(1, 4)
    ab = joined(constant(20, -30), views(tiles), [constant(20, -30)] * 4, tiles)
    assert ab.shape == (224, 560, 2)
    assert np.allclose(ab, [20, -30], atol=1e-4)


def test_looks_that_differ_fade_into_each_other_without_a_seam() -> None:
    tiles = grid(1, 3)
    answers = [constant(0, 0), constant(40, 0), constant(0, 40)]
    ab = joined(constant(0, 0), views(tiles), answers, tiles)
    assert np.abs(np.diff(ab, axis=1)).max() < 1  # Lab units from pixel to pixel
    assert ab[:, 10].max() < 1
    assert ab[:, -10, 1].min() > 38


def test_where_a_tile_has_nothing_to_see_the_whole_view_counts() -> None:
    tiles = grid(1, 3)
    seen = views(tiles)
    seen[0] = np.full((224, 224, 1), 80, np.float32)  # clear sky
    wrong = [constant(60, 60), constant(0, 0), constant(0, 0)]
    ab = joined(constant(-5, -20), seen, wrong, tiles)
    assert np.allclose(ab[:, :100], [-5, -20], atol=1)
