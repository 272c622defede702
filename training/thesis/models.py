"""The four trained models run over the cached photos and measured."""

import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..colorizer import Colorizer, build_colorizer
from ..config import Config
from ..curves import read_history
from ..feed import Batch
from ..network import AB_SCALE
from ..run import Run, load_weights
from .experiment import MODELS, SampleFeed
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
Predict = Callable[[Batch], Float]
WIDTHS = ("width_7", "width_14", "width_28", "width_56")


def load_model(config: Config, weights: Path) -> Predict:
    """One of the four, in float32, without its encoder: a batch's taps -> ab [N, 56, 56, 2]."""
    keras.mixed_precision.set_global_policy("float32")
    network = build_colorizer(config, with_encoder=False)
    load_weights(weights, network.trainable_parts)
    compiled = tf.function(
        lambda taps: network.ab(network.features(taps)), autograph=False, reduce_retracing=True
    )

    def predict(batch: Batch) -> Float:
        taps = {name: batch[name] for name in network.decoder.input}
        return np.asarray(compiled(taps).numpy(), np.float32)

    return predict


def measure_split(predict: Predict, feed: SampleFeed, split: str) -> Iterator[PhotoMeasures]:
    """Measure a model on a split's cached rows."""
    rows = [feed.rows[i] for i in feed.select(split)[0]]
    order = np.asarray(feed.select(split)[0], np.int64)
    done = iter(rows)
    for batch in feed.batches(order, lightness=True):
        L, ab = batch["lightness"].numpy()[..., 0], batch["ab"].numpy()
        for each_L, predicted, truth in zip(L, predict(batch), ab, strict=True):
            row = next(done)
            yield measure_photo(row.file, row.kind, split, each_L, predicted, truth)


def mean_loss(predict: Predict, feed: SampleFeed, split: str) -> float:
    """Mean squared error of ab/128 over a split, as the model answers when it isn't training."""
    losses = list[float]()
    for batch in feed.batches(np.asarray(feed.select(split)[0], np.int64)):
        errors = (predict(batch) - batch["ab"].numpy()) / AB_SCALE
        losses += [float(x) for x in np.mean(errors**2, axis=(1, 2, 3))]
    return float(np.mean(losses))


def measure_model(
    config: Config, run: Run, feed: SampleFeed, on_photo: Callable[[], None]
) -> tuple[ModelFigures, list[PhotoMeasures]]:
    """Measure one of the four by its best and by its last weights; photos are of the best."""
    both = dict[str, Scores]()
    photos = list[PhotoMeasures]()
    for which, weights in (("last", run.last), ("best", run.best)):
        predict = load_model(config, weights)
        photos = []
        for split in SPLITS:
            if feed.select(split)[0]:
                for photo in measure_split(predict, feed, split):
                    photos.append(photo)
                    on_photo()
        both[which] = scores(photos, mean_loss(predict, feed, "train"))
    history = read_history(run.history)
    gains = history["val_gain_db"]
    ended = json.loads((run.folder / "summary.json").read_text())
    figures = ModelFigures(
        train_curve=history["regression"],
        val_curve=history["val_regression"],
        best_epoch=int(np.argmax(gains)) + 1,
        averaged=ended["best_val_gain_db"] > max(gains) + 1e-4,  # the history is rounded
        seconds=sum(history["seconds"]),
        best=both["best"],
        last=both["last"],
        failures=failure_figures(photos),
    )
    return figures, photos


def measure_experiment(
    configs: dict[str, Config],
    runs: dict[str, Run],
    feed: SampleFeed,
    command: str,
    epochs_thesis: int,
    on_photo: Callable[[], None],
) -> tuple[Figures, dict[str, list[PhotoMeasures]]]:
    """Measure the four trained models; returns the figures and each model's photos."""
    started = time.monotonic()
    models, photos = dict[str, ModelFigures](), dict[str, list[PhotoMeasures]]()
    for name, config in configs.items():
        models[name], photos[name] = measure_model(config, runs[name], feed, on_photo)
    chosen = choose(models)
    both = configs["both"]
    figures = Figures(
        command=command,
        machine=machine(),
        parameters=parameters(build_colorizer(both, with_encoder=False)),
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
        grey_loss=grey_loss(photos[chosen]),
        measuring_seconds=time.monotonic() - started,
    )  # fmt: skip
    return figures, photos


def choose(models: dict[str, ModelFigures]) -> str:
    """The model of the lowest validation loss by its best weights."""
    return min(MODELS, key=lambda name: models[name].best.val_loss)


def parameters(network: Colorizer) -> int:
    """How many numbers the decoder and its head learn."""
    parts = (network.decoder, network.regression)
    return sum(int(np.prod(v.shape)) for part in parts for v in part.trainable_variables)


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
