"""What each step of a recipe brings: runs of the same seed and length, a step kept if it helps."""

import json
import time
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from pydantic import BaseModel, ConfigDict

from training.colorizer import build_colorizer
from training.config import Config
from training.data import DataError
from training.feed import CachedFeed
from training.fit import fit
from training.fusion import fit_fusion
from training.run import Run, load_weights
from training.start import start_from
from training.summary import interval
from training.vividness import calibrate_vividness, collect

NOTICEABLE_DB = 0.01  # a step that brings less isn't kept


class Step(BaseModel):
    """A row of the table: settings by dotted name that change from the kept steps before it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    set: dict[str, Any] = {}
    by: str = "safe"  # what decides: "safe" gain at vividness 0, "vivid" gain at 0.8 colourfulness


@dataclass(frozen=True)
class Row:
    """A step's measures on the validation photos at 56 x 56; gains over grey in dB of sRGB."""

    name: str
    settings: dict[str, Any]
    gain: float
    difference: float  # to the last kept step; paired, with its 95% interval
    difference_low: float
    difference_high: float
    gain_vivid: float  # at 0.8 of the truth's colourfulness
    gain_full: float  # at the truth's colourfulness
    scale: float  # the factor that the regression needs at vividness 0
    seconds: float
    kept: bool
    gains: list[float]


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
    kept, reference = settings, None
    for n, step in enumerate(steps):
        trial = changed(kept, step.set)
        place = folder / f"{n:02d}"
        row = _finished(place, step)
        if row is None:
            report(f"{n}: {step.name}")
            row = _run(step, trial, reference, cache, place, report)
            (place / "row.json").write_text(json.dumps(asdict(row)))
        if row.kept:
            kept, reference = trial, row
        report(f"{n}: {step.name}: {row.gain:+.3f} dB, {'kept' if row.kept else 'left'}")
        rows.append(row)
    return rows


def _finished(place: Path, step: Step) -> Row | None:
    path = place / "row.json"
    if not path.is_file():
        return None
    row = Row(**json.loads(path.read_text()))
    if row.name != step.name or row.settings != step.set:
        raise DataError(f"{place} holds another step, {row.name!r}: name another --run")
    return row


def _run(
    step: Step, settings: dict[str, Any], reference: Row | None, cache: Path, place: Path,
    report: Callable[[str], None],
) -> Row:  # fmt: skip
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
    found = calibrate_vividness(collect(network, batches), config.publish)
    gains = np.array(found.safe_gains)
    vivid = found.gain_at(0.8)
    low = high = difference = 0.0
    better = True
    if reference is not None:
        paired = gains - np.array(reference.gains)
        difference = float(paired.mean())
        low, high = interval(lambda values: values.mean(axis=-1), paired)
        gained = difference if step.by == "safe" else vivid - reference.gain_vivid
        better = gained > NOTICEABLE_DB
    return Row(
        name=step.name, settings=step.set, gain=float(gains.mean()), difference=difference,
        difference_low=low, difference_high=high, gain_vivid=vivid, gain_full=found.gain_at(1.0),
        scale=found.settings.safe_scale, seconds=seconds, kept=better,
        gains=[round(float(g), 4) for g in gains],
    )  # fmt: skip


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
        "it and one change. A row is kept if its gain rises by more than "
        f"{NOTICEABLE_DB} dB (at vividness 0; rows marked * at 0.8 of the truth's colourfulness).",
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
        changes = ", ".join(f"`{k} = {json.dumps(v)}`" for k, v in row.settings.items()) or "–"
        difference = "–"
        if n:
            difference = (
                f"{row.difference:+.3f} [{row.difference_low:+.3f}, {row.difference_high:+.3f}]"
            )
        lines.append(
            f"| {row.name} | {changes} | {row.gain:+.3f} | {difference} | {row.gain_vivid:+.3f} "
            f"| {row.gain_full:+.3f} | {row.scale:g} | {row.seconds / 60:.1f} "
            f"| {'yes' if row.kept else 'no'} |"
        )
    return "\n".join(lines) + "\n"
