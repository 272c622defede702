"""The calibration of `Blend`: what vividness makes of a network's answers, at equal steps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chromaserve.store.contract import Blend

from .config import Publish
from .vividness import KNOTS, ROUNDING, Answers, Ruler

Float = NDArray[np.float32]

# Chosen on 500 photos that the network was not trained on, how the contrast rises on 395 others: at
# 0.84 of the truth's colourfulness these gain 0.2 dB over grey against the distribution alone.
DISTRIBUTION = 0.25  # share of the distribution head, reached at a third of vividness
CONTRAST = 0.3  # share of a photo's mean colour that is taken out at vividness 1
_STEPS = 4  # of the search for a scale
_CLOSE = 0.003  # of colourfulness by the truth's


@dataclass(frozen=True)
class Livened:
    """A blend, and the default vividness by it."""

    blend: Blend
    default_vividness: float


def calibrate_blend(answers: Answers, settings: Publish, seen: float = 1.0) -> Livened:
    """Find the scales at which colourfulness rises evenly, from the regression's to the truth's.

    Args:
        answers: of the network.
        settings: its calibrated ones, by `calibrate_vividness`.
        seen: see `seen_at_full_size`.
    """
    ruler = Ruler(answers, seen)
    annealed = answers.annealed[settings.temperature]
    first = ruler.ratio(np.float32(settings.safe_scale) * answers.regression)
    steps = np.linspace(0, 1, KNOTS)
    asked, contrast, scale = [0.0], [0.0], [1.0]
    for v in steps[1:]:
        m = DISTRIBUTION * min(1.0, 3 * v)
        asked.append(round(float(np.interp(m, settings.shares, steps)), 4))
        contrast.append(round(CONTRAST * float(v), 3))
        own = settings.safe_scale ** (1 - m) * settings.vivid_scale**m
        ab = own * ((1 - m) * answers.regression + m * annealed)
        ab = (ab - contrast[-1] * ab.mean((1, 2), keepdims=True)).astype(np.float32)
        scale.append(round(_scale_to(ruler, ab, first + v * (1 - first), scale[-1]), 3))
    reached = max(0.0, (settings.default_colourfulness - first) / max(1 - first, 1e-6))
    default = round(float(np.ceil(reached / ROUNDING - 1e-6)) * ROUNDING, 2)
    blend = Blend(asked=tuple(asked), contrast=tuple(contrast), scale=tuple(scale))
    return Livened(blend, min(1.0, default))


def _scale_to(ruler: Ruler, ab: Float, wanted: float, start: float) -> float:
    """The factor of ab that reaches a colourfulness by the truth's, by the secant method."""
    scale, before = start, None
    for _ in range(_STEPS):
        ratio = ruler.ratio(np.float32(scale) * ab)
        if abs(ratio - wanted) < _CLOSE:
            break
        slope = ratio / scale if before is None else (ratio - before[1]) / (scale - before[0])
        before = scale, ratio
        scale += (wanted - ratio) / slope
    return scale
