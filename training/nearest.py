"""A baseline that can look but not learn: the colours of the most similar training photo."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chromaserve.color.lab import srgb_to_lab
from chromaserve.store.contract import NETWORK_SIZE, network_input, squeeze

from .data import Entry, evenly_spaced, read_entry
from .errors import DataError
from .network import build_encoder

TAP = "block5_conv3"
PHOTOS = 3000  # training photos that are looked at, evenly spaced
Float = NDArray[np.float32]
Encode = Callable[[Float], dict[str, Float]]


class NearestPhoto:
    """Answers a photo's L with the ab of the training photo whose deep features are nearest.

    Features are the means over the photo of VGG16's block5_conv3; nearest is the largest cosine.
    """

    def __init__(self, entries: Sequence[Entry], root: Path, encode: Encode) -> None:
        """Look at the training photos of an index, PHOTOS of them at most.

        encode: L [224, 224, 1] -> taps by name, as `training.ncnn_encoder` computes them.
        Raises DataError when there is none.
        """
        train = [e for e in entries if e.split == "train"]
        if not train:
            raise DataError("the index has no training photo")
        self.entries = [train[i] for i in evenly_spaced(len(train), PHOTOS)]
        self._root, self._encode = root, encode
        self._features = np.stack([
            self._feature(network_input(srgb_to_lab(read_entry(root, e))[0])) for e in self.entries
        ])  # fmt: skip

    def __call__(self, L: Float) -> Float:
        """L float32 [224, 224, 1] in [0, 100] -> ab float32 [224, 224, 2] in Lab units."""
        nearest = self.entries[int(np.argmax(self._features @ self._feature(L)))]
        _, ab = srgb_to_lab(read_entry(self._root, nearest))
        return squeeze(ab, NETWORK_SIZE, NETWORK_SIZE)

    def _feature(self, L: Float) -> Float:
        mean = self._encode(L)[TAP].mean(axis=(0, 1))
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def load_nearest(entries: Sequence[Entry], root: Path, weights: str) -> NearestPhoto:
    """The baseline of an index, by an encoder with these weights, as in the configuration."""
    from .ncnn_encoder import NcnnEncoder, encoder_weights

    return NearestPhoto(entries, root, NcnnEncoder(encoder_weights(build_encoder(weights))))
