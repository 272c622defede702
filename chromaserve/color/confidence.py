"""How sure colours are: how far the network's answer is likely to be from the truth.

The distribution alone is a poor judge: it is too sure, and hardly says that a colourful answer errs
by more than a pale one. So the squared error that is expected of a place is a sum of four parts:
the distribution's variance, the squared distance of the answer from its mean, the answer's squared
chroma, and a constant. Their weights are fitted on photos by benchmarks/confidence.py and stored
with the version.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from chromaserve.store.contract import Calibration, squeeze

Float = NDArray[np.float32]

NEAR: Final = 15.0
"""Lab units: confidence is the chance that an answer's ab is no farther off."""


def moments(logits: Float, bins: Float) -> Float:
    """Mean and variance of a distribution over colours.

    Args:
        logits: float32 [..., Q].
        bins: float32 [Q, 2], ab in Lab units.

    Returns:
        float32 [..., 3]: the mean a and b, and the mean squared distance from it.
    """
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    mean = p @ bins
    squares = p @ np.square(bins).sum(-1)
    variance = np.maximum(squares - np.square(mean).sum(-1), 0)
    return np.concatenate([mean, variance[..., np.newaxis]], -1).astype(np.float32)


def parts(ab: Float, found: Float) -> Float:
    """What the squared error that is expected is a sum of, before its weights.

    Args:
        ab: float32 [H, W, 2] in Lab units, the answer.
        found: float32 [h, w, 3], the `moments` of the distribution behind it.

    Returns:
        float32 [h, w, 4]: variance, squared distance from the mean, squared chroma, 1.
    """
    small = squeeze(ab, *found.shape[:2])
    apart = np.square(small - found[..., :2]).sum(-1)
    chroma = np.square(small).sum(-1)
    return np.dstack([found[..., 2], apart, chroma, np.ones_like(chroma)])


def expected_error(ab: Float, found: Float, calibration: Calibration) -> Float:
    """Root of the squared error in ab that is expected, in Lab units: float32 [h, w].

    Args:
        ab: as for `parts`.
        found: as for `parts`.
        calibration: of the version that gave both.
    """
    return np.sqrt(parts(ab, found) @ np.asarray(calibration.weights, np.float32))


def confidence_in(error: Float, calibration: Calibration) -> Float:
    """The chance that ab is within `NEAR` of the truth: float32 in [0, 1], of an error's shape."""
    odds = (np.maximum(error, 1e-3) / np.float32(calibration.even)) ** calibration.steepness
    return np.asarray(1 / (1 + odds), np.float32)
