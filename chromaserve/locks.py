"""A folder for one at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Have a folder, which is made, until the block or the process ends in any way.

    Systems and drives without such locks let all have it.

    Raises:
        BlockingIOError: another one has it.
    """
    lock = _locked(folder)
    try:
        yield
    finally:
        if lock:
            Path(lock.name).unlink(missing_ok=True)
            lock.close()


def _locked(folder: Path) -> TextIO | None:
    while True:
        folder.mkdir(exist_ok=True)
        if os.name != "posix":
            return None
        from fcntl import LOCK_EX, LOCK_NB, flock

        try:
            file = (folder / "lock").open("w")
        except FileNotFoundError:  # the one before has just removed the folder
            continue
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            file.close()
            raise
        except OSError:  # the drive has none
            pass
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # it was removed in between, and the next one would make another
