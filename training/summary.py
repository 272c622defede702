"""Averages of many photos' results: by kind, with 95% intervals, and two evaluations compared."""

import csv
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data import DataError
from training.evaluate import Result

Summary = dict[str, dict[str, float]]
Columns = dict[str, NDArray[np.float64]]  # a measure's values, one a photo
RESAMPLES = 2000


def summarise(results: list[Result]) -> Summary:
    """Average over all photos ("all") and over each kind; every measure with its baselines.

    Gain over grey and the ratio of colourfulness come with the ends of their 95% interval
    ("gain_low", "gain_high"): the photos are one draw of many, bootstrapped over photos.
    """
    groups = {"all": results}
    for kind in sorted({r.kind for r in results if r.kind}):
        groups[kind] = [r for r in results if r.kind == kind]
    return {name: _averages(group) for name, group in groups.items()}


def _averages(results: list[Result]) -> dict[str, float]:
    columns = _columns([asdict(r) for r in results])
    line = {c: float(values.mean()) for c, values in columns.items()}
    b_larger = line.pop("b_larger")
    line |= {
        "photos": len(results),
        "gain": _gain(columns),
        "gain_mean_colour": line["psnr_mean_colour"] - line["psnr_grey"],
        "colourfulness_ratio": _ratio(columns),
        "accuracy_constant": max(b_larger, 1 - b_larger),
    }
    for name, statistic in (("gain", _gain), ("colourfulness_ratio", _ratio)):
        line[f"{name}_low"], line[f"{name}_high"] = interval(columns, statistic)
    return {name: round(value, 4) for name, value in line.items()}


def _columns(results: list[dict[str, str]]) -> Columns:
    names = [c for c in results[0] if c not in ("file", "kind")]
    return {c: np.array([float(r[c]) for r in results]) for c in names}


def _gain(columns: Columns) -> float:
    return float((columns["psnr"] - columns["psnr_grey"]).mean())


def _ratio(columns: Columns) -> float:
    truth = float(columns["colourfulness_truth"].mean())
    return float(columns["colourfulness"].mean()) / max(truth, 1e-6)


def _mean(column: Columns) -> float:
    (values,) = column.values()
    return float(values.mean())


def interval(columns: Columns, statistic: Callable[[Columns], float]) -> tuple[float, float]:
    """95% interval of a statistic, by the bootstrap's percentiles over photos (Efron 1979).

    Seeded: the same results give the same interval.
    """
    random = np.random.default_rng(0)
    count = len(next(iter(columns.values())))
    draws = []
    for _ in range(RESAMPLES):
        chosen = random.integers(0, count, count)
        draws.append(statistic({name: values[chosen] for name, values in columns.items()}))
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def write_results(path: Path, results: list[Result]) -> None:
    """Write a CSV, a line a photo, as `compare` reads it."""
    with path.open("w", newline="") as f:
        writer = csv.DictWriter(f, [field.name for field in fields(Result)])
        writer.writeheader()
        writer.writerows(asdict(r) for r in results)


COMPARED = ("psnr", "ab_error", "ssim", "hue_error", "colourfulness", "accuracy")


def compare(first: Path, second: Path) -> dict[str, tuple[float, float, float]]:
    """Second evaluation less first, photo by photo: {measure: (mean, low, high)}, 95%.

    Both are of `write_results`. Raises DataError when they aren't of the same
    photos.
    """
    lines = []
    for path in (first, second):
        with path.open(newline="") as f:
            lines.append({r["file"]: r for r in csv.DictReader(f)})
    if lines[0].keys() != lines[1].keys() or not lines[0]:
        raise DataError(f"{first} and {second} are not of the same photos")
    one, other = (_columns([each[file] for file in lines[0]]) for each in lines)
    differences = {}
    for name in COMPARED:
        column = {name: other[name] - one[name]}
        differences[name] = (_mean(column), *interval(column, _mean))
    return differences
