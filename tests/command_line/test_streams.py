"""Standard streams that are closed, full or of few letters; signals while modules are loaded."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line.command import SAMPLES, START, environment, run, said
from tests.sample_photos import decoded, encoded, small

PHOTO = SAMPLES / "cat.jpg"
FULL = Path("/dev/full")
STARTING = """
import os, signal, sys

class AtImport:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.{name})

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, AtImport())
sys.argv = ["chromaserve", "serve", "--port", "0"]
from chromaserve.__main__ import main
main()
"""
"""A start that a signal comes in the middle of."""
AS_PROCESS_1 = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")


def without(streams: str, *arguments: object, **more: str) -> "subprocess.CompletedProcess[bytes]":
    """Run it with streams closed, or led elsewhere, as a shell writes it."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", *START, *map(str, arguments)],
        capture_output=True, env=environment(**more), timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture
def store(small_root: Path) -> dict[str, str]:
    return {"CHROMASERVE_MODEL_ROOT": str(small_root)}


@pytest.mark.slow
def test_words_go_nowhere_where_standard_error_is_closed_or_full(
    tmp_path: Path, store: dict[str, str]
) -> None:
    for streams in ("2>&-", f"2>{FULL}"):
        done = without(streams, "colorize", PHOTO, "-", **store)
        assert done.returncode == 0
        assert decoded(done.stdout).shape == (*decoded(PHOTO.read_bytes()).shape[:2], 3)
        done = without(streams, "colorize", PHOTO, PHOTO, "-o", tmp_path / streams[-1], **store)
        assert (done.returncode, done.stdout) == (0, b"")
        done = without(streams, "colorize", "nowhere.jpg")
        assert (done.returncode, done.stdout) == (3, b"")


def test_a_closed_stream_that_is_needed_is_told_of(store: dict[str, str]) -> None:
    for streams, arguments, words in (
        (">&-", ("colorize", PHOTO, "-"), "standard output is closed"),
        ("<&-", ("colorize", "-", "-o", "x.png"), "standard input is closed"),
        (">&-", ("video", "--width", 9, "--height", 9), "one pipe"),
    ):
        done = without(streams, *arguments, **store)
        assert done.returncode == 2
        assert words in said(done)


@pytest.mark.slow
def test_a_full_disk_behind_standard_output_is_no_fault_of_a_photo(store: dict[str, str]) -> None:
    for arguments in (
        ["inspect", PHOTO, PHOTO],
        ["--help"],
        ["--version"],
        ["colorize", PHOTO, "-"],
    ):
        done = without(f">{FULL}", *arguments, **store)
        assert done.returncode == 1, arguments
        assert said(done) == "chromaserve: No space left on device\n"


def test_who_reads_no_further_has_seen_no_bad_photo() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as output:
        done = subprocess.run(
            [*START, "inspect", str(PHOTO)], stdout=output, stderr=subprocess.PIPE,
            env=environment(), check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, b"")


def test_letters_that_an_encoding_lacks_end_nothing() -> None:
    done = run("inspect", PHOTO, PYTHONIOENCODING="ascii:strict")
    assert (done.returncode, said(done)) == (0, "")
    assert rb"\xd7" in done.stdout
    assert run("--help", PYTHONIOENCODING="ascii:strict").returncode == 0


def test_a_folder_has_all_its_photos_named_those_too_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(small("L"), "PNG"))
    (tmp_path / "b.png").symlink_to("nowhere.png")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "c.png").write_bytes(b"no photo")
    done = run("inspect", tmp_path)
    assert done.returncode == 1
    assert said(done) == f"chromaserve: {tmp_path / 'b.png'}: No such file or directory\n"


def started(*before: str, module: str, name: str) -> "subprocess.CompletedProcess[bytes]":
    program = STARTING.format(module=module, name=name)
    return subprocess.run(
        [*before, sys.executable, "-c", program],
        capture_output=True, env=environment(), timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("module", "name", "status"),
    [
        ("typer", "SIGINT", -signal.SIGINT),
        ("typer", "SIGTERM", -signal.SIGTERM),
        ("cv2", "SIGINT", 0),  # the service's own, which has accepted nothing yet
        ("cv2", "SIGTERM", 0),
    ],
)
def test_a_signal_while_modules_are_loaded_ends_it_without_a_stack(
    module: str, name: str, status: int
) -> None:
    done = started(module=module, name=name)
    assert (done.returncode, done.stderr) == (status, b"")


def test_process_1_of_a_container_hears_sigterm_from_its_first_moment_on() -> None:
    if subprocess.run([*AS_PROCESS_1, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody have a process 1")
    done = started(*AS_PROCESS_1, module="typer", name="SIGTERM")
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, b"")
