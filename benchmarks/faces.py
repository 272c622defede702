"""What small faces in photos get of their colour, by how the network looks at the photo.

    python -m benchmarks.faces photos/groups

Of a folder of photos in colour, those count in which `look=auto` finds small faces. They are turned
grey and coloured by the library; what comes out is held against their true colours.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from benchmarks.looks import Float, chroma, gain, grey_of
from chromaserve import Colorizer
from chromaserve.color.close_ups import close_ups
from chromaserve.color.faces import faces
from chromaserve.color.lab import srgb_to_lab
from chromaserve.color.tiles import Look, tiling
from chromaserve.store.versions import BUNDLED_ROOT
from training.data import read_photo
from training.intervals import mean_told

Measured = tuple[float, float, float, int]
"""Chroma of the faces by the truth's, error of ab in them, gain of the photo, looks."""


def within(boxes: Float, height: int, width: int) -> NDArray[np.bool_]:
    """Where the faces are, [H, W]: boxes without their edges, which have hair and more."""
    where = np.zeros((height, width), bool)
    for x, y, w, h in boxes:
        top, left = max(0, round(y + h / 10)), max(0, round(x + w / 6))
        where[top : round(y + h * 9 / 10), left : round(x + w * 5 / 6)] = True
    return where


def measured(colorizer: Colorizer, file: Path) -> tuple[int, dict[Look, Measured]]:
    """How many faces there are, and each look's figures; none where no face is small."""
    photo = read_photo(file)
    height, width = photo.shape[:2]
    L, truth = srgb_to_lab(photo)
    grey = grey_of(L)
    boxes = faces(grey)
    close = close_ups(width, height, tiling(width, height, "auto"), boxes)
    if close is None:
        return 0, {}
    where = within(boxes, height, width)
    found: dict[Look, Measured] = {}
    for look in get_args(Look):
        _, ab = srgb_to_lab(colorizer.colorize(grey, look=look))
        tiles = tiling(width, height, look)
        looks = 1 + (tiles.count if tiles else 0) + (close.count if look == "auto" else 0)
        error = float(np.hypot(*(ab - truth)[where].T).mean())
        kept = chroma(ab[where]) / max(chroma(truth[where]), 1.0)
        found[look] = kept, error, gain(ab, truth), looks
    return len(boxes), found


def row(look: Look, values: Sequence[Measured]) -> str:
    """Means with 95% intervals over photos; of looks without."""
    *figures, looks = np.array(values).T
    return f"| `{look}` | {' | '.join(map(mean_told, figures))} | {looks.mean():.1f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model-root", type=Path, default=BUNDLED_ROOT)
    options = parser.parse_args()
    found: dict[Look, list[Measured]] = {look: [] for look in get_args(Look)}
    count = 0
    with Colorizer(model_root=options.model_root, cache_mb=0) as colorizer:
        for file in sorted(path for path in options.folder.iterdir() if path.is_file()):
            there, figures = measured(colorizer, file)
            count += there
            for look, each in figures.items():
                found[look].append(each)
    print(f"{len(found['auto'])} photos with small faces, {count} faces.\n")
    print("| look | chroma by the truth's | error of ab | gain of the photo, dB | looks |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for look, values in found.items():
        print(row(look, values))


if __name__ == "__main__":
    main()
