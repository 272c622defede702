"""Folders that are named to a command, and the photos in them."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from chromaserve.photos.formats import is_photo_name


def photos_in(folder: Path, unreadable: Callable[[OSError], None]) -> list[Path]:
    """The photos in a folder and in those below it, in order; hidden ones are left out, and pipes.

    Args:
        folder: that is walked through; links to others are not followed.
        unreadable: is called for a folder that cannot be read.
    """
    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in names if is_photo_name(name)]
    return sorted(filter(may_be_file, found))


def may_be_file(path: Path) -> bool:
    """Whether it is a file, or cannot be had, which is told when it is read."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True
