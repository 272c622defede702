"""Training photos that are held-out ones, mirrored, altered or cropped, are found."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from training.config import Data
from training.data import read_photo, scan
from training.near_duplicates import NEAR, HeldOut, signatures

SAMPLES = sorted((Path(__file__).parents[2] / "samples" / "colour").rglob("*.jpg"))
Photo = NDArray[np.uint8]


def recompressed(rgb: Photo) -> Photo:
    _, coded = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, 20])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def darker(rgb: Photo) -> Photo:
    return np.asarray(255 * (rgb / 255.0) ** 1.6, np.uint8)


def cropped(rgb: Photo) -> Photo:
    height, width = rgb.shape[:2]
    return np.ascontiguousarray(rgb[height // 20 :, : -(width // 20)])


@pytest.fixture(scope="module")
def held_out() -> HeldOut:
    known = HeldOut()
    for path in SAMPLES:
        known.add(path.name, signatures(read_photo(path)))
    return known


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("change", [recompressed, darker, cropped])
def test_an_altered_copy_is_near_its_original(
    held_out: HeldOut, change: Callable[[Photo], Photo], mirror: bool
) -> None:
    for path in SAMPLES:
        rgb = change(read_photo(path))
        rgb = np.ascontiguousarray(rgb[:, ::-1]) if mirror else rgb
        name, likeness = held_out.nearest(signatures(rgb))
        assert name == path.name
        assert likeness >= NEAR


@pytest.mark.slow
def test_other_photos_are_not_near() -> None:
    for i, path in enumerate(SAMPLES):
        known = HeldOut()
        for other in SAMPLES[:i] + SAMPLES[i + 1 :]:
            known.add(other.name, signatures(read_photo(other)))
        assert known.nearest(signatures(read_photo(path)))[1] < NEAR


def test_scan_leaves_out_training_photos_that_are_held_out_ones_mirrored(tmp_path: Path) -> None:
    for folder in ("train", "val"):
        (tmp_path / folder).mkdir()
    first, second = (read_photo(path) for path in SAMPLES[:2])
    Image.fromarray(first).save(tmp_path / "val" / "first.png")
    Image.fromarray(np.ascontiguousarray(first[:, ::-1])).save(tmp_path / "train" / "mirrored.png")
    Image.fromarray(second).save(tmp_path / "train" / "second.png")
    found = list(scan(tmp_path, Data(train=("train",), val=("val",))))
    assert ("train/mirrored.png", "near-duplicate of a held-out photo") in found
    assert len(found) == 3
