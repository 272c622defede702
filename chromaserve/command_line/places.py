"""The places where results go: that they can, and what runs left there that were killed."""

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from chromaserve.command_line.exits import Complaint, Exit
from chromaserve.command_line.tasks import Task
from chromaserve.library.files import format_named, format_of, identity, sweep
from chromaserve.photos.formats import Wanted


def check_words(words: Iterable[str | None]) -> None:
    """See that no name is empty, which would be the folder that the command runs in.

    Raises:
        Complaint: one is.
    """
    if "" in words:
        raise Complaint("a name is empty; perhaps it is of a variable that is not set")


def check_free(output: Path, photo: Path | None = None) -> None:
    """See that no file is in a result's way; that it is the photo's own is told elsewhere."""
    if photo and identity(output) == identity(photo):
        return
    if output.is_file() or (output.is_symlink() and not output.exists()):
        raise Complaint(f"{output} is there already; --overwrite replaces it")


def format_of_file(output: Path | None, chosen: Wanted | None) -> str:
    """The encoding of one result: as chosen, or as its file is named, which must agree."""
    named = format_named(output) if output else None
    if chosen == "same" and output:
        raise Complaint("--format same names the result itself; name a folder by -o")
    if chosen and named and chosen != named:
        raise Complaint(f"{output} is named as {named}, and --format says {chosen}")
    return chosen or format_of(output)


def check_reference(reference: Path | None, tasks: Iterable[Task]) -> None:
    """See that no result takes the place of the reference, from which others have their colours.

    Raises:
        Complaint: one would.
    """
    there = identity(reference) if reference else None
    for task in tasks if there else ():
        if identity(task.output) == there:
            raise Complaint(
                f"the result of {task.photo} would take the place of the reference, {reference}"
            )


def refused(tasks: Iterable[Task]) -> dict[Task, Complaint]:
    """Tasks whose results cannot be written, as a folder does not allow it."""
    above = cache(_nearest)
    found = {}
    for task in tasks:
        place = above(task.output.parent)
        if not os.access(place, os.W_OK | os.X_OK) and not _is_written_to(task.output):
            problem = f"{place} cannot be written to; name another place by -o"
            found[task] = Complaint(problem, Exit.NOTHING_DONE)
    return found


def sweep_up(tasks: Iterable[Task]) -> None:
    """Remove what was being written in the folders of results when it was killed."""
    for folder in {task.output.parent for task in tasks}:
        if folder.is_dir():
            sweep(folder)


def _nearest(folder: Path) -> Path:
    """The folder, or the first above it that is there, in which it will be made."""
    while not os.path.exists(folder) and folder != folder.parent:  # noqa: PTH110 - never raises
        folder = folder.parent
    return folder


def _is_written_to(output: Path) -> bool:
    """Whether it is a device or a pipe, which no file takes the place of."""
    return os.path.exists(output) and not os.path.isfile(output)  # noqa: PTH110, PTH113
