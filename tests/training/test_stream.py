"""What a fit is fed: shards and folders alike, each view anew, the same after a resume."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.config import Data, Views
from training.data import Entry, read_entry, scan
from training.stream import Stream, shuffled
from training.views import view


def shard(path: Path, count: int, first: int = 0, suffix: str = "webp") -> None:
    with tarfile.open(path, "w") as tar:
        for i in range(count):
            random = np.random.default_rng(first + i)
            small = random.integers(0, 256, (6, 6, 3), np.uint8)
            picture = Image.fromarray(small).resize((224, 224), Image.Resampling.BICUBIC)
            content = io.BytesIO()
            picture.save(content, suffix, quality=90)
            info = tarfile.TarInfo(f"photo{first + i}.{suffix}")
            info.size = content.tell()
            content.seek(0)
            tar.addfile(info, content)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "train").mkdir()
    shard(tmp_path / "train" / "a.tar", 5)
    shard(tmp_path / "train" / "b.tar", 5, 5, "avif")
    return tmp_path


def entries(root: Path) -> list[Entry]:
    found = list(scan(root, Data(val_fraction=0)))
    assert all(isinstance(each, Entry) for each in found), found
    return [each for each in found if isinstance(each, Entry)]


def test_members_of_shards_are_photos_like_files(root: Path) -> None:
    found = entries(root)
    assert [e.file for e in found][:2] == ["train/a.tar::photo0.webp", "train/a.tar::photo1.webp"]
    assert len(found) == 10
    assert all(read_entry(root, e).shape == (224, 224, 3) for e in found)


def test_an_order_has_each_photo_once_and_leaves_a_shard_only_as_far_as_the_buffer() -> None:
    many = [
        Entry(f"{s}.tar::{i}", "train", "", "train", "", 0.0, i, 1)
        for s in range(8)
        for i in range(100)
    ]
    order = shuffled(many, 50, (1, 0))
    assert sorted(order) == list(range(800))
    assert list(order) != list(shuffled(many, 50, (1, 1)))
    # The first 100 photos come from the first two shards, or few of a third by the buffer.
    assert len({many[i].shard for i in order[:50]}) <= 2


def test_views_are_new_each_epoch_and_the_same_for_the_same_epoch(root: Path) -> None:
    def stream() -> Stream:
        return Stream(entries(root), root, Views(side=64), 32, 4, views=8, seed=3)

    one, two = stream(), stream()
    two.epoch = 1
    again = stream()
    again.epoch = 1
    assert len(one) == 2
    (x, y), (x2, y2), (x3, y3) = one[0], two[0], again[0]
    assert x["L"].shape == (4, 64, 64, 1)
    assert y["ab"].shape == (4, 32, 32, 2)
    assert not np.array_equal(x["L"], x2["L"])
    assert np.array_equal(x2["L"], x3["L"])
    assert np.array_equal(y2["ab"], y3["ab"])


@pytest.mark.slow
def test_processes_make_what_threads_make(root: Path) -> None:
    settings = Views(side=64)
    here = Stream(entries(root), root, settings, 32, 4, views=8, seed=3)
    apart = Stream(entries(root), root, settings, 32, 4, views=8, seed=3, processes=1)
    try:
        (x, y), (x2, y2) = here[1], apart[1]
        assert apart._pool
        has_keras = apart._pool.submit(eval, "'keras' in __import__('sys').modules").result()
    finally:
        apart.close()
    assert np.array_equal(x["L"], x2["L"])
    assert np.array_equal(y["ab"], y2["ab"])
    assert not has_keras  # which takes long to start, and much memory


def test_what_ages_the_lightness_leaves_the_colours(root: Path) -> None:
    rgb = read_entry(root, entries(root)[0])
    none = dict.fromkeys(("tone", "fade", "film", "vignette", "blur", "grain", "jpeg"), 0.0)
    plain, aged = Views(**none), Views(**dict.fromkeys(none, 1.0))
    L, ab = view(rgb, plain, 112, np.random.default_rng(5))
    old, same = view(rgb, aged, 112, np.random.default_rng(5))
    assert np.array_equal(ab, same)
    assert np.abs(L - old).mean() > 2
    assert old.min() >= 0
    assert old.max() <= 100


def test_a_fade_reaches_the_contrast_of_old_prints(root: Path) -> None:
    rgb = read_entry(root, entries(root)[0])
    none = dict.fromkeys(("tone", "film", "vignette", "blur", "grain", "jpeg"), 0.0)
    settings = Views(**none, fade=1.0, min_contrast=0.3, native=0.0, min_area=1.0)
    spans = []
    for seed in range(40):
        L, _ = view(rgb, settings, 112, np.random.default_rng(seed))
        spans.append(float(np.ptp(L)))
    assert min(spans) < 0.45 * max(spans)
