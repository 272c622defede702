"""Files of results: nothing of a user's is replaced or removed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chromaserve.errors import BodyTooLarge
from chromaserve.library.files import file_size, part_name, read_pipe, sweep, write_whole


def ended_process() -> int:
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    return int(done.stdout)


def test_only_what_dead_processes_of_this_machine_left_is_removed(tmp_path: Path) -> None:
    dead = ended_process()
    own = part_name()
    theirs = [
        ".mine.part",
        f".{dead}.part",
        f".0123456789abcdef.{dead}.part",
        f".chromaserve-notes-{dead}.part",
        # Another machine's, which has a process of this number or had one.
        re.sub("-[0-9a-f]{12}-", "-ffffffffffff-", own.replace(f"-{os.getpid()}-", f"-{dead}-")),
        own,  # a live run's
        own.replace(f"-{os.getpid()}-", f"-{'9' * 30}-"),  # no process has this number
    ]
    left = own.replace(f"-{os.getpid()}-", f"-{dead}-")
    for name in [*theirs, left]:
        (tmp_path / name).write_bytes(b"half")
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(theirs)


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_file_that_came_meanwhile_keeps_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:  # as on FAT

        def refused(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(Path, "hardlink_to", refused)
    path = tmp_path / "new" / "a.png"
    write_whole(path, b"first", replace=False)
    with pytest.raises(FileExistsError, match=re.escape(str(path))):
        write_whole(path, b"second", replace=False)
    assert path.read_bytes() == b"first"
    write_whole(path, b"third")
    assert path.read_bytes() == b"third"
    path.write_bytes(b"")  # as a loss of power leaves it
    write_whole(path, b"fourth", replace=False)
    assert path.read_bytes() == b"fourth"
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "not yet")
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "nowhere.png", b"", replace=False)
    assert {each.name for each in path.parent.iterdir()} == {"a.png"}


@pytest.mark.parametrize("replace", [True, False])
def test_a_result_is_on_the_drive_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    path = tmp_path / "a.png"
    kept = []
    keep = os.fsync

    def fsync(number: int) -> None:
        keep(number)
        kept.append((os.fstat(number).st_ino, os.fstat(number).st_size, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(path, b"all of it", replace=replace)
    assert kept == [(path.stat().st_ino, 9, False)]


def test_what_may_never_end_is_not_read(tmp_path: Path) -> None:
    zero = tmp_path / "zero.jpg"
    zero.symlink_to("/dev/zero")
    with pytest.raises(OSError, match="neither a file nor a pipe"):
        file_size(zero, 1000)
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate(12 * 10**9)
    with pytest.raises(BodyTooLarge, match="more than 1,000 bytes"):
        file_size(large, 1000)
    with zero.open("rb") as endless, pytest.raises(BodyTooLarge):
        read_pipe(endless, 1000)
