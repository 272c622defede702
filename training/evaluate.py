"""Measure a version on photos: as users get it, through the library, baselines beside it."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chromaserve import Colorizer
from chromaserve.color.lab import lab_to_srgb, srgb_to_lab
from chromaserve.color.postprocess import enlarge_ab
from chromaserve.store.contract import GuidedFilter, Postprocess, network_input

from .data import Entry, UnusablePhotoError, read_entry, read_photo
from .metrics import ab_error, accuracy, colourfulness, hue_error, psnr, ssim
from .skin import KIND, MIN_SHARE, skin_measures, skin_pixels

log = logging.getLogger(__name__)
Float = NDArray[np.float32]
Image = NDArray[np.uint8]
WORKERS = 3  # threads: the engine, NumPy and OpenCV compute outside the interpreter's lock


@dataclass(frozen=True)
class Photo:
    """A photo to measure on: its name, its kind, and how its pixels are read, RGB [H, W, 3]."""

    file: str
    kind: str
    read: Callable[[], Image]

    @classmethod
    def of_file(cls, root: Path, path: Path, kind: str = "") -> "Photo":
        """A file of its own, called by its path below the root."""
        return cls(path.relative_to(root).as_posix(), kind, partial(read_photo, path))

    @classmethod
    def of_entry(cls, root: Path, entry: Entry) -> "Photo":
        """A photo of an index."""
        return cls(Path(entry.file).name, entry.kind, partial(read_entry, root, entry))


@dataclass(frozen=True)
class Plan:
    """How photos are colorized and what they are measured by."""

    vividness: tuple[float, ...]
    mean_ab: tuple[float, float]  # the training photos' mean colour in Lab units
    guided: GuidedFilter  # of the nearest photo's colours
    postprocess: Postprocess | None = None  # the model's own
    nearest: Callable[[Float], Float] | None = None  # see `training.nearest`


@dataclass(frozen=True)
class Result:
    """The measures of one photo by name, its baselines' beside them.

    psnr (dB), ab_error (Lab units), hue_error (degrees), ssim, colourfulness and accuracy, and
    the same of each baseline with "_grey", "_mean_colour", "_nearest" behind (ssim: grey's only);
    colourfulness_truth; b_larger, the share of pixels with b > a in the truth, which is what the
    constant answers reach; for people with enough skin the measures of `training.skin`.
    """

    file: str
    kind: str
    measures: dict[str, float]


@dataclass(frozen=True)
class Outcome:
    """A photo's result with its pictures: grey, output and truth, each uint8 RGB [H, W, 3]."""

    result: Result
    grey: Image
    output: Image
    truth: Image


def evaluate(
    colorizer: Colorizer, photos: Iterable[Photo], plan: Plan
) -> Iterator[dict[float, Outcome]]:
    """Colorize photos and measure, an outcome a vividness; yields in order.

    A photo is read, and its baselines are measured, once, whatever the number of vividness values.
    One that can't be read is told of by a warning of the log, and left out.
    """
    remaining = iter(photos)
    running: deque[Future[dict[float, Outcome]]] = deque()
    with ThreadPoolExecutor(WORKERS) as pool:
        while True:
            for photo in islice(remaining, 2 * WORKERS - len(running)):
                running.append(pool.submit(_measure, photo, colorizer, plan))
            if not running:
                return
            try:
                yield running.popleft().result()
            except UnusablePhotoError as e:
                log.warning("left out: %s", e)


def _measure(photo: Photo, colorizer: Colorizer, plan: Plan) -> dict[float, Outcome]:
    truth = photo.read()
    L, ab = srgb_to_lab(truth)
    skin = skin_pixels(truth) if photo.kind == KIND else None
    if skin is not None and skin.mean() < MIN_SHARE:
        skin = None
    baselines = {
        "grey": np.zeros_like(ab),
        "mean_colour": np.tile(np.array(plan.mean_ab, np.float32), (*L.shape, 1)),
    }
    if plan.nearest:
        answer = plan.nearest(network_input(L))
        baselines["nearest"] = enlarge_ab(answer, L, method="guided", guided=plan.guided)
    pictures = {name: np.asarray(lab_to_srgb(L, own), np.uint8) for name, own in baselines.items()}
    known = {
        "colourfulness_truth": colourfulness(truth),
        "b_larger": float((ab[..., 1] > ab[..., 0]).mean()),
        "ssim_grey": ssim(pictures["grey"], truth),
    }
    for name, own in baselines.items():
        if name != "grey":
            # As the model is measured: what sRGB can't show of it is not there.
            own = srgb_to_lab(pictures[name])[1]
        measures = _measures(own, pictures[name], ab, truth, skin)
        known |= {f"{measure}_{name}": value for measure, value in measures.items()}
    outputs, measured = dict[float, Image](), dict[float, dict[str, float]]()
    for vividness in plan.vividness:
        # Only the photo's lightness is looked at.
        output = colorizer.colorize(truth, vividness=vividness, postprocess=plan.postprocess)
        outputs[vividness] = output
        own = srgb_to_lab(output)[1]
        measured[vividness] = _measures(own, output, ab, truth, skin)
        measured[vividness]["ssim"] = ssim(output, truth)
    return {
        v: Outcome(
            Result(photo.file, photo.kind, measured[v] | known), pictures["grey"], output, truth
        )
        for v, output in outputs.items()
    }


def _measures(
    own: Float, picture: Image, ab: Float, truth: Image, skin: NDArray[np.bool_] | None
) -> dict[str, float]:
    """An answer ab [H, W, 2], and its picture, against the truth's."""
    measures = {
        "psnr": psnr(picture, truth),
        "ab_error": ab_error(own, ab),
        "hue_error": hue_error(own, ab),
        "colourfulness": colourfulness(picture),
        "accuracy": accuracy(own, ab),
    }
    if skin is not None:
        measures |= skin_measures(own, ab, skin)
    return measures
