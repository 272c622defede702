"""Summaries of an evaluation as tables in Markdown."""

import math
from collections.abc import Container
from dataclasses import dataclass

from .intervals import told
from .summary import Difference, Summary


@dataclass(frozen=True)
class Measure:
    """A row of a table: what a summary calls the measure, and how it is written."""

    key: str
    label: str
    digits: int
    sign: str = ""  # "+": always with its sign


@dataclass(frozen=True)
class Section:
    """A table: its measures, and the number of photos that they are averaged over."""

    measures: tuple[Measure, ...]
    photos: str = "photos"


ERRORS = Section((
    Measure("gain", "PSNR gain over grey, dB", 2, "+"),
    Measure("ab_error", "ab error, Lab units", 2),
    Measure("hue_error", "hue error, degrees", 1),
    Measure("ssim", "SSIM", 3),
))  # fmt: skip
LOOKS = Section((
    Measure("colourfulness_ratio", "colourfulness / truth's", 2),
    Measure("accuracy", "accuracy, argmax(a, b)", 3),
))  # fmt: skip
SKIN = Section((
    Measure("skin_ab_error", "ab error of skin", 2),
    Measure("skin_hue_error", "hue error of skin, degrees", 1),
    Measure("skin_chroma_ratio", "chroma of skin / truth's", 2),
), "skin_photos")  # fmt: skip
SECTIONS = (ERRORS, LOOKS, SKIN)
BASELINES = {
    "grey": "grey",
    "mean_colour": "mean colour",
    "nearest": "nearest photo",
    "constant": "best constant",
}
# What grey answers by definition: left blank, or it would look like a result.
_EMPTY = {"accuracy_grey", "accuracy_mean_colour"}


def _cell(line: dict[str, float], measure: Measure, suffix: str = "") -> str:
    """The value, or nothing where it wasn't measured."""
    key = measure.key + suffix
    if key not in line or key in _EMPTY:
        return ""
    return f"{line[key]:{measure.sign}.{measure.digits}f}"


def _cell_with_interval(line: dict[str, float], measure: Measure) -> str:
    low, high = _cell(line, measure, "_low"), _cell(line, measure, "_high")
    return _cell(line, measure) + (f" [{low}, {high}]" if low else "")


def markdown_tables(summary: Summary) -> str:
    """For documents: errors, then looks, then skin; a line a measure and kind, baselines beside."""
    return "\n\n".join(t for t in (_markdown(summary, section) for section in SECTIONS) if t)


def _markdown(summary: Summary, section: Section) -> str:
    measured = {
        name: label
        for name, label in BASELINES.items()
        if any(_cell(line, m, f"_{name}") for line in summary.values() for m in section.measures)
    }
    rows = [
        [
            measure.label, kind, f"{line[section.photos]:.0f}", _cell_with_interval(line, measure),
            *(_cell(line, measure, f"_{name}") for name in measured),
        ]
        for measure in section.measures
        for kind, line in summary.items()
        if measure.key in line
    ]  # fmt: skip
    return table(["", "photos", "n", "model [95%]", *measured.values()], rows) if rows else ""


def comparison_table(differences: dict[str, dict[str, Difference]]) -> str:
    """Paired differences, a line a measure and kind."""
    rows = [
        [name, kind, str(x.photos), told((x.mean, *(x.interval or (math.nan,) * 2)), 4, "+")]
        for name in differences["all"]
        for kind, measures in differences.items()
        if (x := measures.get(name))
    ]
    return table(["second less first", "photos", "n", "mean [95%]"], rows)


def table(head: list[str], rows: list[list[str]], words: Container[int] = (0, 1)) -> str:
    """A table in Markdown; the columns that are not of words are figures, to the right."""
    rule = ["---" if n in words else "---:" for n in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))
