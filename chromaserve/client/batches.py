"""Photos cut into what goes into one request each, and their results told apart by name."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import starmap
from pathlib import Path
from typing import NamedTuple

from chromaserve.client.photos import Options, Photo, Source, check_proposals, source
from chromaserve.client.results import Colorized, Result
from chromaserve.library.files import check_several
from chromaserve.photos.names import unique_name

_BODY_BYTES = 32 * 2**20


@dataclass
class Limits:
    """What one request may hold, lowered to what the service says that it takes; and how many."""

    photos: int = 16
    requests: int = 2
    bytes: int = _BODY_BYTES
    together: bool = False
    """All photos go into one request."""

    @classmethod
    def of(cls, options: Options, photos: int, requests: int) -> "Limits":
        """Those that a caller asks for; of an album none.

        Raises:
            ValueError: a number below 1; hints of photos that are not in one request; proposals.
        """
        check_proposals(options)
        if options.get("album"):
            return cls(sys.maxsize, 1, sys.maxsize, together=True)
        if options.get("hints"):
            raise ValueError("hints of several photos are for album=True, which sends all in one")
        return cls(photos, requests)

    def __post_init__(self) -> None:
        if min(self.photos, self.requests) < 1:
            raise ValueError("per_request and requests must be at least 1")


class Numbered(NamedTuple):
    """A photo with its place among all that were given."""

    position: int
    photo: Source | OSError
    name: str


class UniqueNames:
    """Tells results apart whose photos have one name, in different folders."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def told_apart(self, colorized: Colorized) -> Colorized:
        """The same, its result under a name that none before it has."""
        outcome = colorized.outcome
        if not isinstance(outcome, Result):
            return colorized
        stem, dot, extension = outcome.name.rpartition(".")
        name = unique_name(stem, dot + extension, self._taken)
        return colorized._replace(outcome=replace(outcome, name=name))


def batches(photos: Iterable[Photo], limits: Limits) -> Iterator[list[Numbered]]:
    """Cut photos into what goes into one request each, by the limits as they are then.

    What the photos' iterable raises comes after those before.

    Raises:
        TypeError: `photos` is one photo.
    """
    check_several(photos)
    batch: list[Numbered] = []
    held = 0
    try:
        for each in starmap(_numbered, enumerate(photos)):
            size = each.photo.size if isinstance(each.photo, Source) else 0
            if batch and (len(batch) >= limits.photos or held + size > limits.bytes):
                yield batch
                batch, held = [], 0
            batch.append(each)
            held += size
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _numbered(position: int, photo: Photo) -> Numbered:
    try:
        found = source(photo)
    except OSError as error:
        name = Path(photo).name if isinstance(photo, str | Path) else "photo"
        return Numbered(position, error, name)
    return Numbered(position, found, found.name)
