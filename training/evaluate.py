"""Measure a model on photos: as users get it, at each photo's own size, baselines beside it."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chromaserve.color.lab import lab_to_srgb, srgb_to_lab
from chromaserve.color.postprocess import enlarge_ab
from chromaserve.store.contract import GuidedFilter, Postprocess, network_input

from .calibration import Deviations, deviations
from .data import read_photo
from .metrics import Accuracy, ab_error, colourfulness, hue_error, psnr, ssim
from .perceptual import Perceptual
from .saved_model import Network
from .skin import KIND, MIN_SHARE, skin_measures, skin_pixels

Float = NDArray[np.float32]
Image = NDArray[np.uint8]
BATCH = 8
WORKERS = 2  # threads: NumPy and OpenCV compute outside the interpreter's lock


@dataclass(frozen=True)
class Plan:
    """How photos are colorized and what they are measured by."""

    vividness: tuple[float, ...]
    guided: GuidedFilter
    postprocess: Postprocess
    mean_ab: tuple[float, float]  # the training photos' mean colour in Lab units
    nearest: Callable[[Float], Float] | None = None  # see `training.nearest`
    perceptual: Perceptual | None = None  # LPIPS


@dataclass(frozen=True)
class Result:
    """The measures of one photo by name, its baselines' beside them.

    psnr (dB), ab_error (Lab units), hue_error (degrees), ssim, colourfulness and accuracy, and
    the same of each baseline with "_grey", "_mean_colour", "_nearest" behind (ssim: grey's only);
    colourfulness_truth; b_larger, the share of pixels with b > a in the truth, which is what the
    constant answers reach; for people with enough skin the measures of `training.skin`; lpips
    or lpips_uncalibrated, where the plan has it.
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


@dataclass(frozen=True)
class Measured:
    """A photo's outcome at each vividness, and how sure the network was of it, if it says so."""

    outcomes: dict[float, Outcome]
    deviations: Deviations | None


@dataclass(frozen=True)
class _Photo:
    file: str
    kind: str
    truth: Image
    L: Float
    ab: Float
    skin: NDArray[np.bool_] | None  # where it counts


@dataclass(frozen=True)
class _Answers:
    """What there is for a photo, each [224, 224, 2] but the deviation [224, 224, 1]."""

    by_vividness: dict[float, Float]
    nearest: Float | None
    spread: tuple[Float, Float] | None


def evaluate(
    network: Network, photos: Iterable[tuple[Path, str]], plan: Plan
) -> Iterator[Measured]:
    """Colorize the photos (path, kind) from their own L and measure; yields in order.

    A photo is read, and its baselines are measured, once, whatever the number of vividness values.
    Raises UnusablePhotoError for a file that can't be read.
    """
    remaining = iter(photos)
    with ThreadPoolExecutor(WORKERS) as pool:
        while batch := list(pool.map(_read, islice(remaining, BATCH))):
            inputs = np.stack([network_input(photo.L) for photo in batch])
            answers = _ask(network, inputs, plan)
            yield from pool.map(_measure, batch, answers, repeat(plan))


def _ask(network: Network, inputs: Float, plan: Plan) -> list[_Answers]:
    """All answers to a batch of L [N, 224, 224, 1]."""
    answers = {v: network.predict(inputs, v) for v in plan.vividness}
    spread = network.spread(inputs) if network.spread else None
    return [
        _Answers(
            by_vividness={v: ab[i] for v, ab in answers.items()},
            nearest=plan.nearest(L) if plan.nearest else None,
            spread=(spread[0][i], spread[1][i]) if spread else None,
        )
        for i, L in enumerate(inputs)
    ]


def _read(photo: tuple[Path, str]) -> _Photo:
    path, kind = photo
    truth = read_photo(path)
    L, ab = srgb_to_lab(truth)
    skin = skin_pixels(truth) if kind == KIND else None
    if skin is not None and skin.mean() < MIN_SHARE:
        skin = None
    return _Photo(path.name, kind, truth, L, ab, skin)


def _measure(photo: _Photo, answers: _Answers, plan: Plan) -> Measured:
    def enlarge(ab: Float) -> Float:
        return enlarge_ab(ab, photo.L, method=plan.postprocess, guided=plan.guided)

    baselines = {
        "grey": np.zeros_like(photo.ab),
        "mean_colour": np.tile(np.array(plan.mean_ab, np.float32), (*photo.L.shape, 1)),
    }
    if answers.nearest is not None:
        baselines["nearest"] = enlarge(answers.nearest)
    pictures = {name: _picture(photo.L, ab) for name, ab in baselines.items()}
    known = {
        "colourfulness_truth": colourfulness(photo.truth),
        "b_larger": float((photo.ab[..., 1] > photo.ab[..., 0]).mean()),
        "ssim_grey": ssim(pictures["grey"], photo.truth),
    }
    for name, ab in baselines.items():
        measures = _measures(photo, ab, pictures[name])
        known |= {f"{measure}_{name}": value for measure, value in measures.items()}
    outputs, measured = {}, {}
    for vividness, answer in answers.by_vividness.items():
        ab = enlarge(answer)
        output = outputs[vividness] = _picture(photo.L, ab)
        measured[vividness] = _measures(photo, ab, output) | {"ssim": ssim(output, photo.truth)}
    if plan.perceptual:
        # One call, so that the truth's features are computed once.
        compared = [*pictures.values(), *outputs.values()]
        distances = iter(plan.perceptual.distances(photo.truth, compared))
        known |= {f"{plan.perceptual.name}_{name}": next(distances) for name in pictures}
        for measures in measured.values():
            measures[plan.perceptual.name] = next(distances)
    outcomes = {
        v: Outcome(
            Result(photo.file, photo.kind, measured[v] | known),
            pictures["grey"],
            outputs[v],
            photo.truth,
        )
        for v in outputs
    }
    return Measured(outcomes, deviations(*answers.spread, photo.ab) if answers.spread else None)


def _measures(photo: _Photo, ab: Float, picture: Image) -> dict[str, float]:
    accuracy = Accuracy()
    accuracy.add(ab, photo.ab)
    measures = {
        "psnr": psnr(picture, photo.truth),
        "ab_error": ab_error(ab, photo.ab),
        "hue_error": hue_error(ab, photo.ab),
        "colourfulness": colourfulness(picture),
        "accuracy": accuracy.value,
    }
    if photo.skin is not None:
        measures |= skin_measures(ab, photo.ab, photo.skin)
    return measures


def _picture(L: Float, ab: Float) -> Image:
    return np.asarray(lab_to_srgb(L, ab), np.uint8)
