"""Whether an engine gives what the SavedModel gives: photos to try it on, and the limit."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.engines import Engine
from chromaserve.store.contract import NETWORK_SIZE

LIMIT_AB: Final = 0.5
"""The largest difference anywhere, in Lab units, with which an engine may serve."""


def probes() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Made-up photos that move every part of a network, the first the most like a real one.

    Returns:
        L, float32 [6, 224, 224, 1] in [0, 100], and vividness, float32 [6] in [0, 1].
    """
    side = NETWORK_SIZE
    random = np.random.default_rng(5)
    # Noise of all scales, each as strong as it is coarse: the spectrum that photos have.
    clouds = np.zeros((side, side), np.float32)
    for cells in (4, 7, 14, 28, 56, 112, 224):
        noise = random.standard_normal((cells, cells)).astype(np.float32)
        fine = cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
        clouds += np.asarray(fine, np.float32) * (4 / cells**0.5)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / (side - 1)
    disc = ((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.09) * 60.0
    pictures = [
        50 + 9 * clouds,
        100 * x,
        np.full_like(x, 50),
        20 + disc + 3 * clouds,
        50 + 50 * np.sign(np.sin(40 * x) * np.sin(40 * y)),
        100 * random.random((side, side)),  # nosec B311 - a test picture
    ]
    L = np.clip(np.stack(pictures), 0, 100).astype(np.float32)[..., None]
    return L, np.asarray([0.65, 0, 0.3, 1, 0.5, 0.85], np.float32)


def difference(
    engine: Engine,
    L: NDArray[np.float32],
    vividness: NDArray[np.float32],
    expected: NDArray[np.float32],
) -> float:
    """The largest difference of an engine's ab from what is expected; infinite if not a number."""
    largest = 0.0
    for n in range(0, len(L), engine.max_batch):
        part = slice(n, n + engine.max_batch)
        apart = np.abs(engine.infer(L[part], vividness[part]) - expected[part])
        largest = max(largest, float(np.nan_to_num(apart, nan=np.inf).max()))
    return largest
