"""The micro-batcher: photos that wait together go through the model together.

Greedy, without a timer: the moment the engine is free it takes what waits, up to its batch limit.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.engines import Engine
from app.errors import Busy, EngineFailed, NotReady

log = logging.getLogger("app.batching")

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Inference:
    """One photo's result, and how it got it."""

    ab: Float
    """float32 [224, 224, 2] in Lab units."""
    batch: int
    """Photos in the batch that it went with."""
    queue_s: float
    inference_s: float


@dataclass(eq=False)
class _Waiting:
    engine: Engine
    L: Float
    vividness: float
    future: "Future[Inference]" = field(default_factory=Future)
    since: float = field(default_factory=time.perf_counter)


@dataclass
class BatchStatistics:
    """Counts since the start."""

    photos: int = 0
    batches: int = 0
    largest_batch: int = 0
    failed_batches: int = 0


class Batcher:
    """A bounded queue and the one thread that runs engines."""

    def __init__(self, max_waiting: int, on_batch: Callable[[int], None] = lambda _: None) -> None:
        """Start the thread; `close` ends it. `on_batch` is told each batch's size, on it."""
        self.statistics = BatchStatistics()
        self._max_waiting = max_waiting
        self._on_batch = on_batch
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Photos in the queue."""
        return len(self._waiting)

    async def submit(self, engine: Engine, L: Float, vividness: float) -> Inference:
        """Run one photo; cancelling the call takes it out of the queue.

        Args:
            engine: batches hold photos of one engine.
            L: float32 [224, 224, 1] in [0, 100].
            vividness: 0..1; different ones share a batch.

        Raises:
            Busy: the queue is full.
            NotReady: the batcher is closed.
            EngineFailed: the engine raised on this photo's batch.
        """
        item = _Waiting(engine, L, vividness)
        with self._changed:
            if self._closing:
                raise NotReady("The service is shutting down. Send the photo again shortly.")
            if len(self._waiting) >= self._max_waiting:
                raise Busy(f"{self._max_waiting} photos are waiting already. Try again shortly.")
            self._waiting.append(item)
            self._changed.notify()
        try:
            return await asyncio.wrap_future(item.future)
        except asyncio.CancelledError:
            with self._changed:
                if item in self._waiting:
                    self._waiting.remove(item)
            raise

    def close(self) -> None:
        """Take no more photos, finish those that wait, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            self._infer(batch)
            del batch  # results belong to their requests while this thread waits

    def _next(self) -> list[_Waiting]:
        """The next batch, one engine's, oldest first; empty when closed and done."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return []
                engine = self._waiting[0].engine
                mine = [w for w in self._waiting if w.engine is engine][: engine.max_batch]
                for item in mine:
                    self._waiting.remove(item)
                # False: the client has gone since.
                batch = [w for w in mine if w.future.set_running_or_notify_cancel()]
                if batch:
                    return batch

    def _infer(self, batch: list[_Waiting]) -> None:
        start = time.perf_counter()
        try:
            ab = batch[0].engine.infer(
                np.stack([w.L for w in batch]),
                np.array([w.vividness for w in batch], np.float32),
            )
            if len(ab) != len(batch) or not np.isfinite(ab).all():
                raise ValueError(f"ab {ab.shape} for {len(batch)} photos, or not finite")
        except Exception:
            log.exception("the model failed on a batch of %d", len(batch))
            self.statistics.failed_batches += 1
            for w in batch:
                w.future.set_exception(EngineFailed("The model failed on this photo. Try again."))
            return
        took = time.perf_counter() - start
        self.statistics.photos += len(batch)
        self.statistics.batches += 1
        self._on_batch(len(batch))
        self.statistics.largest_batch = max(self.statistics.largest_batch, len(batch))
        for w, one in zip(batch, ab, strict=True):
            # A copy: a photo must not keep its whole batch's result alive.
            w.future.set_result(Inference(one.copy(), len(batch), start - w.since, took))
