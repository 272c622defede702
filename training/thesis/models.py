"""The four trained models run over the photos and measured."""

import csv
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from chromaserve.color.vividness import asked, livened
from chromaserve.engines.choose import load_engines
from chromaserve.settings import PipelineSettings
from chromaserve.store.contract import squeeze
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore, ModelVersion

from ..config import Config
from ..data import read_entry
from ..gains import load_model
from ..intervals import Values, mean, ratio, with_interval
from ..model import ColorizationModel, target_side
from ..network import AB_SCALE
from ..train import MEASURED
from ..views import whole
from ..weights import load_npz
from .experiment import MODELS, Photos
from .figures import Compared, Figures, Measured, ModelFigures, Scores
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
TRAIN_LOSS_PHOTOS = 1_000
"""Evenly spaced ones, whose mean is the training loss of finished weights."""


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


def measure_bundled(
    version: ModelVersion, photos: Photos, on_photo: Callable[[], None]
) -> list[PhotoMeasures]:
    """A published model on the same photos, at its default vividness and the others' size."""
    engine, *_ = load_engines(version, PipelineSettings())
    vividness, blend = version.description.default_vividness, version.description.blend
    ask = np.full(1, asked(vividness, blend), np.float32)
    side = target_side(photos.config, 224)
    measured = []
    for split in SPLITS:
        for e in photos.of(split):
            L, ab = whole(read_entry(photos.root, e), side)
            found = np.asarray(engine.infer(L[np.newaxis], ask)[0], np.float32)
            found = squeeze(livened(found, vividness, blend), side, side)
            measured.append(measure_photo(e.file, e.kind, split, photos.small_L(e), found, ab))
            on_photo()
    return measured


def mean_loss(model: ColorizationModel, photos: Photos, split: str) -> float:
    """Mean squared error of ab/128 over a split, as the model answers when it isn't training; of
    many photos that of some."""
    losses = list[float]()
    for taps, ab in photos.batches(split, TRAIN_LOSS_PHOTOS):
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
) -> Measured:
    """Measure one of the four by its best and by its last weights.

    model: of the four's architecture; takes the weights.
    """
    started = time.monotonic()
    both = dict[str, Scores]()
    measured = list[PhotoMeasures]()
    losses = dict[str, list[float]]()
    for which, weights in (("last", "last.npz"), ("best", BEST)):
        load_npz(folder / weights, model)
        measured = []
        for split in SPLITS:
            for photo in measure_split(model, photos, split):
                measured.append(photo)
                on_photo()
        both[which] = scores(measured, mean_loss(model, photos, "train"))
        losses |= {f"{which} {s}": [p.loss for p in measured if p.split == s] for s in SPLITS}
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
    return Measured(figures, losses, measured, time.monotonic() - started)


def measure_experiment(
    configs: dict[int, dict[str, Config]],
    folder: Path,
    photos: Photos,
    command: str,
    on_photo: Callable[[], None],
) -> tuple[Figures, list[PhotoMeasures]]:
    """Measure the four trained models by every seed; what was measured before is read.

    Returns the figures, and the photos of the chosen model by the first seed.
    """
    keras.mixed_precision.set_global_policy("float32")
    first = next(iter(configs))
    both = configs[first]["both"]
    model = load_model(folder / str(first) / "both" / "last.npz")
    by_seed = list[dict[str, Measured]]()
    for seed, four in configs.items():
        by_seed.append({})
        for name in four:
            place = folder / str(seed) / name
            if not (place / MEASURED).exists():
                measure_model(model, place, photos, on_photo).write(place / MEASURED)
            by_seed[-1][name] = Measured.read(place / MEASURED)
    models, *others = [{name: m.figures for name, m in four.items()} for four in by_seed]
    version, started = ModelStore(BUNDLED_ROOT).resolve("latest"), time.monotonic()
    bundled = failure_figures(measure_bundled(version, photos, on_photo))
    seconds = [m.seconds for four in by_seed for m in four.values()]
    chosen = choose(models)
    measured = by_seed[0][chosen].photos
    figures = Figures(
        command=command,
        machine=machine(),
        parameters=parameters(model),
        widths={n: getattr(both.decoder, n) for n in WIDTHS},
        settings={
            "learning_rate": both.train.learning_rate, "batch": both.train.batch,
            "l1": both.decoder.l1, "l2": both.decoder.l2,
        },
        seeds=tuple(configs),
        photos=photos.counts(),
        epochs=both.train.epochs,
        epochs_thesis=photos.config.train.epochs,
        models=models,
        others=others,
        compared=compared(by_seed),
        bundled=bundled,
        bundled_version=version.version,
        chosen=chosen,
        accuracy=accuracy_by_kind(measured),
        grey_loss=grey_loss(measured),
        measuring_seconds=time.monotonic() - started + sum(seconds),
    )  # fmt: skip
    return figures, measured


def compared(by_seed: Sequence[dict[str, Measured]]) -> dict[str, Compared]:
    """The models' losses by their last weights, against their best and that without
    regularisation; a photo's loss is the mean over seeds, and photos are what is drawn anew."""

    def of(name: str, which: str) -> Values:
        return np.asarray(np.mean([four[name].losses[which] for four in by_seed], axis=0))

    def train(name: str) -> float:
        return float(np.mean([four[name].figures.last.train_loss for four in by_seed]))

    def above(loss: Values, other: Values) -> Values:
        return np.asarray(ratio(loss, other) - 1)

    none, base = of("none", "last val"), train("none")
    found = {}
    for name in by_seed[0]:
        val, own = of(name, "last val"), train(name)

        def gap(loss: Values, own: float = own) -> Values:
            return np.asarray(mean(loss) / own - 1)

        def narrowing(loss: Values, other: Values, own: float = own) -> Values:
            return np.asarray((mean(loss) / own - 1) / (mean(other) / base - 1))

        best, last = of(name, "best test"), of(name, "last test")
        found[name] = Compared(
            rise=with_interval(above, last, best),
            gap=with_interval(gap, val),
            narrowing=with_interval(narrowing, val, none),
            change=with_interval(above, val, none),
        )
    return found


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
