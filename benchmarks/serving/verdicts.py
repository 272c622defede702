"""What the figures say, in sentences chosen by rule from the figures alone."""

from collections.abc import Callable
from statistics import mean

from benchmarks.serving.contenders import ENGINES, Contender
from benchmarks.serving.figures import Figures

OF_RAW = 0.97
OVER_LITSERVE = 1.4
# At this size the network is nearly all the work: here a server can be held against its engine.
SMALL = "256²"


def verdicts(figures: Figures) -> list[str]:
    """The sentences; what was not measured is not spoken of."""
    ours = [c for c in figures.contenders if c.ours]
    peers = [c for c in figures.contenders if not c.ours]
    said = [_against_raw(figures, c) for c in ours if c.engine == "savedmodel"]
    said += [_against_litserve(figures, c) for c in ours if c.engine != "savedmodel"]
    if peers:
        for c in ours:
            said += [_ahead(figures, c, peers, size) for size in figures.sizes]
            said += [_tail(figures, c, peers, size) for size in figures.sizes]
    return [sentence for sentence in said if sentence]


def _rate(figures: Figures, contender: Contender, size: str) -> list[float]:
    return figures.saturation(contender.name, size, "throughput")


def _aim(value: float, aim: float) -> str:
    return f"the aim of {aim:g} is {'met' if value >= aim else 'missed'}"


def _against_raw(figures: Figures, ours: Contender) -> str:
    rate, raw = _rate(figures, ours, SMALL), figures.raw(ours.engine, "busy")
    if not rate or not raw:
        return ""
    ratio = mean(rate) / mean(raw)
    return (
        f"{ours.title}: {ratio:.2f} of the engine's own throughput at its busiest with photos of"
        f" {SMALL}, decoding and encoding included; {_aim(round(ratio, 2), OF_RAW)}."
    )


def _against_litserve(figures: Figures, ours: Contender) -> str:
    rate = _rate(figures, ours, SMALL)
    litserve = figures.saturation("litserve", SMALL, "throughput")
    if not rate or not litserve:
        return ""
    ratio = mean(rate) / mean(litserve)
    return (
        f"{ours.title}: {ratio:.2f} × LitServe's throughput with photos of {SMALL};"
        f" {_aim(round(ratio, 2), OVER_LITSERVE)}. Its engine alone does"
        f" {_engines_apart(figures, ours.engine)}."
    )


def _engines_apart(figures: Figures, engine: str) -> str:
    ours, plain = figures.raw(engine, "busy"), figures.raw("savedmodel", "busy")
    if not ours or not plain:
        return "what was not measured here"
    return f"{mean(ours) / mean(plain):.2f} × the {ENGINES['savedmodel']}'s at its busiest"


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
        f"{ours.title}, {size}, p99 at 80% of its own saturation: {own:.2f} s; the lowest peer's"
        f" ({best}, at 80% of its own) is {value:.2f} s:"
        f" {_side(rounds[0], rounds[1], lambda a, b: a < b)}."
    )


def _side(ours: list[float], rival: list[float], better: Callable[[float, float], bool]) -> str:
    """Ahead or behind; and whether each round says so."""
    ahead = better(mean(ours), mean(rival))
    clear = all(better(a, b) == ahead for a in ours for b in rival)
    word = "ahead" if ahead else "behind"
    return word if clear else f"{word}, within the rounds' spread"
