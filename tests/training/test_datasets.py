"""The registry of data sets: named in a configuration, found below the photo root, or explained."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.config import Data
from training.data import Entry, scan
from training.datasets import inspect, registry
from training.errors import DataError

ROOT = Path(__file__).parents[2]
SCENES = ("coast", "forest", "highway", "insidecity", "mountain", "opencountry", "street",
          "tallbuilding")  # fmt: skip


def photo(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (70, 80, 3), np.uint8)
    Image.fromarray(values).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A photo root with a few scenes in MIT CVCL's place, people in the gestures', and a folder."""
    for i, scene in enumerate(SCENES):
        photo(tmp_path / "datasets" / "mit-cvcl" / "inner" / f"{scene}_{i}.jpg", i)
    photo(tmp_path / "datasets" / "gesture" / "wave.png", 20)
    photo(tmp_path / "own" / "mine.png", 21)
    return tmp_path


def entries(root: Path, data: Data) -> list[Entry]:
    return [e for e in scan(root, data) if isinstance(e, Entry)]


def test_sets_and_folders_mix_and_kinds_come_from_the_registry(root: Path) -> None:
    data = Data(train=("dataset:mit-cvcl", "own"), val=("dataset:gesture",))
    found = entries(root, data)
    assert {(e.folder, e.kind, e.split) for e in found} == {
        ("dataset:mit-cvcl", "scenery", "train"),
        ("own", "", "train"),
        ("dataset:gesture", "people", "val"),
    }
    assert all((root / e.file).is_file() for e in found)


def test_a_manifests_kind_goes_before_the_registrys(root: Path) -> None:
    line = "datasets/mit-cvcl/inner/street_6.jpg,street"
    (root / "manifest.csv").write_text(f"file,kind\n{line}\n")
    found = entries(root, Data(train=("dataset:mit-cvcl",), manifest="manifest.csv"))
    kinds = {Path(e.file).name: e.kind for e in found}
    assert kinds["street_6.jpg"] == "street"
    assert kinds["coast_0.jpg"] == "scenery"


def test_a_missing_set_says_what_it_is_where_to_get_it_its_terms_and_its_place(
    root: Path,
) -> None:
    with pytest.raises(DataError) as error:
        entries(root, Data(train=("dataset:landscape",)))
    said = str(error.value)
    assert "Landscape and Nature" in said
    assert "4,319 published" in said
    assert "2,688 by the thesis" in said
    assert "https://www.kaggle.com/datasets/arnaud58/landscape-pictures" in said
    assert "Terms: unknown" in said
    assert str(root / "datasets" / "landscape") in said


def test_another_layout_is_refused_and_an_unknown_name_lists_the_known(root: Path) -> None:
    (root / "datasets" / "mit-cvcl" / "inner" / "coast_0.jpg").unlink()
    with pytest.raises(DataError, match=r"coast_\*\.jpg"):
        entries(root, Data(train=("dataset:mit-cvcl",)))
    with pytest.raises(DataError, match="landscape, gesture, mit-cvcl, wallpapers"):
        entries(root, Data(train=("dataset:cvcl",)))


@pytest.mark.slow
def test_another_count_is_remarked_and_the_published_and_the_thesis_count_are_whole(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert len(entries(root, Data(train=("dataset:mit-cvcl",)))) == 8
    assert "8 photos, expected 2,688 published, 4,319 by the thesis" in caplog.text
    entry = registry()["mit-cvcl"]
    place = root / entry.folder
    for i in range(8, 2688):
        (place / f"coast_{i}.jpg").touch()
    assert inspect(root, entry).verdict(entry) == "complete"
    (place / "coast_3000.jpg").touch()
    assert "2,689 photos, expected" in inspect(root, entry).verdict(entry)


def test_the_thesis_names_four_sets_and_their_counts() -> None:
    thesis = {e.title: e.thesis for e in registry().values() if e.thesis}
    assert thesis == {
        "Landscape and Nature": 2688,
        "Human gesture recognition": 4000,
        "MIT CVCL Urban and Natural Scene": 4319,
        "Wallpapers from the web": 15000,
    }
    assert all(e.source and e.terms for e in registry().values())


def test_the_command_lists_every_set_with_what_is_found(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "training", "datasets", "--photos", str(root)],
        capture_output=True, text=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    heads = [line for line in done.stdout.splitlines() if line.startswith("dataset:")]
    assert len(heads) == len(registry())
    assert "dataset:landscape  Landscape and Nature (scenery): missing" in heads
    assert "dataset:gesture  Human gesture recognition (people): 1 photos" in done.stdout
