"""Where faces are in a photo: YuNet (Wu, Peng & Yu 2023), by OpenCV."""

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from queue import LifoQueue
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_FILE = Path(__file__).with_name("yunet.onnx")
_PIXELS: Final = 448 * 336  # of the copy in which they are sought
_CLOSER: Final = 4  # times as many, where
_SMALL: Final = 0.08  # they are smaller than that, of the photo's side
_SURE, _OVERLAP, _MOST = 0.7, 0.3, 500
_DARK, _LIGHT, _FLAT = 1, 99, 8  # percentiles, and codes of 255 between them

# A detector works for one thread at a time, and keeps what the largest copy took: 15 MB.
_detectors: LifoQueue[cv2.FaceDetectorYN | None]
_loading: threading.Lock


def _start() -> None:
    global _detectors, _loading
    _detectors, _loading = LifoQueue(), threading.Lock()
    for _ in range(4):
        _detectors.put(None)


_start()
if hasattr(os, "register_at_fork"):  # those that are at work then never come back in the child
    os.register_at_fork(after_in_child=_start)


def faces(grey: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.float32]:
    """The faces of a photo, frontal ones and profiles.

    From about 4% of its width on; where there are small ones, from half of that.

    Args:
        grey: [H, W], codes.

    Returns:
        float32 [N, 4]: left, top, width and height in pixels.
    """
    found = _found(grey, _PIXELS, _detector())
    small = len(found) and np.median(found[:, 3]) < _SMALL * np.sqrt(grey.size)
    # One that is not kept: loaded in a twentieth of the time that it works.
    return _found(grey, _CLOSER * _PIXELS, nullcontext(_loaded())) if small else found


def _found(
    grey: NDArray[np.uint8] | NDArray[np.uint16],
    pixels: int,
    one: AbstractContextManager[cv2.FaceDetectorYN],
) -> NDArray[np.float32]:
    """Faces in a copy of so many pixels."""
    height, width = grey.shape
    scale = min(1.0, (pixels / (height * width)) ** 0.5)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    step = max(1, int(0.5 / scale))  # what is left is averaged: ten times as fast
    small = cv2.resize(grey[::step, ::step], size, interpolation=cv2.INTER_AREA).astype(np.float32)
    dark, light = np.percentile(small, (_DARK, _LIGHT))
    if light - dark < _FLAT * np.iinfo(grey.dtype).max / 255:
        return np.empty((0, 4), np.float32)
    levels = np.clip((small - dark) * (255 / (light - dark)), 0, 255).astype(np.uint8)
    with one as detector:
        detector.setInputSize(size)
        _, found = detector.detect(cv2.cvtColor(levels, cv2.COLOR_GRAY2BGR))
    if found is None:
        return np.empty((0, 4), np.float32)
    return np.asarray(found[:, :4] / np.float32(scale), np.float32)


@contextmanager
def _detector() -> Iterator[cv2.FaceDetectorYN]:
    """One that nobody else has; waits while all are taken."""
    detector = _detectors.get()
    try:
        detector = detector or _loaded()
        yield detector
    finally:
        _detectors.put(detector)


def _loaded() -> cv2.FaceDetectorYN:
    with _loading:  # the level of what OpenCV writes to stderr is one for all threads
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        try:  # it warns of a target that nobody asked for
            return cv2.FaceDetectorYN.create(str(_FILE), "", (320, 320), _SURE, _OVERLAP, _MOST)
        finally:
            cv2.utils.logging.setLogLevel(level)
