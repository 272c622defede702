"""The nearest training photo, by a stand-in for the encoder."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from training.data import Entry
from training.errors import DataError
from training.nearest import NearestPhoto

Float = NDArray[np.float32]
COLOURS = {"dark": (60, 20, 20), "middle": (110, 140, 110), "light": (200, 200, 250)}


def encoder(L: Float) -> dict[str, Float]:
    """Two features at 1 x 1: an angle that is L."""
    angle = np.radians(L.mean(), dtype=np.float32)
    return {"block5_conv3": np.asarray([[[np.cos(angle), np.sin(angle)]]], np.float32)}


@pytest.fixture
def entries(tmp_path: Path) -> list[Entry]:
    for name, rgb in COLOURS.items():
        picture = np.full((32, 48, 3), rgb[::-1], np.uint8)
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture)
    splits = zip(COLOURS, ("train", "val", "train"), strict=True)
    return [Entry(f"{name}.png", "x", "", split, name, 9.0) for name, split in splits]


def test_the_colours_of_the_training_photo_that_is_most_alike(
    entries: list[Entry], tmp_path: Path
) -> None:
    nearest = NearestPhoto(entries, tmp_path, encoder)
    assert [e.file for e in nearest.entries] == ["dark.png", "light.png"]
    found = [nearest(np.full((224, 224, 1), L, np.float32)) for L in (20, 75)]
    assert found[0].shape == (224, 224, 2)
    assert found[0].dtype == np.float32
    # Dark red, light blue.
    assert found[0][0, 0, 0] > 10
    assert found[1][0, 0, 1] < -10


def test_an_index_without_a_training_photo_is_refused(entries: list[Entry], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no training photo"):
        NearestPhoto([e for e in entries if e.split == "val"], tmp_path, encoder)
