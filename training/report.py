"""Summaries of an evaluation as tables: for the terminal, and in Markdown."""

from dataclasses import dataclass

from rich.table import Table

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
    Measure("lpips", "LPIPS", 4),
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


def summary_table(summary: Summary, title: str) -> Table:
    """For the terminal: a line a measure, its interval and baselines below; a column a kind."""
    out = Table(title=title)
    out.add_column("", no_wrap=True)
    for name in summary:
        out.add_column(name, justify="right")
    for section in SECTIONS:
        if not any(section.photos in line for line in summary.values()):
            continue
        counts = [f"{line[section.photos]:.0f}" if section.photos in line else "" for line in
                  summary.values()]  # fmt: skip
        out.add_section()
        out.add_row("photos" if section.photos == "photos" else "photos with skin", *counts)
        for measure in section.measures:
            suffixes = {"": measure.label, "_low": "  95% from", "_high": "  to"} | {
                f"_{name}": f"  of {'the ' * (name != 'grey')}{label}"
                for name, label in BASELINES.items()
            }
            for suffix, label in suffixes.items():
                cells = [_cell(line, measure, suffix) for line in summary.values()]
                if any(cells):
                    out.add_row(label, *cells)
    return out


def markdown_tables(summary: Summary) -> str:
    """For documents: errors, then looks, then skin; a line a measure and kind, baselines beside."""
    return "\n\n".join(t for t in (_markdown(summary, section) for section in SECTIONS) if t)


def _markdown(summary: Summary, section: Section) -> str:
    measured = {
        name: label
        for name, label in BASELINES.items()
        if any(_cell(line, m, f"_{name}") for line in summary.values() for m in section.measures)
    }
    rows = []
    for measure in section.measures:
        for kind, line in summary.items():
            if measure.key in line:
                baselines = (_cell(line, measure, f"_{name}") for name in measured)
                cells = [measure.label, kind, f"{line[section.photos]:.0f}",
                         _cell_with_interval(line, measure), *baselines]  # fmt: skip
                rows.append("| " + " | ".join(cells) + " |")
    if not rows:
        return ""
    head = ["", "photos", "n", "model [95%]", *measured.values()]
    rule = "| --- | --- |" + " ---: |" * (len(head) - 2)
    return "\n".join(["| " + " | ".join(head) + " |", rule, *rows])


def comparison_table(differences: dict[str, dict[str, Difference]]) -> Table:
    """For the terminal: paired differences, a line a measure and kind."""
    out = Table("second less first", "photos", "n", "mean", "95% from", "to")
    for name in differences["all"]:
        out.add_section()
        for kind, measures in differences.items():
            if name in measures:
                x = measures[name]
                values = (f"{v:+.4f}" for v in (x.mean, *(x.interval or ())))
                out.add_row(name if kind == "all" else "", kind, str(x.photos), *values)
    return out
