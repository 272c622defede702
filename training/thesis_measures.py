"""What is measured of the thesis's four models: losses, accuracy, gain, and the known failures."""

import csv
import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import cv2
import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model_store.contract import network_input
from model_store.lab import lab_to_srgb, srgb_to_lab
from training import failures, skin
from training.colorizer import Colorizer, build_colorizer
from training.config import Config
from training.curves import read_history
from training.data import TARGET_SIZE, lab_target, read_photo
from training.features import open_arrays
from training.metrics import Accuracy, colourfulness, mean_gain_db
from training.network import AB_SCALE
from training.run import Run, load_weights
from training.summary import Values, interval
from training.thesis import MODELS, SampleFeed

Float = NDArray[np.float32]
Interval = tuple[float, float, float]  # value, and the ends of its 95% interval
PART_MARGIN = 0.05  # see `parting`
BLOB_SHARE = 0.01  # of pixels: more than this is a failure
SPLITS = ("val", "test")
WIDTHS = ("width_7", "width_14", "width_28", "width_56")


@dataclass(frozen=True)
class PhotoMeasures:
    """One photo's measures at 56 x 56; NaN where a photo has no such region."""

    file: str
    kind: str
    split: str
    loss: float  # mean squared error of ab/128
    gain: float  # dB over grey, in ab
    accuracy: float  # argmax(a, b) agrees: share of pixels
    b_larger: float  # share of pixels with b > a in the truth
    error: float  # ab error over the truth's chroma; grey: 1
    colourfulness: float
    colourfulness_truth: float
    brown: float  # share of chroma between orange and yellow
    brown_truth: float
    hue_entropy: float  # bits, of the truth
    skin_error: float  # photos of people only, as are the next three
    skin_chroma: float  # predicted over true
    rest_error: float  # clothes and background
    rest_chroma: float
    blobs: float  # share of pixels
    sky_gradient: float  # Lab units a pixel
    sky_gradient_truth: float


@dataclass(frozen=True)
class Scores:
    """A set of weights: losses over the three splits; accuracy and gain (dB) with intervals."""

    train_loss: float
    val_loss: float
    test_loss: float
    val_accuracy: Interval
    test_accuracy: Interval
    val_gain: Interval
    test_gain: Interval


@dataclass(frozen=True)
class ModelFigures:
    """One of the four models: its curves an epoch, its scores by the best and the last weights."""

    train_curve: list[float]
    val_curve: list[float]
    best_epoch: int
    seconds: float
    best: Scores
    last: Scores
    failures: dict[str, Interval]


@dataclass(frozen=True)
class KindAccuracy:
    """The thesis's accuracy on photos of a kind, beside the best constant answer."""

    photos: int
    accuracy: Interval
    constant: float


@dataclass(frozen=True)
class Figures:
    """All that the document says, as measured."""

    command: str
    machine: str
    parameters: int
    widths: dict[str, int]
    settings: dict[str, float]  # learning_rate, batch, l1, l2, seed
    photos: dict[str, dict[str, int]]  # split -> kind -> photos
    epochs: int
    epochs_thesis: int
    models: dict[str, ModelFigures]
    chosen: str  # the model of the lowest validation loss, whose accuracy and failures count
    accuracy: dict[str, dict[str, KindAccuracy]]  # split -> kind -> accuracy
    measuring_seconds: float


def measure_photo(
    file: str, kind: str, split: str, L: Float, predicted: Float, ab: Float
) -> PhotoMeasures:
    """Measure one answer: L [56, 56] in [0, 100], predicted and true ab [56, 56, 2], Lab units."""
    rgb = np.asarray(lab_to_srgb(L, ab), np.uint8)
    output = np.asarray(lab_to_srgb(L, predicted), np.uint8)
    everywhere = np.ones(L.shape, bool)
    agreement = Accuracy()
    agreement.add(predicted, ab)
    of_skin = skin.skin_pixels(rgb) & (kind == skin.KIND)
    rest = ~of_skin & (kind == skin.KIND)
    sky = failures.smooth_sky(L, ab)

    def ratio(where: NDArray[np.bool_]) -> float:
        truth = float(failures.chroma(ab)[where].mean())
        return float(failures.chroma(predicted)[where].mean()) / max(truth, 1e-3)

    def enough(where: NDArray[np.bool_]) -> bool:
        return float(where.mean()) >= skin.MIN_SHARE

    return PhotoMeasures(
        file=file,
        kind=kind,
        split=split,
        loss=float(np.mean((predicted - ab) ** 2)) / AB_SCALE**2,
        gain=mean_gain_db(predicted[None], ab[None])[0],
        accuracy=agreement.value,
        b_larger=agreement.b_larger / agreement.pixels,
        error=failures.relative_error(predicted, ab, everywhere),
        colourfulness=colourfulness(output),
        colourfulness_truth=colourfulness(rgb),
        brown=failures.brown_share(predicted),
        brown_truth=failures.brown_share(ab),
        hue_entropy=failures.hue_entropy(ab),
        skin_error=failures.relative_error(predicted, ab, of_skin) if enough(of_skin) else math.nan,
        skin_chroma=ratio(of_skin) if enough(of_skin) else math.nan,
        rest_error=failures.relative_error(predicted, ab, rest) if enough(rest) else math.nan,
        rest_chroma=ratio(rest) if enough(rest) else math.nan,
        blobs=failures.blobs(predicted, ab),
        sky_gradient=float(failures.gradient(predicted)[sky].mean()) if enough(sky) else math.nan,
        sky_gradient_truth=float(failures.gradient(ab)[sky].mean()) if enough(sky) else math.nan,
    )  # fmt: skip


def load_model(config: Config, weights: Path) -> Colorizer:
    """One of the four, in float32, without its encoder."""
    keras.mixed_precision.set_global_policy("float32")
    network = build_colorizer(config, with_encoder=False)
    load_weights(weights, network.trainable_parts)
    return network


def predictor(network: Colorizer) -> Callable[[dict[str, tf.Tensor]], Float]:
    """Compile taps -> ab float32 [N, 56, 56, 2]."""
    compiled = tf.function(
        lambda taps: network.ab(network.features(taps)), autograph=False, reduce_retracing=True
    )
    return lambda taps: np.asarray(compiled(taps).numpy(), np.float32)


def small_L(L: NDArray[np.generic]) -> Float:  # noqa: N802
    """L of the cache, uint8 codes [224, 224, 1], area-averaged to [56, 56] in [0, 100]."""
    size = (TARGET_SIZE, TARGET_SIZE)
    shrunk = cv2.resize(np.asarray(L, np.float32)[..., 0], size, interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(shrunk / 2.55, 0, 100), np.float32)


def measure_split(network: Colorizer, feed: SampleFeed, folder: Path, split: str
                  ) -> Iterator[PhotoMeasures]:  # fmt: skip
    """Measure a model on a split's cached rows."""
    rows, _ = feed.select(split)
    L = open_arrays(folder, "r")["L"]
    predict = predictor(network)
    done = 0
    for batch in feed.batches(np.asarray(rows, np.int64)):
        for predicted, ab in zip(predict(batch), batch["ab"].numpy(), strict=True):
            row = feed.rows[rows[done]]
            yield measure_photo(row.file, row.kind, split, small_L(L[rows[done]]), predicted, ab)
            done += 1


def mean_loss(network: Colorizer, feed: SampleFeed, split: str) -> float:
    """Mean squared error of ab/128 over a split, as the model answers when it isn't training."""
    rows, _ = feed.select(split)
    predict = predictor(network)
    losses = list[float]()
    for batch in feed.batches(np.asarray(rows, np.int64)):
        errors = (predict(batch) - batch["ab"].numpy()) / AB_SCALE
        losses += [float(x) for x in np.mean(errors**2, axis=(1, 2, 3))]
    return float(np.mean(losses))


def columns_of(photos: list[PhotoMeasures]) -> dict[str, Values]:
    """The measures as arrays [photos], and the error of scenery and of the rest, NaN elsewhere."""
    names = [f.name for f in fields(PhotoMeasures) if f.name not in ("file", "kind", "split")]
    columns = {name: np.array([getattr(p, name) for p in photos], np.float64) for name in names}
    scenery = np.array([p.kind == "scenery" for p in photos], bool)
    columns["scenery_error"] = np.where(scenery, columns["error"], np.nan)
    columns["others_error"] = np.where(scenery, np.nan, columns["error"])
    return columns


def with_interval(statistic: Callable[..., Values], *values: Values) -> Interval:
    """A statistic of arrays [photos] with its 95% interval, bootstrapped over photos.

    NaN where no photo has a value.
    """
    value = float(statistic(*values))
    if not math.isfinite(value):
        return (math.nan, math.nan, math.nan)
    return (value, *interval(statistic, *values))


def mean(values: Values) -> Values:
    """Mean over the last axis of what isn't NaN; NaN where all is."""
    there = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(there, values, 0).sum(-1) / there.sum(-1))


def _ratio(values: Values, truth: Values) -> Values:
    return np.asarray(mean(values) / np.maximum(mean(truth), 1e-6))


def _difference(values: Values, other: Values) -> Values:
    return np.asarray(mean(values) - mean(other))


def rank_correlation(x: Values, y: Values) -> Values:
    """Spearman's rank correlation (1904) over the last axis; NaN for fewer than three photos."""

    def centred_ranks(values: Values) -> Values:
        ranks = np.argsort(np.argsort(values, -1), -1).astype(np.float64)
        return np.asarray(ranks - ranks.mean(-1, keepdims=True))

    if x.shape[-1] < 3:
        return np.asarray(np.nan)
    rx, ry = centred_ranks(x), centred_ranks(y)
    return np.asarray((rx * ry).sum(-1) / np.sqrt((rx**2).sum(-1) * (ry**2).sum(-1)))


# What is reported of each failure: a statistic, and the columns that it takes.
FAILURES: dict[str, tuple[Callable[..., Values], tuple[str, ...]]] = {
    "colourfulness": (_ratio, ("colourfulness", "colourfulness_truth")),
    "brown": (_difference, ("brown", "brown_truth")),
    "scenery_error": (mean, ("scenery_error",)),
    "scenery_excess": (_difference, ("scenery_error", "others_error")),
    "skin_error": (mean, ("skin_error",)),
    "skin_excess": (_difference, ("skin_error", "scenery_error")),
    "skin_chroma": (mean, ("skin_chroma",)),
    "rest_error": (mean, ("rest_error",)),
    "rest_excess": (_difference, ("rest_error", "scenery_error")),
    "rest_chroma": (mean, ("rest_chroma",)),
    "entropy": (rank_correlation, ("hue_entropy", "error")),
    "blobs": (mean, ("blobs",)),
    "sky": (_ratio, ("sky_gradient", "sky_gradient_truth")),
}


def failure_figures(photos: list[PhotoMeasures]) -> dict[str, Interval]:
    """Every failure's measure over photos, with intervals."""
    columns = columns_of(photos)
    return {
        name: with_interval(statistic, *(columns[c] for c in taken))
        for name, (statistic, taken) in FAILURES.items()
    }


def scores(photos: list[PhotoMeasures], train_loss: float) -> Scores:
    """Losses, accuracy and gain from the measures of the validation and test photos."""
    by = {s: columns_of([p for p in photos if p.split == s]) for s in SPLITS}

    def of(split: str, name: str) -> Interval:
        return with_interval(mean, by[split][name])

    return Scores(
        train_loss, of("val", "loss")[0], of("test", "loss")[0],
        of("val", "accuracy"), of("test", "accuracy"), of("val", "gain"), of("test", "gain"),
    )  # fmt: skip


def accuracy_by_kind(photos: list[PhotoMeasures]) -> dict[str, dict[str, KindAccuracy]]:
    """The thesis's accuracy by split and kind, "all" first."""
    result: dict[str, dict[str, KindAccuracy]] = {}
    for split in SPLITS:
        of_split = [p for p in photos if p.split == split]
        kinds = {"all": of_split} | {
            kind: [p for p in of_split if p.kind == kind]
            for kind in sorted({p.kind for p in of_split if p.kind})
        }
        result[split] = {}
        for kind, group in kinds.items():
            if not group:
                continue
            columns = columns_of(group)
            b = float(mean(columns["b_larger"]))
            accuracy = with_interval(mean, columns["accuracy"])
            result[split][kind] = KindAccuracy(len(group), accuracy, max(b, 1 - b))
    return result


def parting(train: list[float], val: list[float], margin: float = PART_MARGIN) -> int | None:
    """The epoch (from 1) at which training and validation loss part; None if they don't.

    After the epoch at which they are closest by ratio, the first one from which on, to the end,
    validation loss over training loss is more than `margin` above that ratio (or above 1, where
    that is more). Relative, as the splits needn't be equally hard, and as batch normalisation's
    moving averages lag in the first epochs.
    """
    ratios = [v / t for t, v in zip(train, val, strict=True)]
    closest = ratios.index(min(ratios))
    limit = (1 + margin) * max(1.0, ratios[closest])
    parted = None
    for epoch, ratio in enumerate(ratios[closest + 1 :], closest + 2):
        parted = (parted or epoch) if ratio > limit else None
    return parted


def measure_model(
    config: Config, run: Run, feed: SampleFeed, folder: Path, on_photo: Callable[[], None]
) -> tuple[ModelFigures, list[PhotoMeasures]]:
    """Measure one of the four by its best and by its last weights; photos are of the best."""
    both = dict[str, Scores]()
    photos = list[PhotoMeasures]()
    for which, weights in (("last", run.last), ("best", run.best)):
        network = load_model(config, weights)
        photos = []
        for split in SPLITS:
            if feed.select(split)[0]:
                for photo in measure_split(network, feed, folder, split):
                    photos.append(photo)
                    on_photo()
        both[which] = scores(photos, mean_loss(network, feed, "train"))
    history = read_history(run.history)
    gains = history["val_gain_db"]
    figures = ModelFigures(
        train_curve=history["regression"],
        val_curve=history["val_regression"],
        best_epoch=int(np.argmax(gains)) + 1,
        seconds=sum(history["seconds"]),
        best=both["best"],
        last=both["last"],
        failures=failure_figures(photos),
    )
    return figures, photos


def write_photos(path: Path, photos: list[PhotoMeasures]) -> None:
    """Write the measures as CSV, a line a photo."""
    with path.open("w", newline="") as f:
        writer = csv.DictWriter(f, list(asdict(photos[0])))
        writer.writeheader()
        writer.writerows(asdict(p) for p in photos)


def write_figures(folder: Path, figures: Figures, photos: dict[str, list[PhotoMeasures]]) -> None:
    """Write figures.json, and photos-MODEL.csv of each model's measures."""
    (folder / "figures.json").write_text(json.dumps(asdict(figures), indent=2))
    for name, measures in photos.items():
        write_photos(folder / f"photos-{name}.csv", measures)


def measure_experiment(
    configs: dict[str, Config],
    runs: dict[str, Run],
    feed: SampleFeed,
    folder: Path,
    command: str,
    epochs_thesis: int,
    on_photo: Callable[[], None],
) -> tuple[Figures, dict[str, list[PhotoMeasures]]]:
    """Measure the four trained models; returns the figures and each model's photos."""
    started = time.monotonic()
    models, photos = dict[str, ModelFigures](), dict[str, list[PhotoMeasures]]()
    for name, config in configs.items():
        models[name], photos[name] = measure_model(config, runs[name], feed, folder, on_photo)
    chosen = choose(models)
    both = configs["both"]
    network = build_colorizer(both, with_encoder=False)
    figures = Figures(
        command=command,
        machine=machine(),
        parameters=sum(
            int(np.prod(v.shape))
            for part in (network.decoder, network.regression)
            for v in part.trainable_variables
        ),
        widths={n: getattr(both.decoder, n) for n in WIDTHS},
        settings={
            "learning_rate": both.fit.learning_rate, "batch": both.fit.batch, "seed": both.seed,
            "l1": both.decoder.l1, "l2": both.decoder.l2,
        },
        photos=feed.counts(),
        epochs=both.fit.epochs,
        epochs_thesis=epochs_thesis,
        models=models,
        chosen=chosen,
        accuracy=accuracy_by_kind(photos[chosen]),
        measuring_seconds=time.monotonic() - started,
    )  # fmt: skip
    return figures, photos


def choose(models: dict[str, ModelFigures]) -> str:
    """The model of the lowest validation loss by its best weights."""
    return min(MODELS, key=lambda name: models[name].best.val_loss)


def machine() -> str:
    """This machine in words: cores, kind of processor, the widest vector instructions it has."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text().split()) if info.exists() else set()
    known = {"amx_bf16": "AMX", "avx512f": "AVX-512", "avx2": "AVX2"}
    vectors = next((f" with {name}" for flag, name in known.items() if flag in flags), "")
    gpus = len(tf.config.list_physical_devices("GPU"))
    return f"{cores} cores of an {platform.machine()} processor{vectors}, " + (
        f"{gpus} GPU" if gpus else "no GPU"
    )


@dataclass(frozen=True)
class Sample:
    """A photo that may be shown: its own-size L and RGB, each model's ab [56, 56, 2], measures."""

    name: str
    L: Float
    truth: NDArray[np.uint8]
    answers: dict[str, Float]
    measures: PhotoMeasures


def colour_samples(
    paths: list[Path],
    people: tuple[str, ...],
    configs: dict[str, Config],
    runs: dict[str, Run],
    chosen: str,
) -> list[Sample]:
    """Colorize photos by all four models; measures are of the chosen one.

    people names the photos that show people: skin is looked for in them alone.
    """
    keras.mixed_precision.set_global_policy("float32")
    encoder = build_colorizer(configs[chosen], with_encoder=True)
    networks = {name: load_model(configs[name], runs[name].best) for name in configs}
    samples = []
    for path in paths:
        truth = read_photo(path)
        L, ab = srgb_to_lab(truth)
        taps = encoder.taps(tf.constant(network_input(L)[None]))
        answers = {
            name: np.asarray(n.ab(n.features(taps)).numpy()[0], np.float32)
            for name, n in networks.items()
        }
        _, target = lab_target(L, ab)
        coarse = small_L(network_input(L) * 2.55)
        kind = "people" if path.name in people else ""
        measures = measure_photo(path.name, kind, "sample", coarse, answers[chosen], target)
        samples.append(Sample(path.stem, L, truth, answers, measures))
    return samples
