"""Total variation denoising of chroma: flat colours that change where lightness does."""

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

_ITERATIONS = 100
_STEP = np.float32(1 / 8)  # 1 / |∇|² on a grid (Chambolle 2004, theorem 3.1)


def denoise_tv(ab: Float, weight: float | Float) -> Float:
    """Minimise ½·Σ|u − ab|² + Σ weight·|∇u|, where |∇u| is over a and b and both directions.

    The dual problem is Chambolle's (2004, eq. 8 and 9); it is solved by projected gradients with
    Nesterov's momentum (Beck & Teboulle 2009, algorithm FGP), in a fixed number of steps.

    Args:
        ab: float32 [h, w, 2] in Lab units.
        weight: how much of a step's height is traded for flatness, in Lab units; one for all
            pixels or float32 [h, w], >= 0. See `edge_weights`.

    Returns:
        float32 [h, w, 2] in Lab units.
    """
    f = np.ascontiguousarray(np.moveaxis(ab, 2, 0))
    p = np.zeros((2, *f.shape), np.float32)  # the dual field [y or x, a or b, h, w]
    q, scale = p, np.empty(f.shape[1:], np.float32)
    bound = np.maximum(np.asarray(weight, np.float32), np.float32(1e-6))
    t = 1.0  # of the momentum
    for _ in range(_ITERATIONS):
        moved = _gradient(_primal(f, q))
        moved *= _STEP
        moved += q
        np.sum(moved * moved, axis=(0, 1), out=scale)
        np.sqrt(scale, out=scale)
        scale /= bound
        np.maximum(scale, 1, out=scale)
        moved /= scale
        t_next = (1 + np.sqrt(1 + 4 * t * t)) / 2
        q = moved - p
        q *= np.float32((t - 1) / t_next)
        q += moved
        p, t = moved, t_next
    return np.ascontiguousarray(np.moveaxis(_primal(f, p), 0, 2))


def edge_weights(L: Float, *, weight: float, contrast: float) -> Float:
    """Weights of `denoise_tv` that let colour change where lightness does.

    Args:
        L: float32 [h, w] in [0, 100], at the size of the chroma.
        weight: where lightness is flat, in Lab units.
        contrast: step of L between neighbours at which the weight has fallen to 1/e, in L units.

    Returns:
        float32 [h, w]: weight·exp(−|∇L| / contrast).
    """
    steps = _gradient(L[np.newaxis])
    slope = np.hypot(steps[0, 0], steps[1, 0])
    return np.asarray(weight * np.exp(slope / -contrast), np.float32)


def _gradient(u: Float) -> Float:
    """Forward differences [2, C, h, w] of planes [C, h, w], zero at the far border."""
    g = np.zeros((2, *u.shape), np.float32)
    np.subtract(u[:, 1:], u[:, :-1], out=g[0, :, :-1])
    np.subtract(u[:, :, 1:], u[:, :, :-1], out=g[1, :, :, :-1])
    return g


def _primal(f: Float, p: Float) -> Float:
    """f + div p, planes [C, h, w]; div is the negative adjoint of `_gradient`."""
    u: Float = f + p[0]
    u += p[1]
    u[:, 1:] -= p[0, :, :-1]
    u[:, :, 1:] -= p[1, :, :, :-1]
    return u
