"""Whether the predicted distribution knows how far off it is: expected against observed error."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from .data import TARGET_SIZE

GROUPS = 10
Float = NDArray[np.float32]


@dataclass(frozen=True)
class Deviations:
    """A photo's expected and observed distances of truth from prediction, squared, [56, 56]."""

    expected: Float
    observed: Float


class Group(TypedDict):
    """Pixels of similar expected deviation; rms distances in Lab units."""

    expected_rms: float
    observed_rms: float
    pixels: int


class Calibration(TypedDict):
    """A reliability table with its overall figures, ready for JSON; rms in Lab units.

    ratio is observed to expected rms over all pixels: above 1, the distribution is too sure.
    spearman is the rank correlation of the photos' expected with their observed rms: whether the
    model knows which photos it colours badly.
    """

    groups: list[Group]
    expected_rms: float
    observed_rms: float
    ratio: float
    spearman: float
    photos: int


def deviations(ab: Float, deviation: Float, ab_truth: Float) -> Deviations:
    """Compare what the signature `spread` answers for a photo with the truth.

    ab [224, 224, 2] and deviation [224, 224, 1] are the distribution's mean and rms distance from
    it, ab_truth [H, W, 2] the photo's own; all float32, Lab units. All are averaged over areas to
    56 x 56, where the distribution is predicted: it says nothing of finer detail.
    """

    def reduce(plane: Float) -> Float:
        size = (TARGET_SIZE, TARGET_SIZE)
        return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)

    difference = reduce(ab) - reduce(ab_truth)
    return Deviations(reduce(deviation[..., 0] ** 2), np.square(difference).sum(-1))


def calibrate(photos: list[Deviations]) -> Calibration:
    """Group all pixels by expected deviation, in tenths, and compare with what was observed."""
    expected = np.stack([p.expected for p in photos]).astype(np.float64)
    observed = np.stack([p.observed for p in photos]).astype(np.float64)
    order = np.argsort(expected, axis=None, kind="stable")
    groups = [
        Group(
            expected_rms=_rms(expected.ravel()[part]),
            observed_rms=_rms(observed.ravel()[part]),
            pixels=len(part),
        )
        for part in np.array_split(order, GROUPS)
    ]
    whole = (_rms(expected), _rms(observed))
    return Calibration(
        groups=groups,
        expected_rms=whole[0],
        observed_rms=whole[1],
        ratio=round(whole[1] / max(whole[0], 1e-6), 4),
        spearman=_rank_correlation(expected.mean(axis=(1, 2)), observed.mean(axis=(1, 2))),
        photos=len(photos),
    )


def _rms(squares: NDArray[np.float64]) -> float:
    return round(float(np.sqrt(squares.mean())), 4)


def _rank_correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Spearman's rank correlation; 0 where it isn't defined."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return round(float(spearmanr(x, y).statistic), 4)


def plot_calibration(calibration: Calibration, path: Path) -> None:
    """Draw observed against expected rms, a point a group; on the dashed line they agree."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    expected, observed = (
        [group[key] for group in calibration["groups"]] for key in ("expected_rms", "observed_rms")
    )
    figure, axes = pyplot.subplots(figsize=(5, 5))
    end = 1.05 * max(*expected, *observed)
    axes.plot([0, end], [0, end], "--", color="grey", label="as sure as it should be")
    axes.plot(expected, observed, "o-", label="tenths of the pixels")
    axes.set(
        xlabel="expected rms error, Lab units",
        ylabel="observed rms error, Lab units",
        xlim=(0, end),
        ylim=(0, end),
        title=f"observed / expected {calibration['ratio']:.2f}, "
        f"rank correlation over photos {calibration['spearman']:.2f}",
    )
    axes.title.set_fontsize(10)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
