"""Where the results of many photos go, no two of them to one place."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chromaserve.errors import InvalidOptions
from chromaserve.library.files import beside, identity
from chromaserve.library.flow import Place
from chromaserve.photos.formats import Wanted, suffix_of
from chromaserve.photos.names import unique_name

P = TypeVar("P", bytes, str, Path, Image.Image, NDArray[np.uint8], NDArray[np.uint16])
Output = str | Path | Callable[[Path], Path]


def places_of(
    photos: Iterable[P], output: Output | None, encoding: Wanted
) -> Iterator[tuple[P, Place]]:
    """Photos with the paths of their results, of which no two are the same."""
    folder = None if output is None or callable(output) else Path(output)
    taken: dict[Path, dict[str, int]] = {}
    given: set[Path] = set()
    for photo in photos:
        if not isinstance(photo, str | Path):
            yield photo, None if output is None else Path()  # which `Flow` refuses
            continue
        path = Path(photo)
        if callable(output):
            place = Path(output(path))
            whole = place.parent.resolve() / place.name
            # A device or a pipe takes any number.
            if whole in given and (place.is_file() or not place.exists()):
                yield photo, InvalidOptions(f"Another photo's result goes to {place}, too.")
            else:
                given.add(whole)
                yield photo, place
            continue
        if not path.name:
            yield photo, None  # no file, as is told when it is read
            continue
        place, suffix = beside(path, encoding), suffix_of(path.name, encoding)
        if folder and identity(folder) != identity(path.parent):
            place = folder / f"{path.stem}{suffix}"
        stem = place.name.removesuffix(suffix)
        names = taken.setdefault(place.parent.resolve(), {})
        yield photo, place.with_name(unique_name(stem, suffix, names))
