"""Which photos a command is for, and where each one's result goes."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from chromaserve.command_line.exits import Complaint, Exit
from chromaserve.command_line.folders import COLOUR, RESULT, Watcher, photos_below, with_others
from chromaserve.command_line.written import written_ns
from chromaserve.library.files import Identity, identity, of_page, pages_apart
from chromaserve.photos.formats import WRITTEN, Wanted, suffix_of
from chromaserve.photos.names import folded, result_names


@dataclass(frozen=True)
class Task:
    """One photo to colorize."""

    photo: Path
    output: Path
    replace: bool = False
    """Whether the result takes the place of a file that is there."""
    proposal: int = 1
    """Which colouring of the photo."""
    confidence: bool = False
    """Whether it is a map of confidence, of the first colouring."""
    page: int | None = None
    """Which page of its file has a result of its own."""

    @property
    def is_done(self) -> bool:
        """Whether a file is where the result goes. Results are written whole; an empty one is what
        a loss of power left."""
        try:
            there = self.output.stat()
        except OSError:
            return False
        return stat.S_ISREG(there.st_mode) and there.st_size > 0

    @property
    def is_tiff(self) -> bool:
        """Whether the result is a TIFF, which takes all pages."""
        return WRITTEN.get(self.output.suffix.lower()) == "tiff"

    @property
    def is_outdated(self) -> bool:
        """Whether the file there is older than the photo."""
        try:
            return self.output.stat().st_mtime_ns < written_ns(self.photo.stat())
        except OSError:
            return False

    def of_proposal(self, number: int) -> "Task":
        """The same for another colouring, whose result has its number: NAME-colour-2.png."""
        if number == 1:
            return self
        output = self.output.with_stem(f"{self.output.stem}-{number}")
        return replace(self, output=output, proposal=number)

    def of_confidence(self) -> "Task":
        """The map of how sure the colours are: NAME-colour-confidence.png."""
        output = self.output.with_name(f"{self.output.stem}-confidence.png")
        return replace(self, output=output, confidence=True)

    def of_pages(self, damaged: str | None) -> "list[Task]":
        """One for each page of its file that is to have a result of its own; see `pages_apart`."""
        pages = [None] if self.is_tiff else pages_apart(self.photo, damaged)
        return [replace(self, output=of_page(self.output, each), page=each) for each in pages]

    def anew(self) -> "Task":
        """The same, whatever is there."""
        return replace(self, replace=self.is_done)


@dataclass(frozen=True)
class Plan:
    """Files and folders to colorize, and a place for the results."""

    inputs: tuple[Path, ...]
    output: Path | None
    """A file for one photo, else a folder; None: beside each input."""
    format: Wanted
    """Of results."""
    into_folder: bool = False
    """Whether `output` is named as a folder, "colour/", though it may not be there yet."""
    proposals: int = 1
    """Colourings of each photo."""
    confidence: bool = False
    """Whether each photo has a map of confidence too."""
    pages: str | None = None
    damaged: str | None = None
    """As the options."""

    @property
    def folders(self) -> list[Path]:
        """Those among the inputs that are folders."""
        return [path for path in self.inputs if path.is_dir()]

    @property
    def is_one_file(self) -> bool:
        """Whether it is about one photo alone."""
        return len(self.inputs) == 1 and not self.folders

    @property
    def file(self) -> Path | None:
        """The one file that results go to; None where they have names of their own."""
        if self.output is None or not self.is_one_file or self.into_folder:
            return None
        return None if self.output.is_dir() else self.output

    def tasks(self, watcher: Watcher) -> list[Task]:
        """A task for each colouring and map of each photo there is, in the order in which they are
        named, folders in their names' order.

        Args:
            watcher: told of what is not among them.

        Raises:
            Complaint: an input is missing, or a result would take the place of something else.
        """
        found: list[Task] = []
        named = {task.photo: task for task in self._of_files(watcher)}
        for path in self.inputs:
            if path.is_dir():
                found += self._in_folder(path, watcher)
            elif path in named:
                found.append(named.pop(path))
        if self.pages == "all":  # those alike together
            pages = [one for each in found for one in each.of_pages(self.damaged)]
            found = sorted(pages, key=lambda task: task.page or 0)
        numbers = range(1, self.proposals + 1)
        tasks = [each.of_proposal(n) for n in numbers for each in found]
        tasks += [each.of_confidence() for each in found if self.confidence]
        return _without_clashes(tasks)

    def _hint(self, missing: Path) -> str:
        meant = self.output is None and len(self.inputs) > 1 and missing == self.inputs[-1]
        return f"; where results go is named by -o: -o {missing}" if meant else ""

    def _of_files(self, watcher: Watcher) -> Iterator[Task]:
        """Photos that are named one by one."""
        folders: dict[Path, dict[str, Path]] = {}
        for path in self.inputs:
            if path.is_dir():
                continue
            if not path.exists():
                raise Complaint(f"there is no {path}{self._hint(path)}", Exit.NOTHING_DONE)
            folders.setdefault(path.parent.resolve(), {}).setdefault(path.name, path)
        for folder, there in folders.items():
            photos = _originals(there, watcher)
            if self.file:
                yield from (Task(photo, self.file) for photo in photos)
                continue
            own = self.output is None or identity(self.output) == identity(folder)
            all_there = with_others(folder, {photo.name for photo in photos})
            names = self._names(all_there, COLOUR if own else "")
            for photo in photos:
                yield Task(photo, (self.output or photo.parent) / names[photo.name])

    def _names(self, photos: Sequence[str], ending: str = "") -> dict[str, str]:
        """Photos of one folder with the names of their results."""
        endings = [ending + suffix_of(name, self.format) for name in photos]
        return dict(zip(photos, result_names(photos, endings), strict=True))

    def _in_folder(self, folder: Path, watcher: Watcher) -> Iterator[Task]:
        target = self._target(folder)
        results = {identity(target), identity(self.output or target)}
        if identity(folder) in results:
            raise Complaint(
                f"results cannot go into the folder of the photos itself, {folder}; name another"
            )
        for parent, photos in photos_below(folder, results, watcher):
            for photo, name in self._names([photo.name for photo in photos]).items():
                yield Task(folder / parent / photo, target / parent / name)

    def _target(self, folder: Path) -> Path:
        """Where a folder's results go. A link to one counts by its own name and place."""
        if self.output and len(self.inputs) == 1:
            return self.output
        named = folder if folder.name not in ("", "..") else folder.resolve()
        if not named.name:
            raise Complaint(f"{folder} has no name for its results; colorize it alone, with -o")
        if self.output:
            return self.output / named.name
        beside = named.with_name(f"{named.name}{COLOUR}")
        as_given = named is folder or folder.is_absolute()
        return beside if as_given else Path(os.path.relpath(beside))


def _without_clashes(tasks: list[Task]) -> list[Task]:
    """Each photo once, its result with a place of its own, which is no photo's.

    Raises:
        Complaint: it is not so.
    """
    folders, resolved = cache(identity), cache(Path.resolve)
    photos = {identity(task.photo) for task in tasks} - {None}
    taken: dict[tuple[Identity | Path, str], Path] = {}
    kept = []
    for task in tasks:
        if identity(task.output) in photos:
            raise Complaint(f"the result of {task.photo} would take the place of {task.output}")
        folder = task.output.parent
        # By name: files that are there may be one by links, and a result takes a link's own place.
        place = folders(folder) or resolved(folder), folded(task.output.name)
        other = taken.setdefault(place, task.photo)
        if other is task.photo:
            kept.append(task)
        elif identity(other) != identity(task.photo):
            raise Complaint(f"{other} and {task.photo} would both become {task.output}")
    return kept


def _originals(photos: dict[str, Path], watcher: Watcher) -> list[Path]:
    """Those photos of a folder, by their names, that are no results of others among them.

    A pattern such as *.png means both, when it is used again.
    """
    stems = {path.stem for path in photos.values()} | photos.keys()
    kept = []
    for path in photos.values():
        result = RESULT.fullmatch(path.stem)
        if result and result[1] in stems:
            watcher.left_out(path, f"named {COLOUR}")
        else:
            kept.append(path)
    return kept


def plan(arguments: list[str], output: str | None, format: Wanted) -> Plan:
    """What to colorize and where to: arguments are inputs, the last one too: so *.jpg is safe.

    Raises:
        Complaint: the results need a folder, and a file is there, or named.
    """
    place = Path(output) if output else None
    into_folder = (output or "").endswith(("/", os.sep))
    made = Plan(tuple(map(Path, arguments)), place, format, into_folder)
    if place and not made.is_one_file and not place.is_dir():
        if place.is_file():
            raise Complaint(f"{place} is a file, and the results need a folder")
        if place.suffix.lower() in WRITTEN and not into_folder:
            raise Complaint(
                f"{place} is named as one photo, and the results need a folder; end its name with /"
                " if it is to be called so"
            )
    return made
