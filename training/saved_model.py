"""A SavedModel of the contract as functions on arrays, as evaluation calls it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Float = NDArray[np.float32]
Predict = Callable[[Float, float], Float]
Spread = Callable[[Float], tuple[Float, Float]]


@dataclass(frozen=True)
class Network:
    """What a stored model answers.

    predict: (L [N, 224, 224, 1] in [0, 100], vividness in [0, 1]) -> ab [N, 224, 224, 2].
    spread: L -> the mean ab [N, 224, 224, 2] of the predicted distribution and its deviation
    [N, 224, 224, 1], the expected rms distance of the truth from that mean; None where the model
    has no signature `spread`. All float32, ab and deviation in Lab units.
    """

    predict: Predict
    spread: Spread | None = None


def load_network(folder: Path) -> Network:
    """Load the SavedModel in a folder."""
    model = tf.saved_model.load(str(folder))

    # Closures over the model: a signature's function holds it only weakly.
    def predict(L: Float, vividness: float) -> Float:
        v = tf.fill([len(L)], tf.constant(vividness, tf.float32))
        out = model.signatures["vivid"](L=tf.constant(L), vividness=v)
        return np.asarray(out["ab"].numpy(), np.float32)

    def spread(L: Float) -> tuple[Float, Float]:
        out = model.signatures["spread"](L=tf.constant(L))
        ab, deviation = (np.asarray(out[name].numpy(), np.float32) for name in ("ab", "deviation"))
        return ab, deviation

    return Network(predict, spread if "spread" in model.signatures else None)


def mirrored(predict: Predict) -> Predict:
    """The mean of the answer and the mirror image of the answer to the mirrored L.

    A convolutional network isn't mirror-symmetric, so the two differ and their mean errs less;
    it costs twice the time.
    """

    def both(L: Float, vividness: float) -> Float:
        reflected = predict(np.ascontiguousarray(L[:, :, ::-1]), vividness)[:, :, ::-1]
        return np.asarray((predict(L, vividness) + reflected) / 2, np.float32)

    return both
