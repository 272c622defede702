"""Averages of many photos' results: by kind, with 95% intervals, and two evaluations compared."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import DataError
from .evaluate import Result
from .intervals import mean, ratio, with_interval

Summary = dict[str, dict[str, float]]
COMPARED = (
    *("psnr", "ab_error", "ssim", "hue_error", "colourfulness", "accuracy"),
    *("skin_ab_error", "skin_hue_error", "skin_chroma_ratio"),
)


def summarise(results: list[Result]) -> Summary:
    """Average over all photos ("all") and over each kind; every measure with its baselines.

    Each measure's mean is over the photos that have it, absent where none has; skin's is by kind
    only. Beside them:
    "photos", and "skin_photos" where skin was measured; "gain", PSNR over that of the grey photo,
    and the same of each other baseline; "colourfulness_ratio", output to truth, and of each
    other baseline; "accuracy_constant", the better constant answer's. Gain, ratio and
    skin's ab error come with the ends of their 95% interval ("gain_low", "gain_high"): the photos
    are one draw of many, bootstrapped over photos; without them where there are fewer than 5.
    """
    summary = {name: _averages(group) for name, group in _groups(results).items()}
    # Only people's is measured: among all photos it would be the same figures again.
    summary["all"] = {n: v for n, v in summary["all"].items() if not n.startswith("skin")}
    return summary


def _groups(results: list[Result]) -> dict[str, list[Result]]:
    groups = {"all": results}
    for kind in sorted({r.kind for r in results if r.kind}):
        groups[kind] = [r for r in results if r.kind == kind]
    return groups


def _names(results: list[Result]) -> list[str]:
    """Every measure that one of the results has, in the order of first appearance."""
    return list(dict.fromkeys(name for r in results for name in r.measures))


def _averages(results: list[Result]) -> dict[str, float]:
    columns = {
        name: np.array([r.measures[name] for r in results if name in r.measures])
        for name in _names(results)
    }
    line = {name: float(values.mean()) for name, values in columns.items()}
    b_larger = line.pop("b_larger")
    line["photos"] = len(results)
    line["accuracy_constant"] = max(b_larger, 1 - b_larger)
    for name in ("mean_colour", "nearest"):
        if f"psnr_{name}" in columns:
            line[f"gain_{name}"] = line[f"psnr_{name}"] - line["psnr_grey"]
            line[f"colourfulness_ratio_{name}"] = float(
                ratio(columns[f"colourfulness_{name}"], columns["colourfulness_truth"])
            )
    intervals = {
        "gain": with_interval(mean, columns["psnr"] - columns["psnr_grey"]),
        "colourfulness_ratio": with_interval(
            ratio, columns["colourfulness"], columns["colourfulness_truth"]
        ),
    }
    if "skin_ab_error" in columns:
        line["skin_photos"] = len(columns["skin_ab_error"])
        intervals["skin_ab_error"] = with_interval(mean, columns["skin_ab_error"])
    for name, (value, low, high) in intervals.items():
        line[name] = value
        if math.isfinite(low):
            line[f"{name}_low"], line[f"{name}_high"] = low, high
    return {name: round(value, 4) for name, value in line.items()}


def write_results(path: Path, results: list[Result]) -> None:
    """Write a CSV, a line a photo, as `read_results` reads it; a measure it lacks stays empty."""
    with path.open("w", newline="") as f:
        writer = csv.DictWriter(f, ["file", "kind", *_names(results)])
        writer.writeheader()
        writer.writerows({"file": r.file, "kind": r.kind} | r.measures for r in results)


def read_results(path: Path) -> list[Result]:
    """Read what `write_results` wrote."""
    with path.open(newline="") as f:
        return [
            Result(row.pop("file"), row.pop("kind"), {n: float(v) for n, v in row.items() if v})
            for row in csv.DictReader(f)
        ]


@dataclass(frozen=True)
class Difference:
    """Mean of a measure's paired differences, over that many photos, with its 95% interval.

    None where there are fewer than 5 photos.
    """

    mean: float
    interval: tuple[float, float] | None
    photos: int


def compare(first: Path, second: Path) -> dict[str, dict[str, Difference]]:
    """Second evaluation less first, photo by photo, over all photos ("all") and each kind.

    Both are of `write_results`. {kind: {measure: difference}}, of the measures and the photos for
    which both have a value. Raises DataError when they aren't of the same photos.
    """
    one, other = ({r.file: r for r in read_results(path)} for path in (first, second))
    if one.keys() != other.keys() or not one:
        raise DataError(f"{first} and {second} are not of the same photos")
    differences = [
        Result(
            r.file,
            r.kind,
            {
                name: other[r.file].measures[name] - r.measures[name]
                for name in COMPARED
                if name in r.measures and name in other[r.file].measures
            },
        )
        for r in one.values()
    ]
    return {name: _differences(group) for name, group in _groups(differences).items()}


def _differences(results: list[Result]) -> dict[str, Difference]:
    out = {}
    for name in _names(results):
        values = np.array([r.measures[name] for r in results if name in r.measures])
        value, low, high = with_interval(mean, values)
        ends = (low, high) if math.isfinite(low) else None
        out[name] = Difference(value, ends, len(values))
    return out
