"""Statistics over photos with 95% intervals, where a photo may lack a value (NaN)."""

import math
from collections.abc import Callable

import numpy as np

from ..summary import LEAST, Values, interval

Interval = tuple[float, float, float]  # value, and the ends of its interval (NaN: none)


def with_interval(statistic: Callable[..., Values], *values: Values) -> Interval:
    """A statistic of arrays [photos] with its interval, bootstrapped over photos.

    Photos without any value are left out. NaN where no value is left; ends of NaN where an array
    has values of fewer photos than an interval takes.
    """
    there = np.isfinite(np.stack(values))
    kept = [each[there.any(0)] for each in values]
    value = float(statistic(*kept))
    if not math.isfinite(value) or there.sum(-1).min() < LEAST:
        return (value, math.nan, math.nan)
    return (value, *interval(statistic, *kept))


def mean(values: Values) -> Values:
    """Mean over the last axis of what isn't NaN; NaN where all is."""
    there = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(there, values, 0).sum(-1) / there.sum(-1))


def ratio(values: Values, truth: Values) -> Values:
    """Pooled over photos: the sum of the one over the sum of the other, NaN in the same photos."""
    return np.asarray(mean(values) / np.maximum(mean(truth), 1e-6))


def difference(values: Values, other: Values) -> Values:
    """Mean of the one less mean of the other."""
    return np.asarray(mean(values) - mean(other))


def ratio_difference(values: Values, truth: Values, other: Values, other_truth: Values) -> Values:
    """Of two groups of photos: the pooled ratio of the one less that of the other."""
    return np.asarray(ratio(values, truth) - ratio(other, other_truth))


def rank_correlation(x: Values, y: Values) -> Values:
    """Spearman's rank correlation (1904) over the last axis; NaN for fewer than three photos."""

    def centred_ranks(values: Values) -> Values:
        ranks = np.argsort(np.argsort(values, -1), -1).astype(np.float64)
        return np.asarray(ranks - ranks.mean(-1, keepdims=True))

    if x.shape[-1] < 3:
        return np.asarray(np.nan)
    rx, ry = centred_ranks(x), centred_ranks(y)
    return np.asarray((rx * ry).sum(-1) / np.sqrt((rx**2).sum(-1) * (ry**2).sum(-1)))


def number(x: Interval, digits: int = 2, sign: str = "") -> str:
    """In words: the value with its interval, where it has one; "–" for none."""
    if not math.isfinite(x[0]):
        return "–"
    value, low, high = (f"{each:{sign}.{digits}f}" for each in x)
    return f"{value} [{low}, {high}]" if math.isfinite(x[1]) else value


def change(x: Interval) -> str:
    """The same of a change, in per cent with its sign."""
    if not math.isfinite(x[0]):
        return "–"
    value, low, high = (f"{100 * each:+.1f}" for each in x)
    return f"{value}% [{low}, {high}]" if math.isfinite(x[1]) else f"{value}%"


def percent(x: Interval) -> str:
    """The same of a share, in per cent."""
    if not math.isfinite(x[0]):
        return "–"
    value, low, high = (f"{100 * each:.1f}" for each in x)
    return f"{value}% [{low}, {high}]" if math.isfinite(x[1]) else f"{value}%"
