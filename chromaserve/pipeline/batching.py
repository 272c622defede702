"""The micro-batcher: photos that wait together go through the model together.

Greedy, without a timer: the moment a device is free it takes what waits, up to its batch limit,
one photo of each request in turn.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from chromaserve.engines import Engine
from chromaserve.errors import Busy, EngineFailed, NotReady
from chromaserve.pipeline.queue import RoundRobin

log = logging.getLogger("chromaserve.batching")

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Inference:
    """One photo's result, and how it got it."""

    ab: Float
    """float32 [224, 224, 2] in Lab units."""
    batch: int
    """Photos in the batch that it went with; 0 for an answer kept from before."""
    queue_s: float
    inference_s: float


@dataclass(eq=False)
class _Waiting:
    engines: Sequence[Engine]
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
    """One bounded queue, and a thread a replica that runs its engines."""

    def __init__(self, max_waiting: int, on_batch: Callable[[int], None] = lambda _: None) -> None:
        """Threads start when there is work for them; `close` ends them.

        on_batch is told each batch's size, on the thread that ran it.
        """
        self.statistics = BatchStatistics()
        self._max_waiting = max_waiting
        self._on_batch = on_batch
        self._waiting: RoundRobin[_Waiting] = RoundRobin()
        self._changed = threading.Condition()
        self._closing = False
        self._threads: list[threading.Thread] = []

    @property
    def waiting(self) -> int:
        """Photos in the queue."""
        return len(self._waiting)

    async def submit(
        self, engines: Sequence[Engine], L: Float, vividness: float, flow: Hashable
    ) -> Inference:
        """Run one photo; cancelling the call takes it out of the queue.

        Args:
            engines: a model's replicas, the same object for every photo of that model: batches
                hold photos of one model. Replica i runs on thread i.
            L: float32 [224, 224, 1] in [0, 100].
            vividness: 0..1; different ones share a batch.
            flow: whose photo it is; flows are served in turn.

        Raises:
            Busy: the queue is full.
            NotReady: the batcher is closed.
            EngineFailed: the engine raised on this photo's batch.
        """
        item = _Waiting(engines, L, vividness)
        with self._changed:
            if self._closing:
                raise NotReady("The service is shutting down. Send the photo again shortly.")
            if len(self._waiting) >= self._max_waiting:
                raise Busy(f"{self._max_waiting} photos are waiting already. Try again shortly.")
            while len(self._threads) < len(engines):
                self._start()
            self._waiting.push(flow, item)
            self._changed.notify_all()  # not every thread has a replica of every model
        try:
            return await asyncio.wrap_future(item.future)
        except asyncio.CancelledError:
            with self._changed:
                self._waiting.discard(flow, item)
            raise

    def close(self) -> None:
        """Take no more photos, finish those that wait, and end the threads."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        replica = len(self._threads)
        name = f"inference-{replica}"
        thread = threading.Thread(target=self._run, args=(replica,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self, replica: int) -> None:
        while batch := self._next(replica):
            self._infer(batch[0].engines[replica], batch)
            del batch  # results belong to their requests while this thread waits

    def _next(self, replica: int) -> list[_Waiting]:
        """The next batch, one model's; empty when closed and done."""

        def mine(item: _Waiting) -> bool:
            return replica < len(item.engines)

        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting.first(mine) or self._closing)
                first = self._waiting.first(mine)
                if first is None:
                    return []
                taken = self._waiting.take(
                    first.engines[replica].max_batch, partial(_same_model, first.engines)
                )
                # False: the client has gone since.
                batch = [w for w in taken if w.future.set_running_or_notify_cancel()]
                if batch:
                    return batch

    def _infer(self, engine: Engine, batch: list[_Waiting]) -> None:
        start = time.perf_counter()
        try:
            ab = engine.infer(
                np.stack([w.L for w in batch]),
                np.array([w.vividness for w in batch], np.float32),
            )
            if len(ab) != len(batch) or not np.isfinite(ab).all():
                raise ValueError(f"ab {ab.shape} for {len(batch)} photos, or not finite")
        except Exception:
            log.exception("the model failed on a batch of %d", len(batch))
            with self._changed:
                self.statistics.failed_batches += 1
            for w in batch:
                w.future.set_exception(EngineFailed("The model failed on this photo. Try again."))
            return
        took = time.perf_counter() - start
        with self._changed:
            self.statistics.photos += len(batch)
            self.statistics.batches += 1
            self.statistics.largest_batch = max(self.statistics.largest_batch, len(batch))
        self._on_batch(len(batch))
        for w, one in zip(batch, ab, strict=True):
            # A copy: a photo must not keep its whole batch's result alive.
            w.future.set_result(Inference(one.copy(), len(batch), start - w.since, took))


def _same_model(engines: Sequence[Engine], item: _Waiting) -> bool:
    return item.engines is engines
