"""What there is to do: a tree of photos in parcels, a folder at a time.

A folder and its counterpart in the target are listed once, by whichever worker has its turn. No
process holds more names than one folder has.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from chromaserve.cluster.places import Place
from chromaserve.library.made import Making
from chromaserve.photos.formats import SUFFIXES, WRITTEN, Wanted, is_photo_name, suffix_of
from chromaserve.photos.names import folded, result_names

REPORTS = "_reports"
"""Folder of the target that reports are written to."""


_MOST_HEAD, _MOST_TIFF = 1 << 20, 64 << 20


@dataclass(frozen=True)
class Shard:
    """A part of the tree: a folder alone, or with all that is below it."""

    folder: str
    deep: bool


@dataclass(frozen=True)
class Parcel:
    """Photos of one folder that one task colorizes."""

    names: list[str]
    """Relative to the source."""
    outputs: list[str] = field(default_factory=list)
    """Relative to the target, one a name."""
    done: int = 0
    """Photos that were in this parcel and have their output already."""
    folder: str = ""
    otherwise: bool = False
    """Whether a result that is there, the one looked at, was made with other options."""
    fault: str | None = None
    """Why the folder, or its counterpart, could not be listed; there are no names then."""


def shards(source: Place, enough: int) -> list[Shard]:
    """Divide a tree at its uppermost folders, so that many can list it at once.

    Args:
        source: the tree; folders are listed level by level until there are `enough` of them.
        enough: shards at which to stop.

    Raises:
        OSError: the source cannot be listed.
    """
    source.list("")
    found: list[Shard] = []
    level = [""]
    while level and len(found) + len(level) < enough:
        found += [Shard(folder, deep=False) for folder in level]
        level = [below for folder in level for below in _below_if_listed(source, folder)]
    return found + [Shard(folder, deep=True) for folder in level]


def parcels(
    source: Place,
    target: Place,
    shard: Shard,
    output: Wanted,
    size: int,
    *,
    apart: bool = False,
    making: Making | None = None,
) -> Iterator[Parcel]:
    """A shard's photos in parcels, those that have their output left out.

    The same photos are always in the same parcels, done or not: a task that is run again, because
    its machine was lost, gives its successors the same parcels.

    Args:
        source: where photos are.
        target: where their results are.
        shard: of the source.
        output: format of results.
        size: photos of a parcel.
        apart: whether each page has a result of its own, so that TIFFs may have some that are not
            there, whatever is.
        making: how results are to be made; one of each folder is looked at.
    """
    waiting = [shard.folder]
    while waiting:
        folder = waiting.pop()
        try:
            folders, files = source.list(folder)
            photos = [name for name in files if is_photo_name(name)]
            done = _complete(target, folder) if photos else set()
        except OSError as error:
            yield Parcel([], folder=folder, fault=f"{type(error).__name__}: {error}")
            continue
        if shard.deep:
            waiting += reversed(_below(folder, folders))
        results = result_names(photos, [suffix_of(name, output) for name in photos])
        if apart:
            results = _clear(photos, results)
        first = [_join(folder, name) for name in results if name in done][:1]
        otherwise = making is not None and any(_is_unlike(target, each, making) for each in first)
        both = list(zip(photos, results, strict=True))
        for start in range(0, len(both), size):
            pairs = both[start : start + size]
            left = [(n, r) for n, r in pairs if r not in done or (apart and _may_have_pages(n))]
            names, outputs = ([_join(folder, pair[n]) for pair in left] for n in (0, 1))
            yield Parcel(names, outputs, len(pairs) - len(left), folder, otherwise and not start)


def _may_have_pages(name: str) -> bool:
    return WRITTEN.get(f".{name.rpartition('.')[2].lower()}") == "tiff"


def _clear(photos: list[str], results: list[str]) -> list[str]:
    """The names that photos' pages are called after: in full, where a page would be called as the
    result of another photo is."""
    taken = set()
    for each in results:
        head, _, page = folded(each.rpartition(".")[0]).rpartition("-page-")
        if page.isdecimal():
            taken.add(head)
    clear = []
    for photo, result in zip(photos, results, strict=True):
        stem, _, suffix = result.rpartition(".")
        clear.append(f"{photo}.{suffix}" if folded(stem) in taken else result)
    return clear


def _is_unlike(target: Place, result: str, making: Making) -> bool:
    suffix = f".{result.rpartition('.')[2]}"
    most = _MOST_TIFF if suffix == SUFFIXES["tiff"] else _MOST_HEAD  # which has its tags at the end
    try:
        return making.is_unlike(target.read(result, most), suffix)
    except OSError:
        return False


def _complete(target: Place, folder: str) -> set[str]:
    """Names of a target folder's files, which is made if it is not there.

    What is whole is there: see `Place.write`. Only a file system that lost power leaves empty ones.
    """
    try:
        _, files = target.list(folder)
    except FileNotFoundError:
        target.make(folder)
        return set()
    target.tidy(folder, files)
    return {name for name, size in files.items() if size}


def _below(folder: str, names: list[str]) -> list[str]:
    return [_join(folder, name) for name in names if not name.startswith(".")]


def _below_if_listed(source: Place, folder: str) -> list[str]:
    try:
        return _below(folder, source.list(folder)[0])
    except OSError:
        return []  # the task that lists its photos meets the same, and tells of it


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
