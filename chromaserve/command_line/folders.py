"""Folders that are named to a command, and the photos in them."""

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from chromaserve.library.files import Identity, identity
from chromaserve.photos.formats import is_photo_name

COLOUR = "-colour"
"""How results are called that lie beside what they are of."""
RESULT = re.compile(rf"(.*){COLOUR}(-page-\d+)?(-[2-8]|-confidence)?")
"""A result's name, pages, further proposals and maps too, without its suffix."""


class Watcher(Protocol):
    """Is told, while inputs are looked for, of what gives no task; of the same perhaps again."""

    def unreadable(self, error: OSError) -> None:
        """A folder cannot be read."""

    def left_out(self, path: Path, kind: str) -> None:
        """It is no photo by its name, or a result itself."""


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


def photos_below(
    folder: Path, results: set[Identity | None], watcher: Watcher
) -> Iterator[tuple[Path, list[Path]]]:
    """Each folder in the tree, relative, with its photos, in order.

    Hidden ones are left out, results, folders of results, and what is no file: pipes, devices.
    """

    def tell(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # it is gone meanwhile
            watcher.unreadable(error)

    for place, folders, names in os.walk(folder, onerror=tell):
        parent = Path(place)
        there = {name for name in folders if not name.startswith(".")}
        for name in [n for n in there if n.endswith(COLOUR) and n.removesuffix(COLOUR) in there]:
            watcher.left_out(parent / name, f"folder named {COLOUR}")
            there.remove(name)
        folders[:] = sorted(name for name in there if identity(parent / name) not in results)
        photos = []
        for name in sorted(names):
            path = parent / name
            if name.startswith("."):
                continue
            if not is_photo_name(name):
                watcher.left_out(path, path.suffix.lower() or "without suffix")
            elif RESULT.fullmatch(path.stem):
                watcher.left_out(path, f"named {COLOUR}")
            elif may_be_file(path):
                photos.append(path)
            else:
                watcher.left_out(path, "pipe or device")
        yield parent.relative_to(folder), photos


def may_be_file(path: Path) -> bool:
    """Whether it is a file, or cannot be had, which is told when it is read."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True
