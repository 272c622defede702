"""A Gaussian random field on chroma: neighbours of like lightness get like colours."""

from itertools import product
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy import sparse

Float = NDArray[np.float32]
Number = TypeVar("Number", np.float32, np.int32)

TRUST = 0.01
"""Confidence in the network's chroma where lightness is flat."""
TRUST_CONTRAST = 12.0
"""Local deviation of L at which that confidence has fallen to 1/e."""

MAX_STEPS = 200
"""Of conjugate gradients; what is used for photos lies well below."""

_MIN_VARIANCE = 2.0  # of L in a window: below is grain, which should not part colours
_TOLERANCE = 1e-3  # rms residual at which the solver stops, Lab units
_CORNERS = [corner for corner in product((0, 1, 2), repeat=2) if corner != (1, 1)]
_TRUST_WINDOW = (5, 5)


def spread_colour(ab: Float, L: Float, confidence: float | Float) -> Float:
    """Minimise Σ(u_r − Σ w_rs·u_s)² + Σ confidence·(u − ab)², for a and for b.

    The first sum is that of Levin, Lischinski & Weiss (2004, eq. 1), over the eight neighbours s
    of each pixel r, with the weights of their eq. 2: w_rs ∝ exp(−(L_r − L_s)² / 2σ_r²). Where they
    fix the colours of scribbles, here every pixel has a colour and a confidence in it, so that a
    network's answer (little confidence) and a colour that is known (much) join in one system.

    Args:
        ab: float32 [h, w, 2] in Lab units, the chroma that there is a confidence in.
        L: float32 [h, w] in [0, 100], at the size of ab.
        confidence: >= 0, one for all pixels or float32 [h, w]; 1 weighs as much as the
            likeness to all neighbours together, 0 leaves a pixel to them.

    Returns:
        float32 [h, w, 2] in Lab units. Its time is bounded by MAX_STEPS.
    """
    difference = _difference_from_neighbours(L)
    trust = np.array(np.broadcast_to(np.float32(confidence), L.shape)).ravel()
    planes = [_solve(difference, trust, ab[..., i].ravel()) for i in (0, 1)]
    return np.stack(planes, axis=-1).reshape(ab.shape)


def edge_confidence(L: Float) -> Float:
    """Confidence in a network's chroma: less near edges, across which its low resolution blurs.

    Args:
        L: float32 [h, w] in [0, 100].

    Returns:
        float32 [h, w] in (0, TRUST].
    """
    mean, mean_square = (
        np.asarray(cv2.blur(x, _TRUST_WINDOW), np.float32).reshape(L.shape) for x in (L, L * L)
    )
    deviation = np.sqrt(np.maximum(mean_square - mean**2, 0))
    return np.asarray(TRUST * np.exp(deviation / -TRUST_CONTRAST), np.float32)


def _difference_from_neighbours(L: Float) -> "sparse.csr_array[np.float32]":
    """The matrix I − W: what a pixel's colour has over the weighted mean of its neighbours'."""
    from scipy import sparse  # takes a quarter of a second, and most photos do not need it

    index = np.arange(L.size, dtype=np.int32).reshape(L.shape)
    inside = _neighbours(np.pad(index, 1, constant_values=-1))
    there = inside >= 0
    if not there.any():  # a single pixel
        return sparse.csr_array((1, 1), dtype=np.float32)
    weights = _neighbours(np.pad(L, 1))
    weights -= L[..., np.newaxis]
    weights **= 2
    weights /= -2 * _variance(L)[..., np.newaxis]
    np.exp(weights, out=weights)
    weights *= there
    weights /= -weights.sum(axis=-1, keepdims=True)
    starts = np.concatenate([[0], np.cumsum(there.sum(axis=-1))])
    own = sparse.eye_array(L.size, dtype=np.float32, format="csr")
    shape = (L.size, L.size)
    return own + sparse.csr_array((weights[there], inside[there], starts), shape=shape)


def _neighbours(padded: NDArray[Number]) -> NDArray[Number]:
    """Each pixel's eight neighbours [h, w, 8], from a plane padded by one pixel."""
    rows, columns = padded.shape[0] - 2, padded.shape[1] - 2
    return np.stack([padded[i : i + rows, j : j + columns] for i, j in _CORNERS], axis=-1)


def _variance(L: Float) -> Float:
    """σ² of L in the 3 x 3 window around each pixel, of which the part inside the photo counts."""

    def total(x: Float) -> Float:
        sums = cv2.boxFilter(x, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(sums, np.float32).reshape(x.shape)

    count = total(np.ones_like(L))
    return np.maximum(total(L * L) / count - (total(L) / count) ** 2, np.float32(_MIN_VARIANCE))


def _solve(difference: "sparse.csr_array[np.float32]", trust: Float, ab: Float) -> Float:
    """Conjugate gradients on (DᵀD + T)·u = T·ab, from u = ab, preconditioned by the diagonal.

    Not SciPy's: its dot products are BLAS's, whose threads may sum in another order another time,
    and the same photo must give the same bytes.
    """
    transposed = difference.T
    inverse = 1 / np.maximum(difference.power(2).sum(axis=0) + trust, np.float32(1e-12))
    u = ab.copy()
    residual = -(transposed @ (difference @ u))
    z = inverse * residual
    direction = z.copy()
    energy = _dot(residual, z)
    for _ in range(MAX_STEPS):
        if energy <= _TOLERANCE**2 * u.size:
            break
        applied = transposed @ (difference @ direction)
        applied += trust * direction
        step = np.float32(energy / _dot(direction, applied))
        u += step * direction
        residual -= step * applied
        z = inverse * residual
        previous, energy = energy, _dot(residual, z)
        direction *= np.float32(energy / previous)
        direction += z
    return u


def _dot(x: Float, y: Float) -> float:
    return float((x * y).sum())
