"""The page of results: tables, and sentences that follow from the figures by rule."""

from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import mean

from benchmarks.serving.contenders import ENGINES, EVERYONE
from benchmarks.serving.figures import Figures, Record, in_seconds
from benchmarks.serving.verdicts import verdicts

METHOD = Path(__file__).with_name("method.md")
STEPS = {
    "high": "At 80% of its own saturation",
    "common": "At the same rate for all",
}


def page(records: list[Record]) -> str:
    """The whole page in Markdown, from the lines of a results file."""
    figures = Figures(records)
    parts = [
        "# Benchmarks: serving side by side",
        _about(figures),
        _pixels(figures),
        "## What the figures say",
        "\n".join(f"- {sentence}" for sentence in verdicts(figures)),
        "## The engines alone",
        _raw(figures),
    ]
    for size in figures.sizes:
        parts += [f"## Photos of {size}", _throughput(figures, size)]
        for step, title in STEPS.items():
            parts += [f"{_step_title(figures, size, step, title)}:", _latency(figures, size, step)]
    parts += ["## Failures", _failures(figures), METHOD.read_text().strip()]
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(figures: Figures) -> str:
    run = figures.run
    said = dict.fromkeys(
        run["versions"].get(c.name, c.package) for c in figures.contenders if not c.ours
    )
    versions = ", ".join(said)
    return (
        f"Written by `{run['command']}` on {run['date']}, commit {run['commit']}. Machine:"
        f" {run['processor']}, {run['cores']} cores, {run['memory_gib']} GiB, {run['system']};"
        f" the load generator ({run['load']}) runs on the same cores. Python {run['python']},"
        f" TensorFlow {run['tensorflow']}; {versions}. Rounds: {figures.rounds}, interleaved;"
        " a figure is the mean of the rounds with the lowest and the highest in brackets."
    )


def _pixels(figures: Figures) -> str:
    apart = {c.title: figures.apart(c.name) for c in figures.contenders}
    told = [f"{title} by {value:.2f}" for title, value in apart.items() if value >= 0.005]
    same = "with the same pixels, to less than 0.005 8-bit codes on the mean."
    if not told:
        return f"All answer {same}"
    return f"Other pixels than the first contender's: {', '.join(told)} codes; the others {same}"


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _spread(values: list[float], digits: int) -> str:
    """Mean [lowest, highest]."""
    if not values:
        return "–"
    text = f"{mean(values):,.{digits}f}"
    if len(values) > 1:
        text += f" [{min(values):,.{digits}f}, {max(values):,.{digits}f}]"
    return text


def _raw(figures: Figures) -> str:
    rows = [
        [title, *(_spread(figures.raw(engine, key), 2) for key in ("busy", "single"))]
        for engine, title in ENGINES.items()
        if figures.raw(engine, "busy")
    ]
    head = ["one process, no server: photos a second", "at its busiest", "one by one"]
    return _table(head, rows)


def _throughput(figures: Figures, size: str) -> str:
    rows = []
    for c in figures.measured(size):
        rate = figures.saturation(c.name, size, "throughput")
        raw = figures.raw(c.engine, "busy")
        lost = figures.lost(c.name, size, "saturation")
        rows.append([
            c.title,
            _spread(rate, 2),
            f"{mean(rate) / mean(raw):.2f}" if rate and raw else "–",
            _spread(figures.saturation(c.name, size, "cpu_s"), 3),
            _spread(figures.saturation(c.name, size, "peak_mb"), 0),
            f"{sum(lost.values())} of {figures.sent(c.name, size, 'saturation')}",
        ])  # fmt: skip
    return _table(
        ["at saturation", "photos a second", "of its engine alone", "CPU s a photo",
         "peak memory, MiB", "not answered"],
        rows,
    )  # fmt: skip


def _step_title(figures: Figures, size: str, step: str, title: str) -> str:
    if step != "common":
        return title
    rates = {cell[step]["offered"] for c in figures.contenders
             for cell in figures.cells(c.name, size)}  # fmt: skip
    return f"{title}, {', '.join(f'{rate:g}' for rate in sorted(rates))} photos a second"


def _latency(figures: Figures, size: str, step: str) -> str:
    rows = []
    for c in figures.measured(size):
        offered = [float(cell[step]["offered"]) for cell in figures.cells(c.name, size)]
        times = [_seconds(figures, c.name, size, step, q) for q in (50, 95, 99)]
        lost = sum(figures.lost(c.name, size, step).values())
        sent = figures.sent(c.name, size, step)
        rows.append([c.title, f"{mean(offered):.2f}", *times, f"{lost} of {sent}"])
    return _table(["latency, s", "photos a second", "p50", "p95", "p99", "not answered"], rows)


def _seconds(figures: Figures, contender: str, size: str, step: str, q: float) -> str:
    """Of all rounds' requests together, with the rounds' own lowest and highest; – of too few."""
    whole = figures.percentile(contender, size, step, q)
    each = figures.percentiles(contender, size, step, q)
    if whole is None:
        return "–"
    told = [in_seconds(value).removesuffix(" s") for value in (whole, min(each), max(each))]
    return told[0] + (f" [{told[1]}, {told[2]}]" if len(each) > 1 else "")


def _failures(figures: Figures) -> str:
    lines = [
        f"- {_title(r['contender'])}, round {r['round']}: {r['message'].splitlines()[0]}"
        for r in figures.failures
    ]
    for c in figures.contenders:
        for size in figures.sizes:
            for step in ("saturation", *STEPS):
                lost = figures.lost(c.name, size, step)
                if lost:
                    told = ", ".join(f"{n} × {_status(s)}" for s, n in lost.items())
                    lines.append(f"- {c.title}, {size}, {_STEP_NAMES[step]}: {told}")
    return "\n".join(lines) if lines else "None: every request of every step was answered with 200."


_STEP_NAMES = {"saturation": "at saturation", "high": "at 80%", "common": "at the common rate"}
_status: Callable[[str], str] = lambda s: "no answer" if s == "none" else f"status {s}"  # noqa: E731


def _title(name: str) -> str:
    return next((c.title for c in EVERYONE if c.name == name), name)
