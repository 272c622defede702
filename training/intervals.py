"""Statistics over photos with 95% intervals, where a photo may lack a value (NaN)."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]  # a measure's values, one a photo along the last axis
Interval = tuple[float, float, float]  # value, and the ends of its interval (NaN: none)
RESAMPLES = 2000
LEAST = 5  # photos: resampling fewer tells nothing of others


def with_interval(statistic: Callable[..., Values], *values: Values) -> Interval:
    """A statistic of arrays [photos], and its interval by the bootstrap's percentiles (Efron 1979).

    The statistic takes photos resampled, arrays [resamples, photos], to its values [resamples].
    Seeded: the same values give the same interval. Photos without any value are left out. NaN where
    no value is left; ends of NaN where an array has values of fewer photos than an interval takes.
    """
    there = np.isfinite(np.stack(values))
    kept = [each[there.any(0)] for each in values]
    value, count = float(statistic(*kept)), len(kept[0])
    if not math.isfinite(value) or there.sum(-1).min() < LEAST:
        return (value, math.nan, math.nan)
    chosen = np.random.default_rng(0).integers(0, count, (RESAMPLES, count))
    low, high = np.percentile(statistic(*(each[chosen] for each in kept)), [2.5, 97.5])
    return (value, float(low), float(high))


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


def told(x: Interval, digits: int = 2, sign: str = "", unit: str = "") -> str:
    """In words: the value with its interval, where it has one; "–" for none."""
    if not math.isfinite(x[0]):
        return "–"
    value, low, high = (f"{each:{sign}.{digits}f}" for each in x)
    return f"{value}{unit}" + (f" [{low}, {high}]" if math.isfinite(x[1]) else "")


def percent(x: Interval, sign: str = "") -> str:
    """The same of a share, in per cent."""
    value, low, high = (100 * each for each in x)
    return told((value, low, high), 1, sign, "%")


def mean_told(values: Sequence[float] | Values, digits: int = 2, sign: str = "") -> str:
    """The mean of photos' values in words."""
    return told(with_interval(mean, np.asarray(values, np.float64)), digits, sign)
