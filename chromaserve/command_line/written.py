"""When files were written, and whether results of this run are still as it left them."""

import os
from pathlib import Path

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
        self._stamps: dict[Path, Stamp | None] = {}

    def add(self, result: Path) -> None:
        """It is written."""
        self._stamps[result] = stamp_of(result)

    def __contains__(self, result: Path) -> bool:
        return result in self._stamps and self._stamps[result] == stamp_of(result)
