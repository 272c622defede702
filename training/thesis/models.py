"""The four trained models run over the photos and measured."""

import csv
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from ..config import Config
from ..gains import load_model
from ..model import ColorizationModel
from ..network import AB_SCALE
from ..weights import load_npz
from .experiment import MODELS, Photos
from .figures import Figures, ModelFigures, Scores
from .measures import (
    SPLITS,
    accuracy_by_kind,
    failure_figures,
    grey_loss,
    scores,
)
from .photo import PhotoMeasures, measure_photo

Float = NDArray[np.float32]
WIDTHS = ("width_7", "width_14", "width_28", "width_56")
BEST = "best_regression.npz"


def answer(model: ColorizationModel, taps: dict[str, Float]) -> Float:
    """The model's ab [N, h, w, 2] to taps, Lab units."""
    (ab,) = model.answers(taps, ())
    return np.asarray(ops.convert_to_numpy(ab), np.float32)


def measure_split(model: ColorizationModel, photos: Photos, split: str) -> Iterator[PhotoMeasures]:
    """Measure a model on a split's photos."""
    entries = iter(photos.of(split))
    for taps, ab in photos.batches(split):
        for predicted, truth in zip(answer(model, taps), ab, strict=True):
            e = next(entries)
            yield measure_photo(e.file, e.kind, split, photos.small_L(e), predicted, truth)


def mean_loss(model: ColorizationModel, photos: Photos, split: str) -> float:
    """Mean squared error of ab/128 over a split, as the model answers when it isn't training."""
    losses = list[float]()
    for taps, ab in photos.batches(split):
        errors = (answer(model, taps) - ab) / AB_SCALE
        losses += [float(x) for x in np.mean(errors**2, axis=(1, 2, 3))]
    return float(np.mean(losses))


def read_log(path: Path) -> dict[str, list[float]]:
    """Read a run's log.csv: column -> values, a line an epoch."""
    with path.open(newline="") as f:
        lines = list(csv.DictReader(f))
    return {name: [float(line[name]) for line in lines] for name in (lines[0] if lines else ())}


def measure_model(
    model: ColorizationModel, folder: Path, photos: Photos, on_photo: Callable[[], None]
) -> tuple[ModelFigures, list[PhotoMeasures]]:
    """Measure one of the four by its best and by its last weights; photos are of the best.

    model: of the four's architecture; takes the weights.
    """
    both = dict[str, Scores]()
    measured = list[PhotoMeasures]()
    for which, weights in (("last", "last.npz"), ("best", BEST)):
        load_npz(folder / weights, model)
        measured = []
        for split in SPLITS:
            for photo in measure_split(model, photos, split):
                measured.append(photo)
                on_photo()
        both[which] = scores(measured, mean_loss(model, photos, "train"))
    log = read_log(folder / "log.csv")
    figures = ModelFigures(
        train_curve=log["regression"],
        val_curve=log["val_regression"],
        best_epoch=int(np.argmin(log["val_regression"])) + 1,
        seconds=sum(log["seconds"]),
        best=both["best"],
        last=both["last"],
        failures=failure_figures(measured),
    )
    return figures, measured


def measure_experiment(
    configs: dict[str, Config],
    folder: Path,
    photos: Photos,
    command: str,
    on_photo: Callable[[], None],
) -> tuple[Figures, dict[str, list[PhotoMeasures]]]:
    """Measure the four trained models; returns the figures and each model's photos."""
    started = time.monotonic()
    keras.mixed_precision.set_global_policy("float32")
    models, measured = dict[str, ModelFigures](), dict[str, list[PhotoMeasures]]()
    model = load_model(folder / "both" / "last.npz")
    for name in configs:
        models[name], measured[name] = measure_model(model, folder / name, photos, on_photo)
    chosen = choose(models)
    both = configs["both"]
    figures = Figures(
        command=command,
        machine=machine(),
        parameters=parameters(model),
        widths={n: getattr(both.decoder, n) for n in WIDTHS},
        settings={
            "learning_rate": both.train.learning_rate, "batch": both.train.batch,
            "seed": both.seed, "l1": both.decoder.l1, "l2": both.decoder.l2,
        },
        photos=photos.counts(),
        epochs=both.train.epochs,
        epochs_thesis=photos.config.train.epochs,
        models=models,
        chosen=chosen,
        accuracy=accuracy_by_kind(measured[chosen]),
        grey_loss=grey_loss(measured[chosen]),
        measuring_seconds=time.monotonic() - started,
    )  # fmt: skip
    return figures, measured


def choose(models: dict[str, ModelFigures]) -> str:
    """The model of the lowest validation loss by its best weights."""
    return min(MODELS, key=lambda name: models[name].best.val_loss)


def parameters(model: ColorizationModel) -> int:
    """How many numbers the decoder and its head learn."""
    parts = (model.decoder, model.regression)
    return sum(int(np.prod(v.shape)) for part in parts for v in part.trainable_variables)


def machine() -> str:
    """This machine in words: cores, kind of processor, the widest vector instructions it has."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text().split()) if info.exists() else set()
    known = {"amx_bf16": "AMX", "avx512f": "AVX-512", "avx2": "AVX2"}
    vectors = next((f" with {name}" for flag, name in known.items() if flag in flags), "")
    gpus = len(keras.distribution.list_devices("gpu"))
    return f"{cores} cores of an {platform.machine()} processor{vectors}, " + (
        f"{gpus} GPU" if gpus else "no GPU"
    )
