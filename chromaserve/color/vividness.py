"""From the network's answer to colours of a vividness: what a version's `Blend` says."""

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.store.contract import Blend

Float = NDArray[np.float32]


def asked(vividness: float, blend: Blend | None) -> float:
    """The vividness that the network is asked for, 0..1, where colours of `vividness` are wanted.

    Args:
        vividness: 0..1.
        blend: of the version; None where its network's vividness is what is meant.
    """
    return vividness if blend is None else _at(vividness, blend.asked)


def livened(ab: Float, vividness: float, blend: Blend | None) -> Float:
    """Colours of a vividness: the photo's mean colour is taken out in part, what is left scaled.

    Of all that makes a photo as colourful as the truth, this costs least: a cast over the whole
    photo, often the brown of what the network does not know, makes way for what tells things apart.

    Args:
        ab: float32 [h, w, 2] in Lab units, the network's answer for the whole photo.
        vividness: 0..1.
        blend: as for `asked`.

    Returns:
        float32 [h, w, 2] in Lab units; ab itself at vividness 0.
    """
    if blend is None or vividness == 0:
        return ab
    scale, contrast = _at(vividness, blend.scale), _at(vividness, blend.contrast)
    a, b, *_ = cv2.mean(ab)  # OpenCV, as the event loop waits: NumPy's takes 30 times as long
    cast = scale * contrast
    return np.asarray(cv2.transform(ab, np.array([[scale, 0, -cast * a], [0, scale, -cast * b]])))


def _at(vividness: float, steps: tuple[float, ...]) -> float:
    """Between the values at even steps of vividness."""
    place = vividness * (len(steps) - 1)
    below = min(int(place), len(steps) - 2)
    return steps[below] + (place - below) * (steps[below + 1] - steps[below])
