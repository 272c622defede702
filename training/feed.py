"""Batches for fit: cached taps, or photos read and squeezed on the way, as tf.data."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from chromaserve.store.contract import NETWORK_SIZE

from .config import Augment
from .data import TARGET_SIZE, Entry
from .errors import CacheError
from .features import Row, open_arrays, prepare, read_rows, read_scales
from .network import TAP_SHAPES

Batch = dict[str, tf.Tensor]
READERS = 4  # batches of the cache read at a time: a disk is waited for, a core isn't taken


def shrink(L: tf.Tensor) -> tf.Tensor:
    """L [N, 224, 224, 1] -> [N, 56, 56, 1], area means."""
    k = NETWORK_SIZE // TARGET_SIZE
    return tf.nn.avg_pool2d(L, k, k, "VALID")


class _Rows:
    """Rows of a .npy file of the cache, read where they are asked for.

    Not by a memory map: its page faults cost several times the reading, and hold up every other
    Python thread, which a read doesn't.
    """

    def __init__(self, path: Path) -> None:
        mapped = np.load(path, mmap_mode="r")
        self._shape, self._dtype = mapped.shape[1:], mapped.dtype
        self._start, self._size = mapped.offset, mapped[:1].nbytes
        self._file = path.open("rb", buffering=0)

    def read(self, index: NDArray[np.int64]) -> NDArray[np.generic]:
        """Rows in this order, [len(index), ...]."""
        rows = np.empty((len(index), *self._shape), self._dtype)
        places = rows.reshape(len(index), -1).view(np.uint8)
        for place, i in zip(places, index, strict=True):
            start = self._start + int(i) * self._size
            if os.preadv(self._file.fileno(), [place.data], start) != self._size:
                raise CacheError(f"{self._file.name} ends before row {i}")
        return rows


class CachedFeed:
    """Batches of cached taps; while the cache still grows, its new rows are seen an epoch later.

    A batch holds each tap float32 [N, side, side, C] and "ab" float32 [N, 56, 56, 2].
    """

    def __init__(self, folder: Path, batch: int) -> None:
        self.rows = read_rows(folder)
        self.batch = batch
        self._folder = folder
        self._rows = {name: _Rows(folder / f"{name}.npy") for name in (*TAP_SHAPES, "L", "ab")}
        self._scales = read_scales(folder)

    def select(self, split: str) -> tuple[list[int], list[str]]:
        """Row numbers of a split that are computed, and the folder of each."""
        done = np.asarray(open_arrays(self._folder, "r")["done"])
        keep = [i for i, r in enumerate(self.rows) if r.split == split and done[i]]
        return keep, [self.rows[i].folder for i in keep]

    def batches(
        self, order: NDArray[np.int64], taps: Iterable[str] = TAP_SHAPES, lightness: bool = False,
        batch: int | None = None,
    ) -> tf.data.Dataset:  # fmt: skip
        """Batches of the rows in this order, with these taps alone.

        With lightness, also "lightness" float32 [N, 56, 56, 1]: L at the size of ab.
        batch: images in each, in place of the feed's own number.
        """
        taps = tuple(taps)
        names = [*taps, "ab", *(["L"] if lightness else [])]

        def load(index: NDArray[np.int64]) -> list[NDArray[np.generic]]:
            return [self._rows[name].read(index) for name in names]

        def read(index: tf.Tensor) -> Batch:
            types = [tf.uint8] * len(taps) + [tf.float16] + [tf.uint8] * lightness
            return dict(zip(names, tf.numpy_function(load, [index], types), strict=True))

        def decode(loaded: Batch) -> Batch:
            batch = {}
            for name in taps:
                side, channels = TAP_SHAPES[name]
                code = tf.ensure_shape(loaded[name], (None, side, side, channels))
                scale = self._scales[name] / np.float32(255**2)
                batch[name] = tf.square(tf.cast(code, tf.float32)) * scale
            ab = tf.ensure_shape(loaded["ab"], (None, TARGET_SIZE, TARGET_SIZE, 2))
            batch["ab"] = tf.cast(ab, tf.float32)
            if lightness:
                L = tf.ensure_shape(loaded["L"], (None, NETWORK_SIZE, NETWORK_SIZE, 1))
                batch["lightness"] = shrink(tf.cast(L, tf.float32) / 2.55)
            return batch

        return (
            tf.data.Dataset.from_tensor_slices(order)
            .batch(batch or self.batch)
            .map(read, num_parallel_calls=READERS)
            .map(decode, num_parallel_calls=tf.data.AUTOTUNE)
            .prefetch(2)
        )


class PhotoFeed:
    """Batches of photos for end-to-end fitting; three in four training photos are fresh copies.

    A batch holds "L" float32 [N, 224, 224, 1] and "ab" float32 [N, 56, 56, 2].
    """

    def __init__(
        self, root: Path, entries: list[Entry], batch: int, seed: int, settings: Augment
    ) -> None:
        self.rows = [Row(e.file, e.folder, e.kind, e.split, 0) for e in entries]
        self._settings = settings
        self.batch = batch
        self._root = root
        self._random = np.random.default_rng(seed)

    def select(self, split: str) -> tuple[list[int], list[str]]:
        """Row numbers of a split, and the folder of each."""
        keep = [i for i, r in enumerate(self.rows) if r.split == split]
        return keep, [self.rows[i].folder for i in keep]

    def batches(self, order: NDArray[np.int64], batch: int | None = None) -> tf.data.Dataset:
        """Batches of the photos in this order; batch as in CachedFeed."""

        def load(i: int, copy: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            return prepare(self._root / self.rows[i].file, int(copy), self._settings)

        def read(i: tf.Tensor, copy: tf.Tensor) -> Batch:
            L, ab = tf.numpy_function(load, [i, copy], [tf.float32, tf.float32])
            return {
                "L": tf.ensure_shape(L, (NETWORK_SIZE, NETWORK_SIZE, 1)),
                "ab": tf.ensure_shape(ab, (TARGET_SIZE, TARGET_SIZE, 2)),
            }

        train = np.array([self.rows[i].split == "train" for i in order], bool)
        # 0 is the photo as it is; a copy of another number has another crop and another age.
        copies = self._random.integers(1, 2**31, len(order)) * (
            self._random.random(len(order)) < 0.75
        )
        return (
            tf.data.Dataset.from_tensor_slices((order, copies * train))
            .map(read, num_parallel_calls=tf.data.AUTOTUNE)
            .batch(batch or self.batch)
            .prefetch(tf.data.AUTOTUNE)
        )
