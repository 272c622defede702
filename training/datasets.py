"""The registry of data sets: what each is, where a user gets it, whether it lies in its place."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from pydantic import Field

from .config import Section, read_toml
from .errors import DataError

REGISTRY = Path(__file__).parent / "configs" / "datasets.toml"
PREFIX = "dataset:"
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif"}


class DataSet(Section):
    """An entry of the registry; `datasets.toml` says what each field means."""

    title: str
    kind: str
    folder: str
    layout: tuple[str, ...] = ()
    photos: int | None = Field(None, ge=1)
    thesis: int | None = Field(None, ge=1)
    here: int | None = Field(None, ge=1)
    source: str
    terms: str
    note: str = ""

    @property
    def expected(self) -> str:
        """How many photos it should have, in words."""
        counts = []
        if self.photos:
            counts.append(f"{self.photos:,} published")
        if self.thesis:
            counts.append(f"{self.thesis:,} by the thesis")
        return ", ".join(counts) or "unknown"


@dataclass(frozen=True)
class Found:
    """What lies in a data set's place: its photos, the layout's patterns that none matches."""

    photos: int
    unmatched: tuple[str, ...]

    def verdict(self, entry: DataSet) -> str:
        """How it compares with the registry in words: "missing", "complete", or what differs."""
        if not self.photos:
            return "missing"
        if self.unmatched:
            return f"{self.photos:,} photos, but no {', '.join(self.unmatched)}"
        known = {n for n in (entry.photos, entry.thesis) if n}
        if self.photos in known:
            return "complete"
        return f"{self.photos:,} photos" + (f", expected {entry.expected}" if known else "")


@cache
def registry(path: Path = REGISTRY) -> dict[str, DataSet]:
    """Read the registry: name -> entry, in the file's order."""
    return {n: DataSet.model_validate(e) for n, e in read_toml(path).items()}


def data_set(name: str) -> DataSet | None:
    """Return the entry that a name of [data] means: "dataset:NAME"; None for a plain folder.

    Raises DataError for a name that the registry lacks.
    """
    if not name.startswith(PREFIX):
        return None
    known = registry()
    short = name.removeprefix(PREFIX)
    if short not in known:
        raise DataError(f'no data set "{short}"; known: {", ".join(known)}')
    return known[short]


def photos_below(folder: Path) -> list[Path]:
    """All files below a folder that look like photos, sorted."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def inspect(root: Path, entry: DataSet) -> Found:
    """Look at a data set's place below the photo root; file names only, no photo is opened."""
    return _compare(photos_below(root / entry.folder), entry)


def _compare(photos: Iterable[Path], entry: DataSet) -> Found:
    names = [p.name for p in photos]
    unmatched = tuple(x for x in entry.layout if not any(fnmatch(n, x) for n in names))
    return Found(len(names), unmatched)


def locate(root: Path, name: str, entry: DataSet) -> tuple[list[Path], str]:
    """Find a data set's photos below the photo root.

    Returns (paths, a remark where their number isn't the one expected, else "").
    Raises DataError where there are none or the layout is another.
    """
    place = root / entry.folder
    photos = photos_below(place)
    found = _compare(photos, entry)
    if not found.photos:
        raise DataError(
            f'"{name}" ({entry.title}, {entry.expected} photos) is not there. '
            f"Get it: {entry.source}. Terms: {entry.terms}. Put its photos below {place}"
            + (f", named {', '.join(entry.layout)}" if entry.layout else "")
        )
    verdict = found.verdict(entry)
    if found.unmatched:
        raise DataError(f'"{name}" ({entry.title}) at {place} has {verdict}: another data set?')
    return photos, "" if verdict == "complete" else f"{name}: {verdict}"
