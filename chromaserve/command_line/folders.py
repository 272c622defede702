"""Folders that are named to a command, and the photos in them."""

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from chromaserve.library.files import Identity, identity
from chromaserve.photos.formats import is_photo_name
from chromaserve.photos.names import folded

COLOUR = "-colour"
"""How results are called that lie beside what they are of."""
RESULT = re.compile(rf"(.*){COLOUR}(-page-\d+)?(-[2-8]|-confidence)?", re.DOTALL)
"""A result's name, pages, further proposals and maps too, without its suffix."""
LINKED = "linked folder"
"""What is left out where a folder has links to others."""


class Watcher(Protocol):
    """Is told, while inputs are looked for, of what gives no task; of the same perhaps again."""

    def unreadable(self, error: OSError) -> None:
        """A folder cannot be read."""

    def left_out(self, path: Path, kind: str) -> None:
        """It is no photo by its name, or a result itself, or a link to a folder."""


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

    Hidden ones are left out, results, folders of results, links to folders, which may lead in
    circles, and what is no file: pipes, devices.
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
        there = {name for name in there if identity(parent / name) not in results}
        for name in sorted(there):
            if os.path.islink(parent / name):  # noqa: PTH114 - a path may be too long to ask
                watcher.left_out(parent / name, LINKED)
        folders[:] = sorted(there)
        photos = []
        for name in sorted(names):
            path = parent / name
            if name.startswith("."):
                continue
            if kind := _kind_left_out(path):
                watcher.left_out(path, kind)
            else:
                photos.append(path)
        yield parent.relative_to(folder), photos


def with_others(folder: Path, named: set[str]) -> list[str]:
    """Photos of a folder that are named one by one, and the others in it, by their names, in order.

    What a result is called hangs on them all, so that a photo that is named tomorrow is another's.
    """
    try:
        with os.scandir(folder) as entries:
            there = {each.name for each in entries if is_photo_name(each.name)}
    except OSError:  # who may pass through a folder may not look into it
        there = set()
    # Some disk finds one by a name that it does not list: in other case, or composed otherwise.
    unlisted = {folded(name) for name in named - there}
    others = {
        name
        for name in there
        if not name.startswith(".")
        and folded(name) not in unlisted
        and not _kind_left_out(folder / name)
    }
    return sorted(others.union(named))


def _kind_left_out(path: Path) -> str:
    """What a file is that is no photo to colorize, in a few words; empty for one that is."""
    if not is_photo_name(path.name):
        return path.suffix.lower() or "without suffix"
    if RESULT.fullmatch(path.stem):
        return f"named {COLOUR}"
    return "" if may_be_file(path) else "pipe or device"


def may_be_file(path: Path) -> bool:
    """Whether it is a file, or cannot be had, which is told when it is read."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True
