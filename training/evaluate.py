"""Measure a SavedModel on photos: as users get it, at each photo's own size."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model_store.chroma import upsample_ab
from model_store.contract import GuidedFilter, network_input
from model_store.lab import lab_to_srgb, srgb_to_lab
from training.data import read_photo
from training.metrics import Accuracy, ab_error, colourfulness, hue_error, psnr, ssim

Predict = Callable[[NDArray[np.float32], float], NDArray[np.float32]]
BATCH = 8


@dataclass(frozen=True)
class Result:
    """The measures of one photo; baselines beside each. PSNR and gain in dB, ab in Lab units."""

    file: str
    kind: str
    psnr: float
    psnr_grey: float
    psnr_mean_colour: float
    ab_error: float
    ab_error_grey: float
    ab_error_mean_colour: float
    ssim: float
    ssim_grey: float
    hue_error: float  # degrees
    hue_error_mean_colour: float
    colourfulness: float
    colourfulness_truth: float
    accuracy: float
    b_larger: float  # share of pixels with b > a in the truth: the constant answers' accuracy


@dataclass(frozen=True)
class Outcome:
    """A photo's result with its pictures: grey, output and truth, each uint8 RGB [H, W, 3]."""

    result: Result
    grey: NDArray[np.uint8]
    output: NDArray[np.uint8]
    truth: NDArray[np.uint8]


def load_predict(folder: Path) -> Predict:
    """Load a SavedModel of the contract: (L [N, 224, 224, 1], vividness) -> ab [N, 224, 224, 2]."""
    model = tf.saved_model.load(str(folder))
    vivid = model.signatures["vivid"]

    def predict(L: NDArray[np.float32], vividness: float) -> NDArray[np.float32]:
        v = tf.fill([len(L)], tf.constant(vividness, tf.float32))
        return np.asarray(vivid(L=tf.constant(L), vividness=v)["ab"].numpy(), np.float32)

    # The signature function holds its model only weakly.
    predict.model = model  # type: ignore[attr-defined]
    return predict


def evaluate(
    predict: Predict,
    photos: Iterable[tuple[Path, str]],
    guided: GuidedFilter,
    vividness: float,
    mean_ab: tuple[float, float],
) -> Iterator[Outcome]:
    """Colorize the photos (path, kind) from their own L and measure; yields in order.

    mean_ab is the training photos' mean colour in Lab units, for the mean-colour baseline.
    Raises UnusablePhotoError for a file that can't be read.
    """
    waiting: list[tuple[Path, str, NDArray[np.uint8]]] = []
    for path, kind in photos:
        waiting.append((path, kind, read_photo(path)))
        if len(waiting) == BATCH:
            yield from _measure(predict, waiting, guided, vividness, mean_ab)
            waiting = []
    if waiting:
        yield from _measure(predict, waiting, guided, vividness, mean_ab)


def _measure(
    predict: Predict,
    photos: list[tuple[Path, str, NDArray[np.uint8]]],
    guided: GuidedFilter,
    vividness: float,
    mean_ab: tuple[float, float],
) -> Iterator[Outcome]:
    labs = [srgb_to_lab(rgb) for _, _, rgb in photos]
    answers = predict(np.stack([network_input(L) for L, _ in labs]), vividness)
    for (path, kind, truth), (L, ab_truth), answer in zip(photos, labs, answers, strict=True):
        ab = upsample_ab(answer, L, radius=guided.radius, eps=guided.eps)
        output = _photo(L, ab)
        nothing = np.zeros_like(ab)
        constant = np.tile(np.array(mean_ab, np.float32), (*L.shape, 1))
        grey = _photo(L, nothing)
        accuracy = Accuracy()
        accuracy.add(ab, ab_truth)
        yield Outcome(
            Result(
                file=path.name,
                kind=kind,
                psnr=psnr(output, truth),
                psnr_grey=psnr(grey, truth),
                psnr_mean_colour=psnr(_photo(L, constant), truth),
                ab_error=ab_error(ab, ab_truth),
                ab_error_grey=ab_error(nothing, ab_truth),
                ab_error_mean_colour=ab_error(constant, ab_truth),
                ssim=ssim(output, truth),
                ssim_grey=ssim(grey, truth),
                hue_error=hue_error(ab, ab_truth),
                hue_error_mean_colour=hue_error(constant, ab_truth),
                colourfulness=colourfulness(output),
                colourfulness_truth=colourfulness(truth),
                accuracy=accuracy.value,
                b_larger=accuracy.b_larger / accuracy.pixels,
            ),
            grey,
            output,
            truth,
        )


def _photo(L: NDArray[np.float32], ab: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(lab_to_srgb(L, ab), np.uint8)


def contact_sheet(outcomes: list[Outcome], height: int = 160, pairs: int = 2) -> NDArray[np.uint8]:
    """Lay out grey | output | truth, `pairs` photos a row, each `height` pixels high; RGB."""

    def fit(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        tile = np.full((height, height * 4 // 3, 3), 255, np.uint8)
        h, w = image.shape[:2]
        scale = min(tile.shape[0] / h, tile.shape[1] / w)
        small = cv2.resize(
            image, (max(1, int(w * scale)), max(1, int(h * scale))), interpolation=cv2.INTER_AREA
        )
        top, left = ((tile.shape[i] - small.shape[i]) // 2 for i in (0, 1))
        tile[top : top + small.shape[0], left : left + small.shape[1]] = small
        return tile

    gap = np.full((height, 12, 3), 255, np.uint8)
    cells = [np.hstack([fit(o.grey), fit(o.output), fit(o.truth), gap]) for o in outcomes]
    while len(cells) % pairs:
        cells.append(np.full_like(cells[0], 255))
    lines = [np.hstack(cells[i : i + pairs]) for i in range(0, len(cells), pairs)]
    return np.vstack([np.pad(x, ((0, 6), (0, 0), (0, 0)), constant_values=255) for x in lines])
