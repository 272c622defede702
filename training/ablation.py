"""What each step of a recipe brings: runs of the same seed and length, a step kept if it helps."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from pydantic import BaseModel, ConfigDict

from .config import Config, read_toml, run_config
from .data import Entry
from .errors import DataError
from .fusion import fit_fusion
from .gains import SHARES, SIDE, collect, load_model
from .intervals import Interval, mean, told, with_interval
from .report import table
from .train import train
from .vividness import calibrate_vividness


class Step(BaseModel):
    """A row of the table: settings by dotted name that change from the kept steps before it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    set: dict[str, Any] = {}


@dataclass(frozen=True)
class Measures:
    """A run on the validation photos at 112 x 112; gains over grey in dB of sRGB."""

    name: str
    settings: dict[str, Any]
    gains: list[float]  # at vividness 0, a photo
    at_shares: list[float]  # means, at the SHARES of the truth's colourfulness
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
    difference: Interval  # of gains at vividness 0, paired
    kept: bool


def read_ablation(path: Path) -> tuple[dict[str, Any], list[Step]]:
    """Read an ablation's file: an experiment's settings, and its [[steps]].

    Raises pydantic.ValidationError for unknown keys, DataError for no TOML or no steps.
    """
    settings = read_toml(path)
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
    entries: Sequence[Entry],
    root: Path,
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
        measures = _finished(place, Config.model_validate(trial))
        if measures is None:
            report(f"{n}: {step.name}")
            measures = _run(step, trial, entries, root, place, report)
            place.mkdir(parents=True, exist_ok=True)
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
        return Row(measures, (0.0, 0.0, 0.0), kept=True)
    paired = np.array(measures.gains) - np.array(reference.gains)
    gained = (float(paired.mean()) + measures.at_shares[0] - reference.at_shares[0]) / 2
    return Row(measures, with_interval(mean, paired), kept=gained > 0)


def _finished(place: Path, config: Config) -> Measures | None:
    path = place / "measures.json"
    if not path.is_file():
        return None
    measures = Measures(**json.loads(path.read_text()))
    if run_config(place) != config:
        raise DataError(f"{place} holds {measures.name!r} by other settings: name another --run")
    return measures


def _run(
    step: Step, settings: dict[str, Any], entries: Sequence[Entry], root: Path, place: Path,
    report: Callable[[str], None],
) -> Measures:  # fmt: skip
    config = Config.model_validate(settings)
    start = time.perf_counter()
    if config.decoder.fusion and not (place / "fusion.npz").is_file():
        fit_fusion(config, entries, root, place / "fusion.npz", report)
    train(config, place, entries, root)
    seconds = time.perf_counter() - start
    keras.mixed_precision.set_global_policy("float32")
    val = [e for e in entries if e.split == "val"]
    found = calibrate_vividness(collect(load_model(place / "last.npz"), val, root), config.publish)
    return Measures(
        name=step.name, settings=step.set, gains=[round(g, 4) for g in found.safe_gains],
        at_shares=[found.gain_at(share) for share in SHARES],
        scale=found.settings.safe_scale, seconds=seconds,
    )  # fmt: skip


def markdown(rows: list[Row], config: Config, photos: int) -> str:
    """The table, with what it was measured on."""
    settings = config.train
    views = settings.epochs * settings.views_per_epoch
    lines = [
        "# What each step brings",
        "",
        "Written by `make ablation`. Every row is a run of the same seed and length "
        f"({views:,} views in batches of {settings.batch}), with the settings of the rows kept "
        "before it and one change. A row is kept if the mean of its gains at vividness 0 and at "
        "0.8 of the truth's colourfulness rises.",
        "",
        f"Measured on {photos} validation photos at {SIDE} × {SIDE}: mean gain in PSNR over the "
        "grey photo, at vividness 0 and at shares of the truth's colourfulness. The difference is "
        "paired, photo by photo, to the last kept row, with its bootstrapped 95% interval over "
        "photos. Runs this short show a step's direction; a hundredth of a dB more or less is the "
        "seed's.",
        "",
    ]
    cells = []
    for n, row in enumerate(rows):
        m = row.measures
        changes = ", ".join(f"`{k} = {json.dumps(v)}`" for k, v in m.settings.items()) or "–"
        difference = told(row.difference, 3, "+") if n else "–"
        cells.append([
            m.name, changes, f"{m.gain:+.3f}", difference, *(f"{g:+.3f}" for g in m.at_shares),
            f"{m.scale:g}", f"{m.seconds / 60:.1f}", "yes" if row.kept else "no",
        ])  # fmt: skip
    head = ["step", "changes", "gain at 0, dB", "difference [95%]", *(f"at {x:g}" for x in SHARES),
            "scale at vividness 0", "minutes", "kept"]  # fmt: skip
    return "\n".join([*lines, table(head, cells, (0, 1, len(head) - 1))]) + "\n"
