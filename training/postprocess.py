"""What each way of post-processing does to the same network's answers: figures and a picture."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve import Colorizer
from chromaserve.color.lab import lab_to_srgb, srgb_to_lab
from chromaserve.store.contract import Postprocess

from .data import read_photo
from .intervals import mean_told
from .metrics import colourfulness, psnr
from .report import table

Float = NDArray[np.float32]
Image = NDArray[np.uint8]
METHODS: tuple[Postprocess, ...] = get_args(Postprocess)
REFERENCE: Postprocess = "guided"
WINDOW = 3  # a crop's side is the photo's shorter side over this


@dataclass(frozen=True)
class Measured:
    """One method on one photo: dB over the grey photo, colourfulness, milliseconds."""

    gain: float
    colourfulness: float
    ms: float


@dataclass(frozen=True)
class Comparison:
    """A photo by every method; `crop` has its window grey, by each method and true, RGB."""

    file: str
    colourfulness_truth: float
    methods: dict[Postprocess, Measured]
    bleeding: float  # Lab units: how far the methods that know edges are from "none" in the window
    crop: list[Image]


def compare_methods(
    colorizer: Colorizer, photos: Iterable[Path], vividness: float
) -> Iterator[Comparison]:
    """Colorize photos from their own L by every method.

    Raises UnusablePhotoError for a file that can't be read.
    """
    for path in photos:
        truth = read_photo(path)
        L, _ = srgb_to_lab(truth)
        grey = np.asarray(lab_to_srgb(L, np.zeros((*L.shape, 2), np.float32)), np.uint8)
        psnr_grey = psnr(grey, truth)
        pictures: dict[Postprocess, Image] = {}
        methods: dict[Postprocess, Measured] = {}
        colorizer.colorize(truth, vividness=vividness)  # the model's answer is kept
        for method in METHODS:
            start = time.perf_counter()
            pictures[method] = colorizer.colorize(truth, vividness=vividness, postprocess=method)
            ms = 1000 * (time.perf_counter() - start)
            gain = psnr(pictures[method], truth) - psnr_grey
            methods[method] = Measured(gain, colourfulness(pictures[method]), ms)
        enlarged = {method: srgb_to_lab(picture)[1] for method, picture in pictures.items()}
        window, bleeding = _where_colour_bleeds(enlarged)
        crop = [picture[window].copy() for picture in (grey, *pictures.values(), truth)]
        yield Comparison(path.name, colourfulness(truth), methods, bleeding, crop)


def _where_colour_bleeds(ab: dict[Postprocess, Float]) -> tuple[tuple[slice, slice], float]:
    """The square window where the methods that know edges differ most from "none", and how much."""
    aware = np.mean([ab[method] for method in METHODS if method != "none"], axis=0)
    distance = np.hypot(*np.moveaxis(aware - ab["none"], -1, 0))
    side = max(1, min(distance.shape) // WINDOW)
    means = cv2.blur(distance, (side, side), anchor=(0, 0), borderType=cv2.BORDER_REFLECT)
    inner = means[: distance.shape[0] - side + 1, : distance.shape[1] - side + 1]
    top, left = np.unravel_index(int(inner.argmax()), inner.shape)
    window = (slice(int(top), int(top) + side), slice(int(left), int(left) + side))
    return window, float(inner.max())


def markdown_table(comparisons: list[Comparison]) -> str:
    """A line a method, over all photos; time is the median."""
    truth = np.mean([c.colourfulness_truth for c in comparisons])
    reference = np.array([c.methods[REFERENCE].gain for c in comparisons])
    rows = []
    for method in METHODS:
        found = [c.methods[method] for c in comparisons]
        gain = np.array([m.gain for m in found])
        ratio = np.mean([m.colourfulness for m in found]) / max(float(truth), 1e-6)
        ms = np.median([m.ms for m in found])
        cells = mean_told(gain - reference, 3, "+"), f"{ratio:.3f}", f"{ms:.0f}"
        rows.append([f"`{method}`", f"{gain.mean():+.3f}", *cells])
    head = [
        "post-processing", "gain over grey, dB", f"less `{REFERENCE}` [95%]",
        "colourfulness / truth", "ms a photo",
    ]  # fmt: skip
    return table(head, rows, (0,)) + "\n"


def crops_picture(comparisons: list[Comparison], rows: int = 6, side: int = 200) -> Image:
    """The crops of the photos where colour bleeds most: grey | each method | truth, RGB."""
    names = ["grey", *METHODS, "truth"]
    chosen = sorted(comparisons, key=lambda c: -c.bleeding)[:rows]
    lines = [np.hstack([_label(name, side) for name in names])]
    for comparison in chosen:
        tiles = [
            cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
            for image in comparison.crop
        ]
        line = np.hstack([np.pad(t, ((0, 4), (0, 4), (0, 0)), constant_values=255) for t in tiles])
        lines.append(np.asarray(line, np.uint8))
    return np.vstack(lines)


def _label(text: str, side: int) -> Image:
    strip = np.full((28, side + 4, 3), 255, np.uint8)
    cv2.putText(strip, text, (4, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, cv2.LINE_AA)
    return strip
