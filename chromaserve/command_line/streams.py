"""A photo that comes from standard input or a pipe, or goes to standard output."""

import os
import sys
from pathlib import Path
from typing import Any

from chromaserve.command_line.colorists import Service, colorist
from chromaserve.command_line.exits import Complaint
from chromaserve.command_line.places import check_free, check_reference, format_of_file
from chromaserve.command_line.tasks import Task
from chromaserve.photos.formats import Wanted

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


def stream(
    photos: list[str],
    output: str | None,
    format: Wanted | None,
    service: Service,
    chosen: dict[str, Any],
    *,
    overwrite: bool,
) -> None:
    """One photo from standard input or to standard output."""
    from chromaserve.library.files import write_whole

    if output is None and photos[-1] == STREAM:
        photos, output = photos[:-1] or photos, STREAM
    if len(photos) > 1:
        raise Complaint("- is for one photo; where its result goes is named by -o")
    source, target = photos[0], output or STREAM
    if source == STREAM and target.endswith(("/", os.sep)):
        raise Complaint(f"- has no name for a result in {target}; name a file by -o")
    if target == STREAM:
        if sys.stdout is None or sys.stdout.isatty():
            what = "a terminal" if sys.stdout else "closed"
            raise Complaint(f"standard output is {what}; name a file for the result by -o")
    else:
        check_reference(chosen["reference"], [Task(Path(source), Path(target))])
        if not overwrite:
            check_free(Path(target))
    chosen["format"] = format_of_file(None if target == STREAM else Path(target), format)
    data = read(source, None if target == STREAM else Path(target))
    with colorist(service, chosen) as made:
        result = made.data(data)
    if target == STREAM:
        sys.stdout.buffer.write(result)
        sys.stdout.buffer.flush()
    else:
        write_whole(Path(target), result, replace=overwrite)
