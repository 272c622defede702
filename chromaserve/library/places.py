"""Where the results of photos go that are given by their paths."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chromaserve.library.files import beside, identity
from chromaserve.photos.formats import Wanted, suffix_of
from chromaserve.photos.names import unique_name

P = TypeVar("P", bytes, str, Path, Image.Image, NDArray[np.uint8], NDArray[np.uint16])
Output = str | Path | Callable[[Path], Path]


def places_of(
    photos: Iterable[P], output: Output | None, encoding: Wanted
) -> Iterator[tuple[P, Path | None]]:
    """Photos with the paths of their results, of which no two are the same."""
    folder = None if output is None or callable(output) else Path(output)
    taken: dict[Path, dict[str, int]] = {}
    for photo in photos:
        if not isinstance(photo, str | Path):
            yield photo, None if output is None else Path()  # which `Flow` refuses
            continue
        path = Path(photo)
        if callable(output):
            yield photo, Path(output(path))
            continue
        place, suffix = beside(path, encoding), suffix_of(path.name, encoding)
        if folder and identity(folder) != identity(path.parent):
            place = folder / f"{path.stem}{suffix}"
        stem = place.name.removesuffix(suffix)
        names = taken.setdefault(place.parent.resolve(), {})
        yield photo, place.with_name(unique_name(stem, suffix, names))
