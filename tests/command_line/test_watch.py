"""`chromaserve colorize --watch`: photos that come or change."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from watchfiles import watch

from chromaserve.command_line.report import Report
from chromaserve.command_line.tasks import Task, plan
from chromaserve.command_line.watch import watched
from chromaserve.command_line.written import Written
from chromaserve.library.files import write_whole
from tests.command_line.command import SAMPLES, files, start
from tests.conftest import Server
from tests.sample_photos import encoded, small
from tests.small_network import small_server_instead

# Nothing here is about colours.
server = small_server_instead

CAT = SAMPLES / "cat.jpg"
DEADLINE_S = 60


def wait_until(
    there: Callable[[], bool], folder: Path, watching: "subprocess.Popen[bytes]"
) -> None:
    end = time.monotonic() + DEADLINE_S
    for _ in watch(folder, rust_timeout=200, yield_on_timeout=True, watch_filter=None):
        if there():
            return
        assert watching.poll() is None, watching.communicate()
        assert time.monotonic() < end, files(folder)


def test_a_watched_folder(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    out.mkdir()
    shutil.copy(CAT, photos / "first.jpg")
    watching = start("colorize", photos, "-o", out, "--watch")

    def wait_for(name: str, since: int = 0) -> Path:
        path = out / name
        wait_until(lambda: path.exists() and path.stat().st_mtime_ns > since, out, watching)
        return path

    try:
        first = wait_for("first.png").stat().st_mtime_ns
        # Written in two parts: the first alone is a damaged photo.
        data = CAT.read_bytes()
        with (photos / "second.jpg").open("wb") as file:
            file.write(data[:6000])
            file.flush()
            shutil.copy(SAMPLES / "coffee.jpg", photos / "first.jpg")  # a changed one
            wait_for("first.png", since=first)
            file.write(data[6000:])
        assert wait_for("second.png").stat().st_size > 0
        watching.send_signal(signal.SIGTERM)
        _, told = watching.communicate(timeout=DEADLINE_S)
    finally:
        watching.kill()
    assert watching.returncode == 0, told  # the half photo may have been tried, but is done now
    assert b"3 colorized" in told
    assert b"Traceback" not in told
    assert files(out) == {"first.png", "second.png"}


@pytest.mark.slow
def test_sigterm_ends_the_first_pass_as_it_ends_watching(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    out.mkdir()
    for n in range(60):
        shutil.copy(CAT, photos / f"{n:02}.jpg")
    watching = start("colorize", photos, "-o", out, "--watch")
    try:
        wait_until(lambda: bool(files(out) & {f"{n:02}.png" for n in range(60)}), out, watching)
        watching.send_signal(signal.SIGTERM)
        _, told = watching.communicate(timeout=DEADLINE_S)
    finally:
        watching.kill()
    assert watching.returncode == 0, told
    assert b"Traceback" not in told
    assert 0 < len(files(out)) < 60
    assert not {name for name in files(out) if not name.endswith(".png")}


@pytest.mark.slow
def test_a_photo_that_comes_gets_each_of_its_results(tmp_path: Path, server: Server) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    out.mkdir()
    photo = encoded(small("L"), "PNG")
    (photos / "there.png").write_bytes(photo)
    options = ("--pages", "all", "--proposals", "2", "--confidence")
    watching = start("colorize", photos, "-o", out, "--watch", *options, "--url", server.url)
    each = ("there", "book-page-1", "book-page-2", "leaf")
    expected = {f"{name}{end}.png" for name in each for end in ("", "-2", "-confidence")}
    try:
        wait_until((out / "there-confidence.png").exists, out, watching)
        pages = encoded(small("L"), "TIFF", save_all=True, append_images=[small("L", (60, 40))])
        (photos / "book.tif").write_bytes(pages)
        (photos / "leaf.png").write_bytes(photo)
        wait_until(lambda: files(out) >= expected, out, watching)
        watching.send_signal(signal.SIGTERM)
        _, told = watching.communicate(timeout=DEADLINE_S)
    finally:
        watching.kill()
    assert watching.returncode == 0, told
    assert files(out) == expected


@pytest.mark.parametrize("late", [True, False], ids=["while colorized", "by an older one"])
def test_a_photo_that_changes_is_done_once_more_whatever_its_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """A scanner's program adds tags meanwhile; `rsync -a` and `mv` keep the times of files."""
    photo, result = tmp_path / "photos" / "a.jpg", tmp_path / "out" / "a.png"
    work = plan([str(photo.parent)], str(result.parent), "png")
    tasks = partial(work.tasks, Report(quiet=True, as_json=False))
    written = Written()
    made: list[bytes] = []

    def put(content: bytes, ago_s: float) -> None:
        write_whole(photo, content)
        os.utime(photo, (time.time() - ago_s,) * 2)

    def colorize(todo: list[Task]) -> None:
        written.expect(todo)
        for task in todo:
            content = task.photo.read_bytes()
            if late and not made:
                put(b"scan with tags", 50)
            made.append(content)
            write_whole(task.output, content, replace=task.replace)
            written.note(task, failed=False)

    def changes(*_folders: object, **_options: object) -> Iterator[set[object]]:
        yield set()
        if not late:
            put(b"another scan", 5000)
        for _ in range(3):
            yield {photo}

    monkeypatch.setattr("chromaserve.command_line.watch.watch", changes)
    put(b"scan", 100)
    colorize(tasks())
    for todo in watched(work.folders, tasks, written, overwrite=False, poll=False):
        colorize(todo)
    assert made == [b"scan", b"scan with tags" if late else b"another scan"]
    assert result.read_bytes() == made[1]
