"""The nearest training photo, in a cache written by hand with a stand-in for the encoder."""

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from training.errors import CacheError
from training.nearest import NearestPhoto
from training.network import TAP_SHAPES

Float = NDArray[np.float32]
SPLITS = [("val", 0), ("train", 0), ("train", 0), ("train", 1), ("train", 0)]  # split, copy
DONE = [1, 1, 1, 1, 0]


def encoder(L: Float) -> dict[str, Float]:
    """Four features at 2 x 2: where in L, by quarters of its range, the pixels are."""
    corners = L[::112, ::112]
    edges = np.array([0, 25, 50, 75, 101], np.float32)
    inside = (corners >= edges[:-1]) & (corners < edges[1:])
    return {"block5_conv3": 4 * inside.astype(np.float32)}


def photo(*corners: float) -> Float:
    return np.asarray(np.kron(np.reshape(corners, (2, 2)), np.ones((112, 112))), np.float32)[
        ..., None
    ]


PHOTOS = [photo(10, 10, 10, 40), photo(10, 40, 40, 90), photo(60, 60, 90, 90),
          photo(60, 60, 60, 60), photo(60, 60, 60, 60)]  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    with (tmp_path / "rows.csv").open("w", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(["file", "folder", "kind", "split", "copy"])
        writer.writerows([f"{i}.jpg", "x", "", *SPLITS[i]] for i in range(5))
    scale = np.array([4, 8, 16, 5], np.float32)
    taps = np.stack([encoder(L)["block5_conv3"] for L in PHOTOS])
    for name in TAP_SHAPES:
        np.save(tmp_path / f"{name}.npy", np.rint(255 * np.sqrt(taps / scale)).astype(np.uint8))
    np.savez(tmp_path / "scales.npz", **dict.fromkeys(TAP_SHAPES, scale))  # type: ignore[arg-type]
    ab = np.arange(5, dtype=np.float16)[:, None, None, None]
    np.save(tmp_path / "ab.npy", np.broadcast_to(ab, (5, 56, 56, 2)))
    np.save(tmp_path / "L.npy", np.zeros((5, 224, 224, 1), np.uint8))
    np.save(tmp_path / "done.npy", np.array(DONE, np.uint8))
    return tmp_path


@pytest.mark.parametrize("itself", [1, 2])
def test_a_training_photo_finds_itself(cache: Path, itself: int) -> None:
    ab = NearestPhoto(cache, encoder)(PHOTOS[itself])
    assert ab.shape == (224, 224, 2)
    assert ab.dtype == np.float32
    assert np.unique(ab).tolist() == [itself]


def test_only_finished_training_photos_are_neighbours_and_not_their_copies(cache: Path) -> None:
    nearest = NearestPhoto(cache, encoder)
    # Itself for validation photo 0, for copy 3 and for the unfinished row 4: all out of the race.
    # Means (3, 1, 0, 0) and (0, 0, 4, 0) against (1, 2, 0, 1) and (0, 0, 2, 2).
    assert [np.unique(nearest(PHOTOS[i])).tolist() for i in (0, 3, 4)] == [[1], [2], [2]]


def test_a_cache_without_a_training_photo_is_refused(cache: Path) -> None:
    np.save(cache / "done.npy", np.array([1, 0, 0, 1, 0], np.uint8))
    with pytest.raises(CacheError, match="no training photo"):
        NearestPhoto(cache, encoder)
