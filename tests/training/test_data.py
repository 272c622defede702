"""Which photos count, how they are split, and what is asked of the network."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from skimage import color

from training.config import Data
from training.data import Entry, read_entry, read_index, scan, split_of, write_index
from training.errors import DataError
from training.shards import decode
from training.views import whole

SAMPLES = Path(__file__).parents[2] / "samples" / "colour"


def photo(path: Path, seed: int, size: tuple[int, int] = (80, 90)) -> None:
    values = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(values).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    train = tmp_path / "train"
    train.mkdir()
    for i in range(4):
        photo(train / f"{i}.png", i)
    photo(train / "again.png", 0)
    photo(train / "small.png", 9, (20, 200))
    Image.fromarray(np.full((80, 80, 3), 77, np.uint8)).save(train / "grey.png")
    (train / "broken.jpg").write_bytes(b"not a photo")
    (train / "empty.jpg").write_bytes(b"")
    whole = (train / "1.png").read_bytes()
    (train / "notes.txt").write_bytes(whole)
    return tmp_path


def test_scan_keeps_usable_photos_and_counts_the_rest_by_reason(folder: Path) -> None:
    index = folder / "index.csv"
    counts = write_index(index, scan(folder, Data(val_fraction=0.0)))
    assert counts == {
        "train": 4,
        "skipped: repeated": 1,
        "skipped: too small": 1,
        "skipped: grey": 1,
        "skipped: not a readable image": 2,
    }
    with index.open() as f:
        assert len(list(csv.DictReader(f))) == 4
    assert all(isinstance(e, Entry) and e.split == "train" for e in read_index(index))


def test_what_cannot_be_read_is_told_of_and_left_out(folder: Path) -> None:
    train = folder / "train"
    (train / "gone.jpg").symlink_to(train / "nowhere.jpg")
    (train / "album.jpg").mkdir()
    with Image.open(train / "1.png") as picture:
        for name in ("cut.bmp", "cut.tif", "cut.avif"):
            picture.save(train / name)
            (train / name).write_bytes((train / name).read_bytes()[:-400])
    found = dict(each for each in scan(folder, Data(val_fraction=0.5)) if isinstance(each, tuple))
    for name in ("broken.jpg", "cut.bmp", "cut.avif"):
        assert found[f"train/{name}"] == "not a readable image"
    assert not any("album" in name or "gone" in name for name in found)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_photos_are_upright(kind: str) -> None:
    file, exif = io.BytesIO(), Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (90, 60), "teal").save(file, kind, exif=exif)
    upright = decode(file.getvalue())
    assert upright is not None
    assert upright.shape == (90, 60, 3)


def test_split_depends_on_the_file_alone(folder: Path) -> None:
    data = Data(val_fraction=0.5)
    before = {e.sha256: e.split for e in scan(folder, data) if isinstance(e, Entry)}
    photo(folder / "train" / "new.png", 77)
    (folder / "train" / "0.png").rename(folder / "train" / "renamed.png")
    after = {e.sha256: e.split for e in scan(folder, data) if isinstance(e, Entry)}
    assert before.items() <= after.items()


def test_split_shares_are_as_asked() -> None:
    random = np.random.default_rng(0)
    splits = [split_of(random.bytes(32).hex(), 0.1) for _ in range(5000)]
    assert 0.08 < splits.count("val") / 5000 < 0.12


def test_missing_folder_and_missing_index_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder"):
        list(scan(tmp_path, Data()))
    with pytest.raises(DataError, match="scan"):
        read_index(tmp_path / "index.csv")


def test_target_is_the_photos_ab_averaged_over_the_whole_frame() -> None:
    rgb = np.asarray(Image.open(SAMPLES / sorted(p.name for p in SAMPLES.iterdir())[0]))
    L, ab = whole(rgb, 56)
    assert L.shape == (224, 224, 1)
    assert ab.shape == (56, 56, 2)
    reference = color.rgb2lab(rgb).mean(axis=(0, 1))
    assert ab.mean(axis=(0, 1)) == pytest.approx(reference[1:], abs=0.5)
    assert L.mean() == pytest.approx(reference[0], abs=0.5)


def test_a_photo_that_is_not_there_asks_for_the_folder(tmp_path: Path) -> None:
    entry = Entry("train/0.png", "train", "", "train", "0" * 64, 9.0)
    with pytest.raises(DataError, match=f"{tmp_path}.*: check --photos"):
        read_entry(tmp_path, entry)
