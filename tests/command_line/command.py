"""The command in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import BinaryIO
from unittest.mock import patch

from chromaserve.client.retries import Attempts

SAMPLES = Path(__file__).parents[2] / "samples" / "grey"
# A job in a shell's background ignores SIGINT, and so would all that the tests start.
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from chromaserve.command_line.main import main
main()
"""
START = [sys.executable, "-c", PROGRAM]
LONGEST_S = 120


def environment(**more: str) -> dict[str, str]:
    others = {k: v for k, v in os.environ.items() if not k.startswith("CHROMASERVE_")}
    return {**others, **more}


def run(
    *arguments: object, stdin: bytes | BinaryIO = b"", **more: str
) -> "subprocess.CompletedProcess[bytes]":
    """Run it to its end; never on a terminal."""
    return subprocess.run(
        [*START, *map(str, arguments)],
        input=stdin if isinstance(stdin, bytes) else None,
        stdin=None if isinstance(stdin, bytes) else stdin,
        capture_output=True,
        env=environment(**more),
        timeout=LONGEST_S,
        check=False,
    )


def start(*arguments: object) -> "subprocess.Popen[bytes]":
    """Start it, and leave it running."""
    return subprocess.Popen(
        [*START, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )


def on_terminal(*arguments: object) -> tuple[int, str]:
    """Run it on a terminal: its exit status, and what the terminal was sent."""
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [*START, *map(str, arguments)],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environment(TERM="xterm", COLUMNS="100"),
    ) as process:  # fmt: skip
        os.close(theirs)
        end = Timer(LONGEST_S, process.kill)
        end.start()
        sent = b""
        with suppress(OSError):  # how reading ends when nobody has the terminal any more
            while piece := os.read(ours, 65536):
                sent += piece
        status = process.wait()
        end.cancel()
    os.close(ours)
    return status, sent.decode()


def said(done: "subprocess.CompletedProcess[bytes]") -> str:
    """What it said, never a stack."""
    told = done.stderr.decode()
    assert "Traceback" not in told
    return told


@contextmanager
def at_once() -> Iterator[None]:
    """Clients of this process send again without waiting."""
    pause_s = Attempts.pause_s

    def none_s(self: Attempts, asked_s: float | None = None, *, away: bool = False) -> float | None:
        return None if pause_s(self, asked_s, away=away) is None else 0.0

    with patch.object(Attempts, "pause_s", none_s):
        yield


def files(folder: Path) -> set[str]:
    """Every file in a tree, hidden ones too, by its path in it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
