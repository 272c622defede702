"""When files were written, and whether results of this run and their photos are still as then."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chromaserve.command_line.tasks import Task

Stamp = tuple[int, int]


def written_ns(status: os.stat_result) -> int:
    """When a file was written: by its time, or when it came here if that lies in the future."""
    return min(status.st_mtime_ns, status.st_ctime_ns)


def stamp_of(path: Path) -> Stamp | None:
    """Something that changes with the file; None where it is gone or empty."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (written_ns(status), status.st_size) if status.st_size else None


class Written:
    """Results of this run, as long as nobody else changes them: they may be made anew."""

    def __init__(self) -> None:
        self._photos: dict[Path, Stamp | None] = {}
        """By results: their photos, before these were read."""
        self._stamps: dict[Path, Stamp | None] = {}
        self._expected: dict[Path, tuple[Task, Stamp | None]] = {}

    def expect(self, tasks: "Iterable[Task]") -> None:
        """Their results are on their way."""
        for task in tasks:
            self._expected[task.output] = task, stamp_of(task.output)
            self._photos[task.output] = stamp_of(task.photo)

    def note(self, task: "Task", *, failed: bool) -> None:
        """It is known what became of it."""
        self._expected.pop(task.output, None)
        if not failed:
            self._stamps[task.output] = stamp_of(task.output)

    def untold(self) -> "list[Task]":
        """Those expected whose results are there, though the run ended before it was known."""
        return [
            task
            for task, before in self._expected.values()
            if stamp_of(task.output) not in (None, before)
        ]

    def is_of_another(self, result: Path, photo: Stamp) -> bool:
        """Whether it is of this run, and the photo has changed since, whichever time it has."""
        ours = result in self._stamps and self._stamps[result] == stamp_of(result)
        return ours and self._photos[result] != photo
