"""A worker and the report of its work, without a cluster: what becomes of each photo."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import fsspec
import httpx
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from chromaserve.cluster.listing import Parcel, Shard
from chromaserve.cluster.places import Place
from chromaserve.cluster.report import Report
from chromaserve.cluster.work import Job, Outcome, Worker
from chromaserve.library.colorizer import Colorizer
from tests.command_line.command import files
from tests.sample_photos import encoded, small

CAT = Path(__file__).parents[2] / "samples" / "grey" / "cat.jpg"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of photos and one of results, where the place of one is taken."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "taken.png").mkdir()
    for name in ("cat.jpg", "deep/cat.jpg", "taken.jpg", "long.jpg"):
        shutil.copy(CAT, tmp_path / "in" / name)
    (tmp_path / "in" / "large.jpg").write_bytes(CAT.read_bytes() + bytes(2**20))
    return tmp_path


@pytest.fixture
def worker(folder: Path, small_root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    for name, value in (("PHOTO_THREADS", "1"), ("CACHE_MB", "0"), ("MAX_UPLOAD_MB", "1")):
        monkeypatch.setenv(f"CHROMASERVE_{name}", value)
    from_, to = (Place.of(str(folder / name)) for name in ("in", "out"))
    made = Worker(Job(from_, to, "png", {}, None, small_root, 1, 0, 64))
    yield made
    made.close()


def test_each_photo_has_an_outcome_and_none_ends_the_others(
    folder: Path, worker: Worker, small_http: httpx.Client
) -> None:
    outputs = {
        "cat.jpg": "cat.png",
        "gone.jpg": "gone.png",
        "taken.jpg": "taken.png",
        "large.jpg": "large.png",
        "long.jpg": "x" * 300,
        "deep/cat.jpg": "deep/cat.png",
    }
    found = {one.input: one for one in worker.do(Parcel(list(outputs), list(outputs.values())))}
    assert list(found) == list(outputs)
    problems = {name: one.problem for name, one in found.items() if one.status == "failed"}
    assert problems == {
        "gone.jpg": "unreadable",
        "taken.jpg": "unwritable",
        "large.jpg": "body-too-large",
        "long.jpg": "unwritable",
    }
    assert str(found["gone.jpg"].detail).startswith("FileNotFoundError: ")
    assert str(found["taken.jpg"].detail).startswith("IsADirectoryError: ")
    assert "File name too long" in str(found["long.jpg"].detail)
    service = small_http.post("/colorize", files={"file": CAT.read_bytes()}).content
    for name in ("cat.jpg", "deep/cat.jpg"):
        assert found[name].output == outputs[name]
        assert (folder / "out" / outputs[name]).read_bytes() == service
    assert files(folder / "out") == {"cat.png", "deep/cat.png"}, "no halves"

    (one,) = worker.do(Parcel([], folder="locked", fault="PermissionError: denied"))
    assert (one.input, one.status, one.problem) == ("locked/", "failed", "unreadable")
    assert one.detail == "PermissionError: denied"


def test_each_page_has_a_result_and_those_that_are_there_are_left(
    tmp_path: Path, small_root: Path
) -> None:
    scans, out = tmp_path / "in", tmp_path / "out"
    scans.mkdir()
    pages = [small("L"), small("L", (60, 40)), small("L", (70, 40))]
    (scans / "book.tif").write_bytes(
        encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    )
    (scans / "book-page-2.jpg").write_bytes(encoded(pages[0], "JPEG"))
    (scans / "leaf.tif").write_bytes(encoded(pages[0], "TIFF"))
    places = (Place.of(str(scans)), Place.of(str(out)))
    job = Job(*places, "jpeg", {"pages": "all"}, None, small_root, 1, 0, 64)
    job.check()
    whole = Shard("", deep=True)
    (parcel,) = job.parcels(whole)
    worker = Worker(job)
    try:
        found = list(worker.do(parcel))
        assert all(one.status == "done" for one in found), found
        names = {f"book.tif-page-{n}.jpg" for n in (1, 2, 3)}, {"book-page-2.jpg", "leaf.jpg"}
        assert files(out) == set().union(*names), "no page takes another photo's name"
        assert {one.page for one in found if one.input == "book.tif"} == {1, 2, 3}
        assert Image.open(out / "book.tif-page-3.jpg").size == (70, 40)
        (out / "book.tif-page-2.jpg").unlink()
        (parcel,) = job.parcels(whole)
        assert (set(parcel.names), parcel.done) == ({"book.tif", "leaf.tif"}, 1)
        with Report(places[1], "told") as report:
            for one in worker.do(parcel):
                report.add(one)
        assert (report.summary.done, report.summary.already) == (1, 3)
        assert lines(out / "told" / "part-00000.jsonl") == ["book.tif"]
        (parcel,) = job.parcels(whole)
        assert not parcel.otherwise
        (parcel,) = replace(job, options={"pages": "all", "quality": 50}).parcels(whole)
        assert parcel.otherwise
    finally:
        worker.close()


def test_what_a_store_or_a_library_raises_is_told(
    folder: Path, small_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away(MemoryFileSystem):  # type: ignore[misc]
        def info(self, *_: object, **__: object) -> None:
            raise RuntimeError("no connection")

    fsspec.register_implementation("away", Away)
    from_, parcel = Place.of(str(folder / "in")), Parcel(["cat.jpg"], ["cat.png"])
    job = Job(from_, Place.of("away://out"), "png", {"pages": "all"}, None, small_root, 1, 0, 64)
    with closing(Worker(job)) as worker:
        (away,) = worker.do(parcel)
    assert (away.problem, away.detail) == ("unwritable", "OSError: RuntimeError: no connection")

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("a hole in a library")

    monkeypatch.setattr(Colorizer, "colorize", fails)
    with closing(Worker(replace(job, target=Place.of(str(folder / "out"))))) as worker:
        (failed,) = worker.do(parcel)
    told = "RuntimeError: a hole in a library"
    assert (failed.problem, failed.detail) == ("internal-error", told)


def outcome(name: str, problem: str | None = None) -> Outcome:
    return Outcome(name, None if problem else f"{name}.png", "done", problem, None, 0.5)


def lines(part: Path) -> list[str]:
    return [json.loads(line)["input"] for line in part.read_text().splitlines()]


def test_a_long_report_is_in_parts_and_its_sum_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chromaserve.cluster.report.LINES", 2)
    with Report(Place.of(str(tmp_path)), "told") as report:
        for name in "abcde":
            report.add(outcome(name, "unreadable" if name == "c" else None))
    parts = sorted((tmp_path / "told").glob("part-*.jsonl"))
    assert [lines(part) for part in parts] == [["a", "b"], ["c", "d"], ["e"]]
    told = json.loads((tmp_path / "told" / "summary.json").read_text())
    assert (told["done"], told["failed"]) == (4, {"unreadable": 1})


def test_a_run_that_is_interrupted_leaves_what_it_has_told(tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), Report(Place.of(str(tmp_path)), "told") as report:
        report.add(outcome("a"))
        raise KeyboardInterrupt
    assert files(tmp_path) == {"told/part-00000.jsonl"}, "no summary"
    assert lines(tmp_path / "told" / "part-00000.jsonl") == ["a"]


def test_a_report_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "told" / "summary.json").mkdir(parents=True)
    report = Report(Place.of(str(tmp_path)), "told")
    report.add(outcome("a"))
    with pytest.raises(OSError, match=r"the report cannot be written: .*summary\.json is a folder"):
        report.__exit__(None, None, None)
