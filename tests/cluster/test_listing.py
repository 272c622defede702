"""What a job finds to do and where it writes: on disk, in an object store's memory, over HTTP."""

import functools
import os
import sys
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from typer.testing import CliRunner

from chromaserve.cluster.listing import Parcel, Shard, parcels, shards
from chromaserve.cluster.places import Place
from chromaserve.cluster.report import Report
from chromaserve.command_line.main import command
from chromaserve.library.files import part_name
from tests.library.test_files import ended_process

PHOTOS = ["0.jpg", "a/1.JPEG", "a/b/2.png", "a/b/3.tif", "c/4.webp", "c/5.bmp", "d/e/f/6.tiff"]
NO_PHOTOS = ["notes.txt", "a/.7.jpg", ".trash/8.jpg", "c/9.jpg.part", "d/raw"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in PHOTOS + NO_PHOTOS:
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (tmp_path / "source" / "a" / "back").symlink_to(tmp_path / "source")
    os.mkfifo(tmp_path / "source" / "a" / "pipe.jpg")  # who reads it waits for ever
    return tmp_path / "source"


@pytest.fixture
def served(source: Path) -> Iterator[str]:
    """The source as a web server lists it."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(source))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def found(source: Place, target: Place, enough: int, size: int = 2) -> list[Parcel]:
    return [
        parcel
        for shard in shards(source, enough)
        for parcel in parcels(source, target, shard, "png", size)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("enough", [1, 3, 100])
@pytest.mark.parametrize("kind", ["disk", "http"])
def test_each_photo_is_in_one_parcel_however_the_tree_is_divided(
    kind: str, enough: int, source: Path, served: str, tmp_path: Path
) -> None:
    from_ = Place.of(str(source) if kind == "disk" else served)
    if kind == "http":
        for name in ("back", "pipe.jpg"):  # a server does not tell what they are
            (source / "a" / name).unlink()
    listed = found(from_, Place.of(str(tmp_path / "target")), enough)
    assert sorted(name for parcel in listed for name in parcel.names) == sorted(PHOTOS)
    assert all(len(parcel.names) <= 2 for parcel in listed)
    assert from_.read("a/b/2.png", 100) == b"a/b/2.png"


@pytest.mark.parametrize("kind", ["disk", "memory"])
def test_what_is_written_is_found_and_left_out(kind: str, source: Path, tmp_path: Path) -> None:
    url = str(tmp_path / "target") if kind == "disk" else f"memory://{tmp_path.name}"
    from_, to = Place.of(str(source)), Place.of(url)
    before = found(from_, to, 100)
    to.write("a/b/2.png", b"half")
    to.write("a/b/2.png", b"whole")
    to.write("c/4.png", b"")  # as a file system that lost power leaves it
    assert to.read("a/b/2.png", 100) == b"whole"
    assert to.list("a/b") == ([], {"2.png": 5})

    after = found(from_, to, 100)
    assert sum(parcel.done for parcel in after) == 1
    left = {name for parcel in after for name in parcel.names}
    assert left == set(PHOTOS) - {"a/b/2.png"}
    # A listing that is repeated has the same parcels, whatever was done since.
    assert [parcel.folder for parcel in after] == [parcel.folder for parcel in before]


def test_a_large_folder_takes_no_longer_a_photo_than_a_small_one(tmp_path: Path) -> None:
    def seconds(count: int) -> float:
        place = Place.of(f"memory://{tmp_path.name}/{count}")
        for number in range(count):
            place.write(f"{number}.jpg", b"photo")
        target = Place.of(f"memory://{tmp_path.name}-out")
        began = time.process_time()
        listed = parcels(place, target, Shard("", deep=True), "png", 1, apart=True)
        assert sum(len(parcel.names) for parcel in listed) == count
        return time.process_time() - began

    assert seconds(3000) / 3000 < 5 * min(seconds(300) for _ in range(3)) / 300


def test_a_store_that_takes_nothing_says_so_at_once(tmp_path: Path) -> None:
    target = Place.of(f"memory://{tmp_path.name}")
    with Report(target, "told"):
        assert target.list("told")[1] == {"part-00000.jsonl": 0}


def test_what_a_store_s_library_raises_is_told_as_of_the_storage() -> None:
    class Locked(MemoryFileSystem):  # type: ignore[misc]
        def ls(self, *_: object, **__: object) -> None:
            raise RuntimeError("no credentials")

        cat_file = pipe_file = ls

    fsspec.register_implementation("locked", Locked)
    place = Place.of("locked://bucket")
    for ask in (place.list, lambda name: place.read(name, 1), lambda name: place.write(name, b"")):
        with pytest.raises(OSError, match="RuntimeError: no credentials"):
            ask("photo.jpg")


def test_only_what_dead_writers_of_this_machine_left_is_removed(
    source: Path, tmp_path: Path
) -> None:
    to = Place.of(str(tmp_path / "target"))
    to.make("a")
    live = part_name()  # another run's, that writes now
    dead = live.replace(f"-{os.getpid()}-", f"-{ended_process()}-")
    elsewhere = dead.replace(dead.split("-")[1], "f" * 12)
    kept = [".1.JPEG.png.0.other.part", ".mine.part", elsewhere, live]
    for name in [*kept, dead]:
        (tmp_path / "target" / "a" / name).write_bytes(b"half")
    assert found(Place.of(str(source)), to, 100)
    assert list(to.list("a")[1]) == sorted(kept)


def test_a_folder_that_is_gone_when_its_turn_comes_is_told_of(source: Path, tmp_path: Path) -> None:
    target = Place.of(str(tmp_path / "target"))
    (parcel,) = parcels(Place.of(str(source)), target, Shard("gone", deep=True), "png", 2)
    assert parcel.names == []
    assert parcel.folder == "gone"
    assert str(parcel.fault).startswith("FileNotFoundError")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("nowhere", "target"), 2, "SRC: [Errno 2] No such file or directory"),
        (("source/0.jpg", "target"), 2, "0.jpg is a file, not a folder"),
        (("source", "source/target"), 2, "must not lie in each other"),
        (("source", "source/a/back"), 2, "must not lie in each other"),
        (("source/a/back/a", "source"), 2, "must not lie in each other"),
        (("source", "source/a/back/target"), 2, "must not lie in each other"),
        (("/", "target"), 2, "/ is a root"),
        (("source", "memory://"), 2, "memory:// is a root"),
        (("source", "nix://target"), 2, "Protocol not known: nix"),
        (("source", "dropbox://target"), 2, "dropboxdrivefs"),  # a package that is not there
        (("memory://photos", "memory://photos/in/colour"), 2, "must not lie in each other"),
        (("memory://photos/in/grey", "memory://photos"), 2, "must not lie in each other"),
        (("memory://grey", "memory://grey-colour"), 2, "SRC: "),
        (("source", "target", "--vividness", "7"), 2, "vividness"),
        (("source", "target", "--model", "77"), 5, "has no version '77'"),
        (("source", "target", "--address", "127.0.0.1:1"), 3, "no Ray cluster at 127.0.0.1:1"),
    ],
)
def test_wrong_use_is_said_before_anything_starts(
    arguments: tuple[str, ...],
    status: int,
    said: str,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)  # other tests' cluster
    monkeypatch.chdir(source.parent)
    done = CliRunner().invoke(command, ["batch", *arguments])
    assert done.exit_code == status
    assert said in done.stderr
    assert not (source.parent / "target").exists()


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [("VERSION", "77", "has no version '77'"), ("ROOT", "nowhere", "nowhere")],
)
def test_the_model_that_is_checked_is_that_of_the_settings(
    setting: str, value: str, said: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"CHROMASERVE_MODEL_{setting}", value)
    arguments = ["batch", str(source), f"{source}-colour", "--address", "127.0.0.1:1"]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 5
    assert said in done.stderr


def test_without_ray_it_is_said_what_to_install(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    done = CliRunner().invoke(command, ["batch", str(source), "target"])
    assert done.exit_code == 2
    assert "pip install 'chromaserve[ray]'" in done.stderr
