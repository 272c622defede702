"""Colours that stay steady: chroma smoothed over time, along the motion of what is seen.

The network colours each frame by itself, and noise or compression alone changes its mind a little
from frame to frame. Here the chroma of the frame before is carried along the motion and mixed in:
much where the picture is the same there, little where it is not, nothing across a cut.
"""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.errors import InvalidOptions
from chromaserve.store.contract import NETWORK_SIZE

Float = NDArray[np.float32]
T = TypeVar("T")

DEFAULT_SMOOTHING = 0.8
"""Beyond it `benchmarks.flicker` finds little less flicker, and ghosts that an eye tells apart."""

SAME_L = 3.0  # lightness that differs by this, in L units, is hardly the same thing any more
WINDOW = 5  # pixels; noise is averaged over them, edges of moved things are not
CUT_L = 12.0  # mean difference along the motion above which it is another scene
STILL = 0.25  # pixels; less motion than this is none: carrying chroma blurs it
AHEAD = 8  # frames that the past of a film played backwards begins at: 0.8 ** 8 is a sixth
TOGETHER = 24  # frames that share it


class SteadyColours:
    """Smooths the chroma of a video's frames, given in order."""

    def __init__(self, smoothing: float = DEFAULT_SMOOTHING) -> None:
        """Start before the first frame.

        Args:
            smoothing: 0..1, the weight of the past where nothing changes: an exponential mean
                over about 1 / (1 - smoothing) frames. 0: every frame by itself. 1: colours of
                what stays in sight never change.

        Raises:
            InvalidOptions: outside 0..1.
        """
        if not 0 <= smoothing <= 1:
            raise InvalidOptions(f"smoothing must be in 0..1, not {smoothing}.")
        self._smoothing = smoothing
        # Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse Search".
        self._motion: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._before: tuple[NDArray[np.uint8], Float, Float] | None = None
        self._y, self._x = np.mgrid[0:NETWORK_SIZE, 0:NETWORK_SIZE].astype(np.float32)

    def __call__(self, L: Float, ab: Float) -> Float:
        """Chroma of the next frame.

        Args:
            L: float32 [224, 224] in [0, 100], the network's input for it.
            ab: float32 [224, 224, 2] in Lab units, the network's answer.

        Returns:
            float32 [224, 224, 2]; `ab` itself where smoothing is 0.
        """
        if self._smoothing == 0:
            return ab
        seen = np.rint(2.55 * L).astype(np.uint8)  # L is in 0..100
        steady = ab
        if self._before is not None:
            weight, carried = self._past(seen, L, *self._before)
            steady = ab + weight[:, :, np.newaxis] * (carried - ab)
        self._before = seen, L, steady
        return steady

    def _past(
        self,
        seen: NDArray[np.uint8],
        L: Float,
        seen_before: NDArray[np.uint8],
        L_before: Float,
        ab_before: Float,
    ) -> tuple[Float, Float]:
        """How much the past counts at each pixel, [224, 224] in 0..1, and its chroma there."""
        motion: Float = self._motion.calc(seen, seen_before, None)
        motion[np.hypot(motion[..., 0], motion[..., 1]) < STILL] = 0
        x, y = self._x + motion[..., 0], self._y + motion[..., 1]
        outside = (np.minimum(x, y) < 0) | (np.maximum(x, y) > NETWORK_SIZE - 1)
        planes = np.dstack([L_before, ab_before])
        past = cv2.remap(planes, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        change = cv2.blur(np.abs(L - past[:, :, 0]), (WINDOW, WINDOW))
        if change.mean() > CUT_L:
            return np.zeros_like(L), ab_before
        weight = self._smoothing * np.exp(-np.square(change / SAME_L))
        weight[outside] = 0
        return weight.astype(np.float32, copy=False), np.ascontiguousarray(past[:, :, 1:])


def steadied(
    frames: Iterable[tuple[T, Float, Float]], smoothing: float
) -> Iterator[tuple[T, Float]]:
    """Chroma smoothed from both sides: the mean of what the frames before and those after make it.

    A change of mind is spread over both, so that colours neither lag behind nor run ahead, and the
    first frame of a scene has its future where it has no past. Some thirty frames are read ahead.

    Args:
        frames: whatever goes along, L float32 [224, 224] and ab float32 [224, 224, 2], in order.
        smoothing: see `SteadyColours`; at 0 frames pass one by one.

    Raises:
        InvalidOptions: smoothing outside 0..1.
    """
    forward = SteadyColours(smoothing)
    waiting: list[tuple[T, Float, Float, Float]] = []
    coming = iter(frames)
    while True:
        try:
            item, L, ab = next(coming)
        except Exception as error:  # after the frames before it; StopIteration too
            failure = error
            break
        if smoothing == 0:
            yield item, ab
            continue
        waiting.append((item, L, ab, forward(L, ab)))
        if len(waiting) == TOGETHER + AHEAD:
            yield from _joined(waiting, TOGETHER, smoothing)
            del waiting[:TOGETHER]
    yield from _joined(waiting, len(waiting), smoothing)
    if not isinstance(failure, StopIteration):
        raise failure


def _joined(
    frames: list[tuple[T, Float, Float, Float]], count: int, smoothing: float
) -> list[tuple[T, Float]]:
    """The first `count` frames with the mean of both directions."""
    backward = SteadyColours(smoothing)
    after = [backward(L, ab) for _, L, ab, _ in reversed(frames)][::-1]
    return [
        (item, np.asarray((before + later) / 2, np.float32))
        for (item, _, _, before), later in zip(frames[:count], after, strict=False)
    ]
