"""Which photos a command is for, and where each one's result goes."""

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chromaserve.command_line.exits import Complaint, Exit

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
            result, photo = self.output.stat(), self.photo.stat()
        except OSError:
            return False
        return stat.S_ISREG(result.st_mode) and result.st_mtime_ns >= written_ns(photo)


def written_ns(status: os.stat_result) -> int:
    """When a file was written: by its time, or when it came here if that lies in the future."""
    return min(status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True)
class Plan:
    """Files and folders to colorize, and a place for the results."""

    inputs: tuple[Path, ...]
    output: Path | None
    """A file for one photo, else a folder; None: beside each input."""
    suffix: str
    """Of results."""
    into_folder: bool = False
    """Whether `output` is named as a folder, "colour/", though it may not be there yet."""

    @property
    def folders(self) -> list[Path]:
        """Those among the inputs that are folders."""
        return [path for path in self.inputs if path.is_dir()]

    @property
    def is_one_file(self) -> bool:
        """Whether it is about one photo alone."""
        return len(self.inputs) == 1 and not self.folders

    def tasks(self, unreadable: Callable[[OSError], None]) -> list[Task]:
        """A task for each photo that is there now, folders in the order of their names.

        Args:
            unreadable: told of each folder that cannot be read.

        Raises:
            Complaint: an input is missing, or a result would take the place of something else.
        """
        found: list[Task] = []
        for path in self.inputs:
            if path.is_dir():
                found += self._in_folder(path, unreadable)
            elif path.exists():
                found.append(Task(path, self._for_file(path)))
            else:
                raise Complaint(f"there is no {path}", Exit.NOTHING_DONE)
        _check_places(found)
        return found

    def _for_file(self, photo: Path) -> Path:
        if self.output is None:
            return photo.with_name(f"{photo.stem}-colour{self.suffix}")
        if self.is_one_file and not (self.into_folder or self.output.is_dir()):
            return self.output
        return self.output / f"{photo.stem}{self.suffix}"

    def _in_folder(self, folder: Path, unreadable: Callable[[OSError], None]) -> Iterator[Task]:
        target = self._target(folder)
        results = {target.resolve(), (self.output or target).resolve()}
        for parent, photos in _photos(folder, results, unreadable):
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


def _photos(
    folder: Path, results: set[Path], unreadable: Callable[[OSError], None]
) -> Iterator[tuple[Path, list[Path]]]:
    """Each folder in the tree, relative, with its photos.

    Hidden ones are left out, the folders of results, and pipes, which may have nobody who writes.
    """

    def tell(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # it is gone meanwhile
            unreadable(error)

    for place, folders, names in os.walk(folder, onerror=tell):
        parent = Path(place)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and (parent / name).resolve() not in results
        )
        photos = [
            parent / name
            for name in sorted(names)
            if not name.startswith(".")
            and Path(name).suffix.lower() in PHOTO_SUFFIXES
            and not (parent / name).is_fifo()
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
    place, named = Path(output) if output else None, output or arguments[-1]
    into_folder = named.endswith(("/", os.sep))
    if place is None and len(paths) == 2:
        place = paths.pop()
    elif place is None and len(paths) > 2:
        if not (paths[-1].is_dir() or into_folder):
            raise Complaint("name the folder for the results of several photos with --output")
        place = paths.pop()
    made = Plan(tuple(paths), place, suffix, into_folder)
    if place and place.is_file() and not made.is_one_file:
        raise Complaint(f"{place} is a file, and the results need a folder")
    if place and any(place.resolve() == folder.resolve() for folder in made.folders):
        raise Complaint("results cannot go into the folder of the photos itself; name another")
    return made
