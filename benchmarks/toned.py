"""Whether colours are told apart from tints, stains and noise, on photos of a folder.

    python -m benchmarks.toned photos/val

Half of the photos stay as they are. The others are made grey, then sepia, selenium, cast, faded,
stained or noisy as scanners make them: none of these is to count as in colour.
"""

import argparse
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.errors import ServiceError
from chromaserve.photos.decode import decode
from chromaserve.photos.formats import is_photo_name
from chromaserve.photos.header import inspect
from chromaserve.photos.in_memory import read_array

Light = NDArray[np.float64]
Make = Callable[[Light, np.random.Generator], Light]


def stained(g: Light, rng: np.random.Generator) -> Light:
    """A yellow stain at some place of paper that is somewhat yellow."""
    rows, columns = g.shape[:2]
    y, x = np.mgrid[0:rows, 0:columns]
    there = np.hypot((x - columns * rng.uniform()) / columns, (y - rows * rng.uniform()) / rows)
    how = np.clip(1.2 - 2 * there, 0, 1)[..., np.newaxis]
    return np.asarray(g * (1 - how * [0.02, 0.08, 0.22]) * [1, 0.97, 0.9])


KINDS: dict[str, Make] = {
    "grey": lambda g, _: g,
    "sepia": lambda g, _: g ** np.array([0.75, 1.0, 1.35]),
    "selenium": lambda g, _: g * [0.97, 0.93, 1.0] + np.array([0.05, 0.02, 0.06]) * (1 - g),
    "cast": lambda g, _: g * [1.0, 0.93, 0.80],
    "faded": lambda g, _: (0.25 + 0.5 * g) * [1.0, 0.92, 0.78],
    "stained": stained,
    "noisy": lambda g, rng: g + rng.normal(0, 0.06, (*g.shape[:2], 1)),
    "noisy in colour": lambda g, rng: g + rng.normal(0, 0.08, g.shape),
    "sepia, JPEG 70": lambda g, _: g ** np.array([0.75, 1.0, 1.35]),
}


def toned(rgb: NDArray[np.uint8], kind: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A photo made grey, and then of a kind."""
    grey = np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., np.newaxis] / 255, 3, 2)
    made = KINDS[kind](grey, rng) + rng.normal(0, 0.01, grey.shape)
    pixels = np.clip(made * 255 + 0.5, 0, 255).astype(np.uint8)
    if kind.endswith("70"):
        coded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
        pixels = np.ascontiguousarray(np.asarray(cv2.imdecode(coded, 1), np.uint8)[..., ::-1])
    return pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=400, help="half of them are toned")
    parser.add_argument("--seed", type=int, default=1, help="which photos")
    arguments = parser.parse_args()
    files = sorted(f for f in arguments.folder.rglob("*") if is_photo_name(f.name))
    random.Random(arguments.seed).shuffle(files)
    files = files[: arguments.photos]
    rng = np.random.default_rng(arguments.seed)
    half, seen = len(files) // 2, Counter[tuple[str, str]]()
    for i, path in enumerate(files):
        data = path.read_bytes()
        try:
            photo = decode(data, inspect(data, max_pixels=10**8, max_side=10**5), keep_colours=True)
        except ServiceError as error:
            print(f"{path.name}: {error}")
            continue
        if i < half:
            seen["as they are", photo.colour] += 1
            if photo.colour != "colour":
                print(f"{path.name}: {photo.colour}")
            continue
        kind = list(KINDS)[i % len(KINDS)]
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        rgb = np.ascontiguousarray(np.asarray(bgr, np.uint8)[..., ::-1])
        seen[kind, read_array(toned(rgb, kind, rng)).colour] += 1
    for (kind, found), count in sorted(seen.items()):
        print(f"{kind}: {count} {found}")
    wrong = sum(n for (kind, found), n in seen.items() if kind in KINDS and found == "colour")
    print(f"in colour and told: {seen['as they are', 'colour']} of {half}")
    print(f"toned and taken for colour: {wrong} of {len(files) - half}")


if __name__ == "__main__":
    main()
