"""The weights by which a match with a reference counts, fitted on pairs of photos.

What is minimised is the squared error of ab relative to that of the network's answer: its mean over
references of the same scene, and ten times the mean square of its change by wrong ones, so that
these do no harm. The smoothing of weights is left out.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from chromaserve.color.reference import COLOURS, SIDE
from chromaserve.store.contract import squeeze

if TYPE_CHECKING:
    from benchmarks.reference import Pair, View

Array = NDArray[np.float64]
Weights = tuple[float, ...]

_HARM: Final = 10.0
_LEAST: Final = 4.0  # squared Lab units added to the error of the network's answer
_PENALTY, _PENALTY_WHOLE = 1e-3, 5e-5
_STARTS = 3


def fitted(pairs: "list[Pair]") -> tuple[Weights, Weights]:
    """Weights of evidence for each place and for the whole, a constant's first each."""
    from benchmarks.reference import matches

    places, whole, squares, products, bases, wrongs = [], [], [], [], [], []
    for pair in pairs:
        for other, wrong in ((pair.reference, False), (pair.wrong, True)):
            match = matches(pair.photo, other)
            away, off = _cells(match.ab - _small(pair.photo, "own")), _cells(_error(pair.photo))
            places.append(_with_1(match.evidence.reshape(SIDE * SIDE, -1)))
            whole.append(_with_1(match.whole[np.newaxis])[0])
            squares.append(np.square(away).mean(1))
            products.append((away * off).mean(1))
            bases.append(np.square(off).mean() + _LEAST)
            wrongs.append(wrong)
    return _minimised(
        *(np.stack(each).astype(np.float64) for each in (places, whole, squares, products)),
        np.array(bases),
        np.array(wrongs),
    )


def _minimised(
    places: Array,
    whole: Array,
    squares: Array,
    products: Array,
    bases: Array,
    wrong: NDArray[np.bool_],
) -> tuple[Weights, Weights]:
    count = places.shape[2]

    def loss(both: Array) -> tuple[float, Array]:
        here, all_in_all = (
            _chance(places @ both[:count]),
            _chance(whole @ both[count:])[:, np.newaxis],
        )
        share = here * all_in_all
        change = (share**2 * squares + 2 * share * products).mean(1) / bases
        penalty = np.full(both.shape, _PENALTY)
        penalty[count:] = _PENALTY_WHOLE
        penalty[[0, count]] = 0
        value = change[~wrong].mean() + _HARM * np.square(change[wrong]).mean() + penalty @ both**2
        by_change = np.where(wrong, 2 * _HARM * change / wrong.sum(), 1 / (~wrong).sum())
        by_share = 2 * (share * squares + products) / squares.shape[1]
        by_share *= (by_change / bases)[:, np.newaxis]
        by_here = np.einsum("pn,pnk->k", by_share * share * (1 - here), places)
        by_whole = (by_share * share * (1 - all_in_all)).sum(1) @ whole
        return value, np.concatenate([by_here, by_whole]) + 2 * penalty * both

    starts = np.random.default_rng(0).normal(0, 0.3, (_STARTS, count + whole.shape[1]))
    runs = [minimize(loss, start, jac=True, method="L-BFGS-B") for start in starts]
    best = min(runs, key=lambda run: float(run.fun)).x
    weights = [round(float(each), 2) for each in best]
    return tuple(weights[:count]), tuple(weights[count:])


def _chance(odds: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))))


def _with_1(evidence: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.hstack([np.ones((len(evidence), 1), np.float32), evidence])


def _small(photo: "View", which: str) -> NDArray[np.float32]:
    return squeeze(getattr(photo, which), COLOURS, COLOURS)


def _error(photo: "View") -> NDArray[np.float32]:
    return _small(photo, "own") - _small(photo, "truth")


def _cells(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """[56, 56, 2] as [784, 8]: each place's four parts, two channels each."""
    cells = plane.reshape(SIDE, 2, SIDE, 2, -1).transpose(0, 2, 1, 3, 4)
    return cells.reshape(SIDE * SIDE, -1)
