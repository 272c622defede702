"""The network's answer for one photo, as the service has it, without queue and cache."""

import numpy as np
from numpy.typing import NDArray

from chromaserve.color.vividness import asked, livened
from chromaserve.engines import Engine
from chromaserve.store.contract import Blend

Float = NDArray[np.float32]


def answer(engine: Engine, L: Float, vividness: float, blend: Blend | None) -> Float:
    """Chroma of a photo: ab, float32 [224, 224, 2], for L, float32 [224, 224, 1]."""
    given = np.array([asked(vividness, blend)], np.float32)
    return livened(engine.infer(L[np.newaxis], given)[0], vividness, blend)
