"""A photo that comes from standard input or a pipe, or goes to standard output."""

import os
import sys
from pathlib import Path

from chromaserve.command_line.exits import Complaint

STREAM = "-"
MOST_BYTES = 2**30
"""Of a photo that is not a file, or goes into none."""


def read(source: str, target: Path | None) -> bytes:
    """A photo whose file, from which standard input may come, is not where its result goes."""
    from chromaserve.library.files import file_size, identity, read_pipe

    if source == STREAM and sys.stdin is None:
        raise Complaint("standard input is closed, and no photo comes from there")
    with sys.stdin.buffer if source == STREAM else Path(source).open("rb") as file:
        status = os.fstat(file.fileno())
        if target and identity(target) == (status.st_dev, status.st_ino):
            raise Complaint(f"the result would take the place of the photo, {target}")
        if source != STREAM:
            file_size(Path(source), MOST_BYTES)
        return read_pipe(file, MOST_BYTES)
