"""What each step of a recipe brings: runs of the same seed and length, a step kept if it helps."""

import json
import time
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from pydantic import BaseModel, ConfigDict

from .colorizer import Colorizer, build_colorizer
from .config import Config
from .errors import DataError
from .feed import Batch, CachedFeed
from .fit import fit
from .fusion import fit_fusion
from .run import Run, load_weights
from .start import start_from
from .summary import interval
from .vividness import TEMPERATURES, Answers, calibrate_vividness


class Step(BaseModel):
    """A row of the table: settings by dotted name that change from the kept steps before it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    set: dict[str, Any] = {}


@dataclass(frozen=True)
class Measures:
    """A run on the validation photos at 56 x 56; gains over grey in dB of sRGB."""

    name: str
    settings: dict[str, Any]
    gains: list[float]  # at vividness 0, a photo
    gain_vivid: float  # mean, at 0.8 of the truth's colourfulness
    gain_full: float  # mean, at the truth's colourfulness
    scale: float  # the factor that the regression needs at vividness 0
    seconds: float

    @property
    def gain(self) -> float:
        """Mean gain at vividness 0."""
        return float(np.mean(self.gains))


@dataclass(frozen=True)
class Row:
    """A step's measures against those of the last kept step before it."""

    measures: Measures
    difference: float  # of gains at vividness 0: paired, with its 95% interval
    low: float
    high: float
    kept: bool


def read_ablation(path: Path) -> tuple[dict[str, Any], list[Step]]:
    """Read an ablation's file: an experiment's settings, and its [[steps]].

    Raises pydantic.ValidationError for unknown keys, DataError when there are no steps.
    """
    settings = tomllib.loads(path.read_text())
    steps = [Step.model_validate(s) for s in settings.pop("steps", [])]
    if not steps:
        raise DataError(f"{path} has no [[steps]]")
    return settings, steps


def changed(settings: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Copy nested settings, with values set by dotted name ("fit.batch")."""
    copy = {k: dict(v) if isinstance(v, dict) else v for k, v in settings.items()}
    for name, value in change.items():
        section, _, key = name.partition(".")
        copy.setdefault(section, {})[key] = value
    return copy


def ablate(
    settings: dict[str, Any],
    steps: list[Step],
    cache: Path,
    folder: Path,
    report: Callable[[str], None],
) -> list[Row]:
    """Run every step and decide on it; finished ones are read from the folder.

    A step starts from the settings of the steps kept before it. The first is the reference.
    """
    rows: list[Row] = []
    kept = settings
    reference: Measures | None = None
    for n, step in enumerate(steps):
        trial = changed(kept, step.set)
        place = folder / f"{n:02d}"
        measures = _finished(place, step)
        if measures is None:
            report(f"{n}: {step.name}")
            measures = _run(step, trial, cache, place, report)
            (place / "measures.json").write_text(json.dumps(asdict(measures)))
        row = judge(measures, reference)
        if row.kept:
            kept, reference = trial, measures
        report(f"{n}: {step.name}: {measures.gain:+.3f} dB, {'kept' if row.kept else 'left'}")
        rows.append(row)
    return rows


def judge(measures: Measures, reference: Measures | None) -> Row:
    """Compare a step with the last kept one: it is kept if it gains at both ends taken together.

    The ends are vividness 0 and 0.8 of the truth's colourfulness, where the default lies.
    """
    if reference is None:
        return Row(measures, 0.0, 0.0, 0.0, kept=True)
    paired = np.array(measures.gains) - np.array(reference.gains)
    low, high = interval(lambda values: values.mean(axis=-1), paired)
    gained = (float(paired.mean()) + measures.gain_vivid - reference.gain_vivid) / 2
    return Row(measures, float(paired.mean()), low, high, kept=gained > 0)


def _finished(place: Path, step: Step) -> Measures | None:
    path = place / "measures.json"
    if not path.is_file():
        return None
    measures = Measures(**json.loads(path.read_text()))
    if measures.name != step.name or measures.settings != step.set:
        raise DataError(f"{place} holds another step, {measures.name!r}: name another --run")
    return measures


def _run(
    step: Step, settings: dict[str, Any], cache: Path, place: Path, report: Callable[[str], None]
) -> Measures:
    config = Config.model_validate(settings)
    feed = CachedFeed(cache, config.fit.batch)
    run = Run(place)
    start = time.perf_counter()
    if config.decoder.fusion and not run.fusion.is_file():
        fit_fusion(config, feed, run.fusion, report)
    fit(config, run, feed, report, lambda *_: None)
    seconds = time.perf_counter() - start

    keras.mixed_precision.set_global_policy("float32")
    unfrozen = config.encoder.trainable_from is not None
    network = build_colorizer(config, with_encoder=unfrozen, from_cache=True)
    if config.fit.start_from:
        start_from(Path(config.fit.start_from), network)
    load_weights(run.best, network.trainable_parts)
    val, _ = feed.select("val")
    batches = feed.batches(np.asarray(val, np.int64), network.needed_taps, lightness=True)
    found = calibrate_vividness(_collect(network, batches), config.publish)
    return Measures(
        name=step.name, settings=step.set, gains=[round(g, 4) for g in found.safe_gains],
        gain_vivid=found.gain_at(0.8), gain_full=found.gain_at(1.0),
        scale=found.settings.safe_scale, seconds=seconds,
    )  # fmt: skip


def _collect(network: Colorizer, batches: Iterable[Batch]) -> Answers:
    columns: dict[str, list[Any]] = {"L": [], "truth": [], "regression": []}
    annealed: dict[float, list[Any]] = {t: [] for t in TEMPERATURES}
    features = tf.function(lambda batch: network.features(network.refreshed(batch)))
    for batch in batches:
        x = features({name: value for name, value in batch.items() if name != "lightness"})
        columns["L"].append(batch["lightness"].numpy()[..., 0])
        columns["truth"].append(batch["ab"].numpy())
        columns["regression"].append(network.ab(x).numpy())
        for t, means in annealed.items():
            means.append(network.vivid_ab(x, tf.fill([len(x)], t)).numpy())
    joined = {name: np.concatenate(values) for name, values in columns.items()}
    return Answers(**joined, annealed={t: np.concatenate(v) for t, v in annealed.items()})


def markdown(rows: list[Row], config: Config, photos: int) -> str:
    """The table, with what it was measured on."""
    fit = config.fit
    images = fit.epochs * (fit.images_per_epoch or 0)
    lines = [
        "# What each step brings",
        "",
        "Written by `make ablation`. Every row is a run of the same seed and length "
        f"({fit.epochs} epochs of {fit.images_per_epoch} images, {images} in all, batches of "
        f"{fit.batch}, from the weights of `base.toml`), with the settings of the rows kept before "
        "it and one change. A row is kept if the mean of its gains at vividness 0 and at 0.8 of "
        "the truth's colourfulness rises.",
        "",
        f"Measured on {photos} validation photos at 56 × 56, the size of the network's answer: "
        "mean gain in PSNR over the grey photo. The difference is paired, photo by photo, to the "
        "last kept row, with its bootstrapped 95% interval over photos. Runs this short show a "
        "step's direction; a hundredth of a dB more or less is the seed's.",
        "",
        "| step | changes | gain, dB | difference [95%] | gain at 0.8 of the truth's colourfulness "
        "| at 1.0 | scale at vividness 0 | minutes | kept |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for n, row in enumerate(rows):
        m = row.measures
        changes = ", ".join(f"`{k} = {json.dumps(v)}`" for k, v in m.settings.items()) or "–"
        difference = f"{row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}]" if n else "–"
        lines.append(
            f"| {m.name} | {changes} | {m.gain:+.3f} | {difference} | {m.gain_vivid:+.3f} "
            f"| {m.gain_full:+.3f} | {m.scale:g} | {m.seconds / 60:.1f} "
            f"| {'yes' if row.kept else 'no'} |"
        )
    return "\n".join(lines) + "\n"
