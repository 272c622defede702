"""A baseline that can look but not learn: the colours of the most similar training photo."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chromaserve.store.contract import NETWORK_SIZE, squeeze

from .config import Config, Encoder
from .errors import CacheError
from .features import make_encoder, open_arrays, read_rows, read_scales

TAP = "block5_conv3"
Float = NDArray[np.float32]
Encode = Callable[[Float], dict[str, Float]]
_CHUNK = 128  # rows at a time


class NearestPhoto:
    """Answers a photo's L with the ab of the training photo whose deep features are nearest.

    Features are the means over the photo of VGG16's block5_conv3; nearest is the largest cosine.
    Training photos and their features come from the cache: those that are in it so far, as they
    are, without augmented copies.
    """

    def __init__(self, cache: Path, encoder: Encode) -> None:
        """Pool the cached features: seconds, and 2 kB a photo.

        encoder: as of `training.features.make_encoder`, with the weights that the cache is of.
        Raises CacheError when there is no cache or no training photo in it.
        """
        arrays = open_arrays(cache, "r")
        done = np.asarray(arrays["done"])
        self.rows = [
            i
            for i, row in enumerate(read_rows(cache))
            if row.split == "train" and not row.copy and done[i]
        ]
        if not self.rows:
            raise CacheError(f"no training photo in the cache at {cache}")
        self._encoder = encoder
        self._ab = arrays["ab"]
        codes, scale = arrays[TAP], read_scales(cache)[TAP]
        means = [
            (np.square(codes[self.rows[i : i + _CHUNK]], dtype=np.float32)).mean(axis=(1, 2))
            for i in range(0, len(self.rows), _CHUNK)
        ]
        self._features = _unit(np.concatenate(means) * (scale / np.float32(255**2)))

    def __call__(self, L: Float) -> Float:
        """L float32 [224, 224, 1] in [0, 100] -> ab float32 [224, 224, 2] in Lab units.

        The neighbour's ab, 56 x 56 in the cache, is enlarged bilinearly, as the network's is.
        """
        feature = _unit(self._encoder(L)[TAP].mean(axis=(0, 1)))
        row = self.rows[int(np.argmax(self._features @ feature))]
        return squeeze(self._ab[row].astype(np.float32), NETWORK_SIZE, NETWORK_SIZE)


def load_nearest(cache: Path, weights: str | None = None) -> NearestPhoto:
    """The baseline of a cache; weights as in the configuration, by default where they were then."""
    if weights is None and (cache / "plan.json").is_file():
        weights = json.loads((cache / "plan.json").read_text())["weights"]
    encoder = Encoder(weights=weights) if weights else Encoder()
    return NearestPhoto(cache, make_encoder(Config(name="nearest", encoder=encoder)))


def _unit(features: Float) -> Float:
    length = np.linalg.norm(features, axis=-1, keepdims=True)
    return np.asarray(features / np.maximum(length, 1e-12), np.float32)
