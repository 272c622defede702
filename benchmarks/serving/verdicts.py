"""What the figures say, in sentences chosen by rule from the figures alone."""

from collections.abc import Callable
from statistics import mean

from benchmarks.serving.contenders import ENGINES, Contender
from benchmarks.serving.figures import Figures, in_seconds

OF_RAW = {"savedmodel": 0.97, "ncnn": 0.92}
# At this size the network is nearly all the work: here a server can be held against its engine.
SMALL = "256²"


def verdicts(figures: Figures) -> list[str]:
    """The sentences: what the server adds, then what the engine does.

    What was not measured is not spoken of.
    """
    said = []
    for c in figures.contenders:
        if c.ours:
            peers = [p for p in figures.contenders if not p.ours and p.engine == c.engine]
            said += [_against_raw(figures, c)]
            said += [_ahead(figures, c, peers, size) for size in figures.sizes]
            said += [_tail(figures, c, peers, size) for size in figures.sizes]
    said += [_engines_apart(figures)]
    return [sentence for sentence in said if sentence]


def _rate(figures: Figures, contender: Contender, size: str) -> list[float]:
    return figures.saturation(contender.name, size, "throughput")


def _aim(value: float, aim: float) -> str:
    return f"the aim of {aim:g} is {'met' if value >= aim else 'missed'}"


def _against_raw(figures: Figures, ours: Contender) -> str:
    rate, raw = _rate(figures, ours, SMALL), figures.raw(ours.engine, "busy")
    if not rate or not raw:
        return ""
    ratio, aim = mean(rate) / mean(raw), OF_RAW[ours.engine]
    sides = {mine / alone >= aim for mine in rate for alone in raw}
    spread = ", within the rounds' spread" if len(sides) > 1 else ""
    return (
        f"{ours.title}: {ratio:.2f} of the engine's own throughput at its busiest with photos of"
        f" {SMALL}, decoding and encoding included; {_aim(round(ratio, 2), aim)}{spread}."
    )


def _engines_apart(figures: Figures) -> str:
    ncnn, savedmodel = (figures.raw(engine, "busy") for engine in ("ncnn", "savedmodel"))
    if not ncnn or not savedmodel:
        return ""
    ratio = mean(ncnn) / mean(savedmodel)
    return (
        f"The engines alone, at their busiest: {ENGINES['ncnn']} does {ratio:.2f} × what the"
        f" {ENGINES['savedmodel']} does."
    )


def _ahead(figures: Figures, ours: Contender, peers: list[Contender], size: str) -> str:
    rate = _rate(figures, ours, size)
    rivals = {p.title: _rate(figures, p, size) for p in peers}
    rivals = {title: rates for title, rates in rivals.items() if rates}
    if not rate or not rivals:
        return ""
    best = max(rivals, key=lambda title: mean(rivals[title]))
    return (
        f"{ours.title}, {size}, throughput: {mean(rate):.2f} photos/s,"
        f" {mean(rate) / mean(rivals[best]):.2f} × the best peer's ({best},"
        f" {mean(rivals[best]):.2f}): {_side(rate, rivals[best], lambda a, b: a > b)}."
    )


def _tail(figures: Figures, ours: Contender, peers: list[Contender], size: str) -> str:
    own = figures.percentile(ours.name, size, "high", 99)
    all_ = {p.title: (figures.percentile(p.name, size, "high", 99), p) for p in peers}
    rivals = {title: (value, p) for title, (value, p) in all_.items() if value is not None}
    if own is None or not rivals:
        return ""
    best = min(rivals, key=lambda title: rivals[title][0])
    value, peer = rivals[best]
    rounds = [figures.percentiles(c.name, size, "high", 99) for c in (ours, peer)]
    return (
        f"{ours.title}, {size}, p99 at 80% of its own saturation: {in_seconds(own)}; the lowest"
        f" peer's ({best}, at 80% of its own) is {in_seconds(value)}:"
        f" {_side(rounds[0], rounds[1], lambda a, b: a < b, (own, value))}."
    )


def _side(
    ours: list[float], rival: list[float], better: Callable[[float, float], bool],
    told: tuple[float, float] | None = None,
) -> str:  # fmt: skip
    """Ahead or behind by the figures told, the rounds' means; and whether each round says so."""
    ahead = better(*(told or (mean(ours), mean(rival))))
    clear = all(better(a, b) == ahead for a in ours for b in rival)
    word = "ahead" if ahead else "behind"
    return word if clear else f"{word}, within the rounds' spread"
