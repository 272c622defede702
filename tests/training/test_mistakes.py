"""What a person can mend comes as one line and exit status 2, and leaves nothing half done."""

import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.small_network import publish
from tests.training.program import train_here
from training.data import Entry, write_index
from training.weights import halve

PHOTOS = Path(__file__).parents[2] / "samples"


def scanned(folder: Path, config: Path) -> list[str]:
    return ["scan", "--config", str(config), "--photos", str(PHOTOS), "--run", str(folder / "run")]


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def a_folder(folder: Path) -> list[str]:
    return scanned(folder, folder)


def latin_1(folder: Path) -> list[str]:
    return scanned(folder, written(folder / "own.toml", 'name = "Müller"'.encode("latin-1")))


def no_toml(folder: Path) -> list[str]:
    return scanned(folder, written(folder / "own.toml", b"name = "))


def no_columns(folder: Path) -> list[str]:
    written(folder / "colours.csv", b"photo,sort\na.jpg,people\n")
    return ["evaluate", str(PHOTOS / "colour"), "--manifest", str(folder / "colours.csv")]


def a_run_that_is_a_file(folder: Path) -> list[str]:
    written(folder / "run", b"")
    return scanned(
        folder, written(folder / "own.toml", b'name = "own"\n[data]\ntrain = ["colour"]')
    )


def cut_weights(folder: Path) -> list[str]:
    np.savez(folder / "last.npz", w=np.ones(1000))
    whole = (folder / "last.npz").read_bytes()
    written(folder / "last.npz", whole[:1000])
    return ["weights", str(folder / "last.npz"), str(folder / "half.npz")]


def no_json(folder: Path) -> list[str]:
    written(folder / "config.json", b"{")
    return ["publish", str(written(folder / "last.npz", b"")), "--photos", str(PHOTOS)]


@pytest.mark.parametrize(
    "mistake",
    [a_folder, latin_1, no_toml, no_columns, a_run_that_is_a_file, cut_weights, no_json],
)
def test_a_mistake_is_told_in_a_line(mistake: Callable[[Path], list[str]], tmp_path: Path) -> None:
    done = train_here(*mistake(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith("chromaserve-train: ")
    assert done.stderr.count("\n") == 1
    assert str(tmp_path) in done.stderr


@pytest.mark.parametrize(
    "stage", [["gains", "{version}"], ["recalibrate"], ["evaluate", str(PHOTOS), "--unseen"]]
)
def test_a_version_made_elsewhere_is_refused_at_once_and_stays_as_it_is(
    stage: list[str], tmp_path: Path
) -> None:
    version = publish(tmp_path / "models").path
    write_index(
        tmp_path / "index.csv",
        [Entry("colour/cat.jpg", "colour", "", split) for split in ("train", "val")],
    )
    before = {path: path.read_bytes() for path in version.rglob("*") if path.is_file()}
    stage = [each.format(version=version) for each in stage]
    store = ["--store", str(tmp_path / "models")] if stage[0] != "gains" else []
    index = ["--index", str(tmp_path / "index.csv"), "--photos", str(PHOTOS)]
    done = train_here(*stage, *store, *([] if stage[0] == "evaluate" else index))
    assert done.returncode == 2
    assert done.stderr == "chromaserve-train: version 1 was not made by this program\n"
    assert before == {path: path.read_bytes() for path in version.rglob("*") if path.is_file()}


def test_where_there_is_no_room_no_part_of_weights_is_left(tmp_path: Path) -> None:
    np.savez(tmp_path / "last.npz", w=np.ones((1000, 2)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            halve(tmp_path / "last.npz", tmp_path / "half.npz")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["last.npz"]
