"""What training minimises: squared error on ab/128, and cross-entropy over quantised ab bins."""

from functools import cache

import numpy as np
from keras import KerasTensor as Tensor
from keras import ops
from numpy.typing import NDArray

from chromaserve.color.lab import srgb_to_lab

from .network import AB_SCALE

BIN_STEP = 10.0
SOFT_SIGMA = 5.0


@cache
def ab_bins() -> NDArray[np.float32]:
    """List the bins of the distribution head: float32 [Q, 2], Lab units, read-only.

    The points of a grid of step 10 that some sRGB colour is nearest to (Zhang et al. 2016,
    section 2.2, count 313 with their sampling of the gamut).
    """
    steps = np.arange(0, 256, 3, dtype=np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1)
    _, ab = srgb_to_lab(cube.reshape(-1, len(steps), 3))
    bins = np.asarray(
        np.unique(np.rint(ab.reshape(-1, 2) / BIN_STEP), axis=0) * BIN_STEP, np.float32
    )
    bins.flags.writeable = False
    return bins


def soft_bins(ab: Tensor, bins: Tensor) -> Tensor:
    """Spread ab [..., 2] over the bins [Q, 2]: Gaussian weights of sigma 5, summing to 1, [..., Q].

    Zhang et al. 2016, section 2.2, over all bins rather than the five nearest: at this sigma the
    rest weighs next to nothing, and a search for neighbours is saved.
    """
    # ||x - c||^2 without ||x||^2, which the softmax cancels.
    cross = ops.matmul(ab, ops.transpose(bins))
    return ops.softmax((2 * cross - ops.sum(bins**2, -1)) / (2 * SOFT_SIGMA**2))


def rebalancing_weights(prior: NDArray[np.float32], lam: float) -> NDArray[np.float32]:
    """Weights a bin from the bins' frequencies [Q] (Zhang et al. 2016, eq. 4).

    w = 1 / ((1 - lam) p + lam / Q), scaled so that the mean weight of a pixel is 1; lam = 1 gives
    every bin the same weight.
    """
    prior = prior / prior.sum()
    weight = 1 / ((1 - lam) * prior + lam / len(prior))
    return np.asarray(weight / (prior * weight).sum(), np.float32)


def annealed_mean(logits: Tensor, bins: Tensor, temperature: Tensor) -> Tensor:
    """Mean of the bins under the distribution sharpened by the temperature (Zhang 2016, eq. 5).

    logits [N, h, w, Q], bins [Q, 2], temperature [N] in (0, 1]: 1 is the plain mean, near 0 the
    mode. Returns ab [N, h, w, 2] in Lab units.
    """
    probabilities = ops.softmax(logits / temperature[:, None, None, None])
    return ops.matmul(probabilities, bins)


def mean_squared_error(predicted: Tensor, ab: Tensor) -> Tensor:
    """Mean squared error of the thesis: predicted is ab/128, ab in Lab units; a scalar."""
    return ops.mean((predicted - ab / AB_SCALE) ** 2)


def log_mean_squared_error(predicted: Tensor, ab: Tensor, floor: float) -> Tensor:
    """Mean over photos of the logarithm of each photo's squared error: PSNR, as a loss.

    floor is the rms error in Lab units below which a photo's weight stops growing.
    """
    error = ops.mean((predicted * AB_SCALE - ab) ** 2, axis=(1, 2, 3))
    return ops.mean(ops.log(error + floor**2))


def distribution_loss(logits: Tensor, ab: Tensor, bins: Tensor, weights: Tensor) -> Tensor:
    """Rebalanced cross-entropy (Zhang et al. 2016, eq. 2), a mean over pixels; a scalar.

    logits [N, h, w, Q], ab [N, h, w, 2] in Lab units, weights [Q] of the bin nearest the truth.
    """
    target = soft_bins(ab, bins)
    pixel_weight = ops.take(weights, ops.argmax(target, -1))
    entropy = -ops.sum(target * ops.log_softmax(logits), -1)
    return ops.mean(pixel_weight * entropy)
