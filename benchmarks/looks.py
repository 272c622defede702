"""What the network's look at a photo brings and costs: fades, grain, groups, panoramas.

    python -m benchmarks.looks photos/val --photos 60

Photos are turned grey, and faded, given grain, or set side by side: 25 people to a group, nine
scenes to a panorama. What the service makes of them is held against their true colours; grey is the
baseline. Faces and scenes keep the chroma that they have in a photo of their own, or lose it.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve import Colorizer
from chromaserve.color.lab import lab_to_srgb, srgb_to_L, srgb_to_lab
from chromaserve.color.look import network_look
from chromaserve.color.tiles import Look
from chromaserve.engines import Engine
from chromaserve.engines.choose import load_engines
from chromaserve.settings import PipelineSettings
from chromaserve.store.contract import NETWORK_SIZE, network_input
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore
from training.data import evenly_spaced, read_photo
from training.intervals import mean_told, ratio, told, with_interval
from training.skin import skin_pixels

Float = NDArray[np.float32]
Grey = NDArray[np.uint8]
Photo = NDArray[np.uint8]

RANGES = ((0, 255), (40, 215), (70, 190), (100, 180))
GRAIN = (0, 10, 20, 30)  # standard deviation in codes of 255, a pixel
LAYOUTS = {"5 x 5 group": (5, 5, "people"), "9:1 panorama": (1, 9, "scenery")}
SIDE = 256  # of a photo in a group or a panorama


@dataclass(frozen=True)
class Cell:
    """A photo by itself and among others: mean chroma of it and of its skin, gain over grey."""

    chroma: float
    skin: float
    gain: float


def grey_of(L: Float) -> Grey:
    """A photo's grey codes, of its lightness."""
    return np.asarray(lab_to_srgb(L, np.zeros((*L.shape, 2), np.float32))[..., 0], np.uint8)


def faded(grey: Grey, dark: int, light: int) -> Grey:
    """A print whose codes go from dark to light."""
    return np.rint(dark + grey.astype(np.float32) * (light - dark) / 255).astype(np.uint8)


def grainy(grey: Grey, deviation: float, seed: int) -> Grey:
    """A print with grain that is independent from pixel to pixel."""
    noise = np.random.default_rng(seed).normal(0, deviation, grey.shape)
    return np.clip(np.rint(grey + noise), 0, 255).astype(np.uint8)


def denoised(grey: Grey) -> Grey:
    """Without its grain, by non-local means (Buades, Coll & Morel 2005) of what grain there is."""
    residue = cv2.Laplacian(grey.astype(np.float32), -1)
    deviation = float(np.median(np.abs(residue)) / 0.6745 / np.sqrt(20))
    return np.asarray(cv2.fastNlMeansDenoising(grey, None, deviation, 5, 13), np.uint8)


def gain(ab: Float, truth: Float) -> float:
    """Over grey, in dB of the squared error of ab."""
    return float(10 * np.log10(np.square(truth).mean() / np.square(ab - truth).mean()))


def chroma(ab: Float) -> float:
    """Mean chroma, Lab units."""
    return float(np.hypot(ab[..., 0], ab[..., 1]).mean())


class Seen:
    """The network's answer to what it sees of a photo at 224 × 224, at a vividness."""

    def __init__(self, engine: Engine, vividness: float) -> None:
        self._engine, self._vividness = engine, np.full(1, vividness, np.float32)

    def __call__(self, L: Float) -> Float:
        """Ab float32 [224, 224, 2] for its lightness [224, 224]."""
        answers = self._engine.infer(L[np.newaxis, ..., np.newaxis], self._vividness)
        return np.asarray(answers[0], np.float32)


def by_photo(
    photos: Sequence[Photo], change: Callable[[Grey, int], Grey], seen: Seen,
    look: Callable[[Float], Float],
) -> tuple[list[float], list[float]]:  # fmt: skip
    """Gain of each photo when its grey is changed, and its chroma by the truth's."""
    gains, ratios = [], []
    for number, photo in enumerate(photos):
        L, _ = srgb_to_lab(photo)
        small = cv2.resize(photo, (NETWORK_SIZE,) * 2, interpolation=cv2.INTER_AREA)
        _, truth = srgb_to_lab(np.asarray(small, np.uint8))
        plane = network_input(srgb_to_L(change(grey_of(L), number)))[..., 0]
        ab = seen(look(plane))
        gains.append(gain(ab, truth))
        ratios.append(chroma(ab) / max(chroma(truth), 1.0))
    return gains, ratios


def cells(photos: Sequence[Photo], colours: NDArray[np.uint8], columns: int) -> list[Cell]:
    """What became of the photos in an image of them all, row by row."""
    found = []
    for number, photo in enumerate(photos):
        y, x = SIDE * (number // columns), SIDE * (number % columns)
        (_, ab), (_, truth) = srgb_to_lab(colours[y : y + SIDE, x : x + SIDE]), srgb_to_lab(photo)
        skin = skin_pixels(photo)
        of_skin = chroma(ab[skin]) if skin.mean() > 0.02 else np.nan
        found.append(Cell(chroma(ab), of_skin, gain(ab, truth)))
    return found


def row(name: str, found: Sequence[Cell], alone: Sequence[Cell], seconds: float) -> str:
    """A row: chroma by what it is alone, of everything and of skin, and gains, with intervals."""

    def by_alone(key: str) -> str:
        mine, theirs = (np.array([getattr(cell, key) for cell in of]) for of in (found, alone))
        return told(with_interval(ratio, mine, theirs))

    gains = mean_told([cell.gain for cell in found], sign="+")
    return f"| {name} | {by_alone('chroma')} | {by_alone('skin')} | {gains} | {seconds:.2f} |"


def side_by_side(
    colorizer: Colorizer, files: Sequence[Path], rows: int, columns: int, vividness: float
) -> list[str]:
    """The rows of a layout: photos by themselves, and together, looked at whole and in tiles."""
    alone: list[Cell] = []
    together: dict[Look, list[Cell]] = {look: [] for look in get_args(Look)}
    took = dict.fromkeys(("alone", *together), 0.0)
    count = rows * columns
    for first in range(0, len(files) - count + 1, count):
        photos = [_square(read_photo(path)) for path in files[first : first + count]]
        greys = [grey_of(srgb_to_lab(photo)[0]) for photo in photos]
        start = time.perf_counter()
        for photo, grey in zip(photos, greys, strict=True):
            alone += cells([photo], colorizer.colorize(grey, vividness=vividness), 1)
        took["alone"] += time.perf_counter() - start
        whole = np.vstack([np.hstack(greys[r * columns : (r + 1) * columns]) for r in range(rows)])
        for look, found in together.items():
            start = time.perf_counter()
            found += cells(
                photos, colorizer.colorize(whole, vividness=vividness, look=look), columns
            )
            took[look] += time.perf_counter() - start
    images = max(1, len(alone) // count)
    return [
        row(name, found, alone, took[name] / images)
        for name, found in (("alone", alone), *together.items())
    ]


def _square(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The middle of a photo, SIDE × SIDE."""
    height, width = photo.shape[:2]
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    middle = photo[y : y + side, x : x + side]
    return np.asarray(cv2.resize(middle, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=60, help="for fades and grain, by position")
    parser.add_argument("--model-root", type=Path, default=BUNDLED_ROOT)
    parser.add_argument("--people", default="people", help="what the names of people's photos have")
    parser.add_argument("--scenery", default="sun", help="and those of scenes")
    options = parser.parse_args()
    model = ModelStore(options.model_root).resolve("latest")
    (engine, *_) = load_engines(model, PipelineSettings())
    vividness = model.description.default_vividness
    files = sorted(path for path in options.folder.iterdir() if path.is_file())
    photos = [read_photo(files[i]) for i in evenly_spaced(len(files), options.photos)]
    print(f"Model {model.version}, vividness {vividness:g}; {len(photos)} photos of")
    print(f"{options.folder.name}: gain in ab over grey, dB, and chroma by the truth's, median.\n")
    seen = Seen(engine, vividness)
    print("| codes | as it is | | levels stretched | |\n| --- | ---: | ---: | ---: | ---: |")
    for dark, light in RANGES:
        _row(f"{dark} to {light}", photos, lambda g, _: faded(g, dark, light), seen,  # noqa: B023
             (lambda L: L, network_look))  # fmt: skip
    print("\n| grain, codes | as it is | | denoised | |\n| --- | ---: | ---: | ---: | ---: |")
    for deviation in GRAIN:
        changes = (
            lambda g, n: grainy(g, deviation, n),  # noqa: B023
            lambda g, n: denoised(grainy(g, deviation, n)),  # noqa: B023
        )
        cells_ = [c for change in changes for c in _two(photos, change, seen, network_look)]
        print(f"| {deviation} | {' | '.join(cells_)} |", flush=True)
    with Colorizer(model_root=options.model_root, cache_mb=0) as colorizer:
        for name, (rows, columns, kind) in LAYOUTS.items():
            named = [f for f in files if getattr(options, kind) in f.name]
            print(f"\n| {name} | chroma by alone | of skin | gain, dB | s |")
            print("| --- | ---: | ---: | ---: | ---: |")
            print("\n".join(side_by_side(colorizer, named, rows, columns, vividness)), flush=True)
        most = 0.0
        for value in range(0, 256, 40):
            flat = grainy(np.full((300, 400), value, np.uint8), 1.0, value)
            _, ab = srgb_to_lab(colorizer.colorize(flat, vividness=1.0))
            most = max(most, float(np.abs(ab).max()))
    print(f"\nFlat frames of values 0 to 240, vividness 1: |a|, |b| up to {most:.1f}.")


def _row(
    name: str, photos: Sequence[Photo], change: Callable[[Grey, int], Grey], seen: Seen,
    looks: Sequence[Callable[[Float], Float]],
) -> None:  # fmt: skip
    found = [cell for look in looks for cell in _two(photos, change, seen, look)]
    print(f"| {name} | {' | '.join(found)} |", flush=True)


def _two(
    photos: Sequence[Photo], change: Callable[[Grey, int], Grey], seen: Seen,
    look: Callable[[Float], Float],
) -> list[str]:  # fmt: skip
    gains, ratios = by_photo(photos, change, seen, look)
    return [f"{np.mean(gains):+.2f}", f"{np.median(ratios):.2f}"]


if __name__ == "__main__":
    main()
