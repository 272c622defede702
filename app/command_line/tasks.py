"""Which photos a command is for, and where each one's result goes."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.command_line.exits import Complaint, Exit

PHOTO_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".dib")
)


@dataclass(frozen=True)
class Task:
    """One photo to colorize."""

    photo: Path
    output: Path

    @property
    def is_done(self) -> bool:
        """Whether the result is there and not older than the photo; results are written whole."""
        try:
            return self.output.stat().st_mtime_ns >= self.photo.stat().st_mtime_ns
        except OSError:
            return False


@dataclass(frozen=True)
class Plan:
    """Files and folders to colorize, and a place for the results."""

    inputs: tuple[Path, ...]
    output: Path | None
    """A file for one photo, else a folder; None: beside each input."""
    suffix: str
    """Of results."""

    @property
    def folders(self) -> list[Path]:
        """Those among the inputs that are folders."""
        return [path for path in self.inputs if path.is_dir()]

    @property
    def is_one_file(self) -> bool:
        """Whether it is about one photo alone."""
        return len(self.inputs) == 1 and not self.folders

    def tasks(self) -> list[Task]:
        """A task for each photo that is there now, folders in the order of their names.

        Raises:
            Complaint: an input is missing, or a result would take the place of something else.
        """
        found: list[Task] = []
        for path in self.inputs:
            if path.is_dir():
                found += self._in_folder(path)
            elif path.is_file():
                found.append(Task(path, self._for_file(path)))
            else:
                raise Complaint(f"there is no {path}", Exit.NOTHING_DONE)
        _check_places(found)
        return found

    def _for_file(self, photo: Path) -> Path:
        if self.output is None:
            return photo.with_name(f"{photo.stem}-colour{self.suffix}")
        if self.is_one_file and not self.output.is_dir():
            return self.output
        return self.output / f"{photo.stem}{self.suffix}"

    def _in_folder(self, folder: Path) -> Iterator[Task]:
        target = self._target(folder)
        for parent, photos in _photos(folder, target):
            stems = Counter(photo.stem for photo in photos)
            for photo in photos:
                # a.jpg and a.tif beside each other keep their whole names.
                stem = photo.stem if stems[photo.stem] == 1 else photo.name
                yield Task(photo, target / parent / f"{stem}{self.suffix}")

    def _target(self, folder: Path) -> Path:
        if self.output is None:
            whole = folder.resolve()
            return whole.with_name(f"{whole.name}-colour")
        return self.output if len(self.inputs) == 1 else self.output / folder.resolve().name


def _check_places(tasks: list[Task]) -> None:
    """Each result has a place of its own, and none is that of a photo."""
    photos = {task.photo.absolute() for task in tasks}
    taken: dict[Path, Path] = {}
    for task in tasks:
        place = task.output.absolute()
        if place in photos:
            raise Complaint(f"the result of {task.photo} would take the place of {place}")
        other = taken.setdefault(place, task.photo)
        if other != task.photo:
            raise Complaint(f"{other} and {task.photo} would both become {task.output}")


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _photos(folder: Path, target: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Each folder in the tree, relative, with its photos; hidden ones and results are left out."""
    results = target.resolve()
    for place, folders, names in os.walk(folder, onerror=_unless_gone):
        parent = Path(place)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and (parent / name).resolve() != results
        )
        photos = [
            parent / name
            for name in sorted(names)
            if not name.startswith(".") and Path(name).suffix.lower() in PHOTO_SUFFIXES
        ]
        yield parent.relative_to(folder), photos


def plan(arguments: list[str], output: str | None, suffix: str) -> Plan:
    """Tell inputs from the place for results.

    With `output` all arguments are inputs; without, a second argument is the place for the first
    one's result, and the last of several where it is a folder.

    Raises:
        Complaint: that cannot be told, or results would take the place of photos.
    """
    paths = [Path(argument) for argument in arguments]
    place = Path(output) if output else None
    if place is None and len(paths) == 2:
        place = paths.pop()
    elif place is None and len(paths) > 2:
        if not (paths[-1].is_dir() or arguments[-1].endswith(("/", os.sep))):
            raise Complaint("name the folder for the results of several photos with --output")
        place = paths.pop()
    made = Plan(tuple(paths), place, suffix)
    if place and place.is_file() and not made.is_one_file:
        raise Complaint(f"{place} is a file, and the results need a folder")
    if place and any(place.resolve() == folder.resolve() for folder in made.folders):
        raise Complaint("results cannot go into the folder of the photos itself; name another")
    return made
