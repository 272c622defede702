"""Hints' colours, carried from the frame that they were made on to the others of its shot.

Two things lead them, as in Meyer et al. 2018, "Deep video color propagation": from frame to frame
they follow the motion, which is exact and forgets; and each frame is matched by deep features with
the hinted one, as the photos of an album are, which is coarse and finds again what was hidden.
"""

import zlib
from dataclasses import dataclass
from os import SEEK_END
from tempfile import TemporaryFile

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.color.album import brought, matched
from chromaserve.color.hint_spreading import clear_share
from chromaserve.color.reference import SIDE, Seen
from chromaserve.color.upsampling import apply_model, local_model
from chromaserve.store.contract import NETWORK_SIZE, squeeze
from chromaserve.video.steady import Motion, alike

Float = NDArray[np.float32]
"""Planes here are float32 [224, 224, 3]: share in [0, 1], and share times a and b of Lab."""

# Chosen on clips, by benchmarks/film_hints.py.
_FEATURES = 0.5  # how much a sure match counts, to 1 of a place that has not changed
_DECIDED = 4  # power of how far a match's share is from a half: edges are left to the motion
_LEAST = 0.1  # evidence below which a colour fades
_EDGES = 6, 1e-3  # radius and eps of the guided filter that leads matches to edges


def laid(over: Float, under: Float) -> Float:
    """Planes that lie over others."""
    return np.asarray(over + (1 - over[..., :1]) * under, np.float32)


def between(before: Float, after: Float, part: float) -> Float:
    """Planes that came from both sides: the nearer counts more.

    part: of the way from the hinted frame before to the one after, in (0, 1).
    """
    mixed = (1 - part) * before + part * after
    share = np.maximum(before[..., :1], after[..., :1])
    return np.asarray(mixed * (share / np.maximum(mixed[..., :1], 1e-6)), np.float32)


def coloured_by(planes: Float, ab: Float) -> Float:
    """Chroma float32 [224, 224, 2] with hints' colours; the same bits where there are none."""
    return np.asarray(ab - planes[..., :1] * ab + planes[..., 1:], np.float32)


class Kept:
    """Planes by the keys of their frames, in a file that goes with this: some kilobytes each."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115 - `close` closes it
        self._places: dict[int, tuple[int, int]] = {}

    def keep(self, key: int, planes: Float) -> None:
        """Keep planes, to 1/255 and to 1 unit of Lab."""
        share = np.rint(255 * planes[..., 0]).astype(np.uint8)
        ab = planes[..., 1:] / np.maximum(planes[..., :1], 1e-6)
        ab = np.clip(np.rint(ab), -128, 127).astype(np.int8)
        ab[share == 0] = 0
        data = zlib.compress(share.tobytes() + ab.tobytes(), 1)
        self._places[key] = self._file.seek(0, SEEK_END), len(data)
        self._file.write(data)

    def get(self, key: int) -> Float | None:
        """The planes of a frame that has some."""
        if key not in self._places:
            return None
        place, length = self._places[key]
        self._file.seek(place)
        raw = zlib.decompress(self._file.read(length))
        size = NETWORK_SIZE, NETWORK_SIZE
        share = np.frombuffer(raw, np.uint8, size[0] * size[1]).reshape(*size, 1) / np.float32(255)
        ab = np.frombuffer(raw, np.int8, offset=share.size).reshape(*size, 2)
        return np.concatenate([share, share * ab], axis=2)

    def close(self) -> None:
        """Delete the file."""
        self._file.close()


@dataclass(frozen=True, eq=False)
class _Mark:
    """What is known of the hinted frame."""

    seen: Seen
    planes: Float
    """float32 [28, 28, 3]."""


class Carried:
    """The colours of one shot's hints, in frames that follow each other, forwards or backwards."""

    def __init__(self) -> None:
        self._motion = Motion(exact=True)
        self._before: tuple[Float, Float] | None = None
        self._mark: _Mark | None = None

    def lay(self, planes: Float, L: Float, seen: Seen) -> Float:
        """Take a frame's hints, over what was carried to it; the planes of both.

        Args:
            planes: of these hints.
            L: float32 [224, 224] in [0, 100], the frame's.
            seen: of the frame.
        """
        if self._before is not None:
            planes = laid(planes, self._before[1])
        self._before = L, planes
        self._mark = _Mark(seen, squeeze(planes, SIDE, SIDE))
        return planes

    def __call__(self, L: Float, seen: Seen | None) -> Float | None:
        """Planes of the next frame; None where there is no hint, or where the shot is over."""
        if self._before is None or self._mark is None:
            return None
        past = self._motion.carried(L, *self._before, cv2.INTER_CUBIC)
        if past is None:
            self._before = self._mark = None
            return None
        planes, change = past
        known = alike(change)[..., np.newaxis]
        if seen is not None:
            found, sure = _found(self._mark, seen, L)
            planes = known * planes + sure * found
            known = known + sure
            planes /= np.maximum(known, 1e-6)
        planes *= np.minimum(known / _LEAST, 1)
        self._before = L, _clear(planes)
        return self._before[1]


def _found(mark: _Mark, seen: Seen, L: Float) -> tuple[Float, Float]:
    """Planes by deep features, and how much they count: [224, 224, 3] and [224, 224, 1]."""
    match = matched(seen, mark.seen)
    planes = np.dstack([brought(match, mark.planes), match.sure.reshape(SIDE, SIDE)])
    radius, eps = _EDGES
    large = squeeze(planes, NETWORK_SIZE, NETWORK_SIZE)
    found = apply_model(local_model(large[..., :3], L, radius=radius, eps=eps), L)
    share = np.clip(found[..., :1], 0, 1)
    sure = _FEATURES * large[..., 3:] * np.abs(2 * share - 1) ** _DECIDED
    return found, np.asarray(sure, np.float32)


def _clear(planes: Float) -> Float:
    """Shares in [0, 1], a little clearer, so that what is carried far has edges still."""
    share = planes[..., :1]
    clear = clear_share(share.copy())
    return np.asarray(planes * (clear / np.maximum(share, 1e-6)), np.float32)
