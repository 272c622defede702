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
ASTRAY = 1.5  # pixels; a way there and back that ends so far off leads to something else
STILL = 0.25  # pixels; less motion than this is none: carrying chroma blurs it
AHEAD = 8  # frames that the past of a film played backwards begins at: 0.8 ** 8 is a sixth
TOGETHER = 24  # frames that share it


class Motion:
    """Where what a frame shows was in another one, by optical flow."""

    def __init__(self, *, exact: bool = False) -> None:
        """Without state.

        Args:
            exact: motion is looked for more closely, and counts only where the way back leads back:
                for what is carried far. It takes three times as long.
        """
        # Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse Search".
        medium, fast = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM, cv2.DISOPTICAL_FLOW_PRESET_FAST
        self._flow: Any = cv2.DISOpticalFlow.create(medium if exact else fast)
        self._exact = exact
        self._y, self._x = np.mgrid[0:NETWORK_SIZE, 0:NETWORK_SIZE].astype(np.float32)

    def carried(
        self, L: Float, L_before: Float, planes: Float, way: int = cv2.INTER_LINEAR
    ) -> tuple[Float, Float] | None:
        """What a frame has of another one's planes.

        Args:
            L: float32 [224, 224] in [0, 100], of the frame.
            L_before: the same of the other one, which is the one before it or after it.
            planes: float32 [224, 224, K], of the other one.
            way: of OpenCV, between pixels.

        Returns:
            The planes along the motion, and how much lightness differs there, float32 [224, 224] in
            units of L, infinite where something was out of sight. None: it is another scene.
        """
        seen, seen_before = _seen(L), _seen(L_before)
        motion: Float = self._flow.calc(seen, seen_before, None)
        motion[np.hypot(motion[..., 0], motion[..., 1]) < STILL] = 0
        x, y = self._x + motion[..., 0], self._y + motion[..., 1]
        past_L = cv2.remap(L_before, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        change = np.asarray(cv2.blur(np.abs(L - past_L), (WINDOW, WINDOW)), np.float32)
        if change.mean() > CUT_L:
            return None
        if self._exact:
            flow = self._flow.calc(seen_before, seen, None)
            back = cv2.remap(flow, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            astray = np.hypot(*np.moveaxis(motion + np.asarray(back), 2, 0))
            change = np.asarray(np.hypot(change, astray * (SAME_L / ASTRAY)), np.float32)
        change[(np.minimum(x, y) < 0) | (np.maximum(x, y) > NETWORK_SIZE - 1)] = np.inf
        past = cv2.remap(planes, x, y, way, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(past, np.float32), change


def alike(change: Float) -> Float:
    """How likely things are the same whose lightness differs by so much: in [0, 1]."""
    return np.asarray(np.exp(-np.square(change / SAME_L)), np.float32)


def _seen(L: Float) -> NDArray[np.uint8]:
    return np.asarray(np.rint(2.55 * L), np.uint8)  # L is in 0..100


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
        self._motion = Motion()
        self._before: tuple[Float, Float] | None = None

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
        steady = ab
        past = self._before and self._motion.carried(L, *self._before)
        if past:
            carried, change = past
            steady = ab + self._smoothing * alike(change)[:, :, np.newaxis] * (carried - ab)
        self._before = L, steady
        return steady


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
