"""The stream of views that a fit sees: a pure function of the seed, so that it resumes exactly."""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from .config import Views
from .data import Entry
from .maker import Float, Frozen, Maker, make, start

if TYPE_CHECKING:
    from .tap_cache import TapCache

Batch = tuple[dict[str, NDArray[np.generic]], dict[str, Float]]
RUN_OF_FILES = 512  # files of a folder that are shuffled as one shard


def shuffled(entries: Sequence[Entry], buffer: int, seed: tuple[int, ...]) -> NDArray[np.int64]:
    """An order of the entries: shards shuffled, then photos within a buffer that moves over them.

    So a shard is read nearly from front to back, however large the whole is.
    """
    random = np.random.default_rng(seed)
    shards: dict[tuple[str, int], list[int]] = {}
    for i, entry in enumerate(entries):
        part = entry.shard or entry.folder
        shards.setdefault((part, 0 if entry.shard else i // RUN_OF_FILES), []).append(i)
    keys = list(shards)
    row = [i for k in random.permutation(len(keys)) for i in shards[keys[k]]]
    order, kept = np.empty(len(row), np.int64), row[:buffer]
    for n, place in enumerate(random.random(len(row))):
        j = int(place * len(kept))
        order[n] = kept[j]
        if buffer + n < len(row):
            kept[j] = row[buffer + n]
        else:
            kept[j] = kept[-1]
            kept.pop()
    return order


class Stream(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of views of training photos, epoch after epoch; or of the photos as they are.

    A batch is ({"L": float32 [N, side, side, 1] or taps by name, "offset": int32 [N, 2]},
    {"ab": float32 [N, target, target, 2]}). `offset` in {0, 1} says which quarter of the pixels
    the distribution is trained on.
    """

    def __init__(
        self, entries: Sequence[Entry], root: Path, settings: Views, target: int, batch: int, *,
        views: int | None = None, seed: int = 0, buffer: int = 65_536, frozen: Frozen | None = None,
        taps: "TapCache | None" = None, workers: int = 1, processes: int = 0,
    ) -> None:  # fmt: skip
        """views: in each epoch; None: each photo as it is, once."""
        super().__init__(workers=workers, max_queue_size=max(2, workers + processes))
        self.epoch = 0
        self._entries, self.batch, self._views = list(entries), batch, views
        self._seed, self._plain = seed, settings.plain
        self._order = lru_cache(2)(lambda turn: shuffled(self._entries, buffer, (seed, turn)))
        self._make = Maker(root, settings, target, seed, frozen, taps)
        self._pool = None
        if processes:
            # Spawned: a process with TensorFlow or JAX in it must not be forked.
            self._pool = ProcessPoolExecutor(
                processes, get_context("spawn"), initializer=start, initargs=(self._make,)
            )

    def __len__(self) -> int:
        """Batches in an epoch: whole ones of views, of photos all."""
        if self._views is None:
            return -(-len(self._entries) // self.batch)
        return self._views // self.batch

    def _job(self, number: int) -> tuple[Entry, int | None]:
        """The photo of the view of that number, counted over all epochs; as it is: no number."""
        if self._views is None:
            return self._entries[number], None
        turn, place = divmod(number, len(self._entries))
        return self._entries[self._order(turn)[place]], None if self._plain else number

    def __getitem__(self, index: int) -> Batch:
        """The batch of that number in the epoch."""
        low, high = index * self.batch, (index + 1) * self.batch
        if self._views is None:
            numbers = range(low, min(high, len(self._entries)))
        else:
            first = self.epoch * len(self) * self.batch
            numbers = range(first + low, first + high)
        jobs = [self._job(n) for n in numbers]
        if self._pool is None:
            made = [self._make(*job) for job in jobs]
        else:
            made = self._pool.submit(make, jobs).result()
        offset = np.zeros((len(jobs), 2), np.int32)
        if self._views is not None:
            offset[:] = np.random.default_rng((self._seed, numbers[0], 1)).integers(0, 2, 2)
        x = {name: np.stack([inputs[name] for inputs, _ in made]) for name in made[0][0]}
        return x | {"offset": offset}, {"ab": np.stack([ab for _, ab in made])}

    def close(self) -> None:
        """Stop the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def limit_threads() -> None:
    """Leave the cores to the batches, each of which is made on one."""
    cv2.setNumThreads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
