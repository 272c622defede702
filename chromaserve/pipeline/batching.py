"""The micro-batcher: photos that wait together go through the model together.

Greedy, without a timer: the moment an engine can take a call it gets its share of what waits, up to
its batch limit, one photo of each request in turn. A share, as other calls may be free, too: two
photos that wait for two calls go at once, not as a batch of two beside an idle core.
"""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from chromaserve.engines import Engine
from chromaserve.errors import Busy, EngineFailed, NotReady
from chromaserve.pipeline.queue import RoundRobin
from chromaserve.pipeline.waiting import Ask, Float, Inference, Waiting, colours

log = logging.getLogger("chromaserve.batching")

_FAILED = "The model failed on this photo. Try again."
_RESTARTING = "The model is being started again. Send the photo again shortly."


@dataclass
class BatchStatistics:
    """Counts since the start."""

    photos: int = 0
    batches: int = 0
    largest_batch: int = 0
    failed_batches: int = 0


@dataclass(eq=False)
class _Worker:
    """A thread for one call of an engine at a time, and what it is doing."""

    thread: threading.Thread | None = None
    batch: list[Waiting] = field(default_factory=list)
    since: float = 0.0
    """When its batch began, while it has one."""
    calls: int = 0
    """Batches under way when its own began."""
    lost: bool = False
    """It hangs: another has taken its place."""


class Batcher:
    """One bounded queue, and a thread for each call that engines take at once."""

    def __init__(self, max_waiting: int, on_batch: Callable[[int], None] = lambda _: None) -> None:
        """Threads start when there is work for them; `close` ends them.

        on_batch is told each batch's size, on the thread that ran it.
        """
        self.statistics = BatchStatistics()
        self.failures = 0
        """Photos that the model failed on, one after the other, since it last answered."""
        self._max_waiting = max_waiting
        self._on_batch = on_batch
        self._waiting: RoundRobin[Waiting] = RoundRobin()
        self._changed = threading.Condition()
        self._closing = False
        self._workers: list[_Worker] = []
        self._lost: list[_Worker] = []
        """Threads that hang; what they hang in takes no more photos."""

    @property
    def waiting(self) -> int:
        """Photos in the queue."""
        return len(self._waiting)

    @property
    def _is_full(self) -> bool:
        """Whether all places are taken; further looks have none, and are counted only then."""
        return len(self._waiting) >= self._max_waiting and (
            self._waiting.count(lambda each: not each.further) >= self._max_waiting
        )

    async def submit(
        self,
        engines: Sequence[Engine],
        L: Float,
        vividness: float,
        flow: Hashable,
        ask: Ask = colours,
        *,
        further: bool = False,
    ) -> Inference:
        """Run one photo; cancelling the call takes it out of the queue.

        Args:
            engines: a model's replicas, the same object for every photo of that model: batches
                hold photos of one model.
            L: float32 [224, 224, 1] in [0, 100].
            vividness: 0..1; different ones share a batch.
            flow: whose photo it is; flows are served in turn, those in the background last.
            ask: what is wanted of the engine; photos of one batch want the same.
            further: it is another look at a photo that has its place in the queue.

        Raises:
            Busy: the queue is full.
            NotReady: the batcher is closed, or these engines are given up.
            EngineFailed: the engine raised on this photo.
        """
        item = Waiting(engines, _streams(engines), L, vividness, ask, further)
        with self._changed:
            if self._closing:
                raise NotReady("The service is shutting down. Send the photo again shortly.")
            if any(lost.batch[0].engines is engines for lost in self._lost):
                raise NotReady(_RESTARTING)
            if not further and self._is_full:
                raise Busy(f"{self._max_waiting} photos are waiting already. Try again shortly.")
            self._waiting.push(flow, item)
            if len(self._workers) < len(item.streams) and not self._idle(item.streams):
                self._workers.append(self._start(len(self._workers)))
            self._changed.notify_all()  # not every thread has an engine of every model
        try:
            return await asyncio.wrap_future(item.future)
        except asyncio.CancelledError:
            with self._changed:
                self._waiting.discard(flow, item)
            raise

    def hanging(self, limit_s: float) -> list[Sequence[Engine]]:
        """The engines that have been at one batch for longer than `limit_s`."""
        with self._changed:
            now = time.perf_counter()
            return [
                worker.batch[0].engines
                for worker in self._workers
                if worker.batch and now - worker.since > limit_s
            ]

    def give_up(self, engines: Sequence[Engine]) -> None:
        """Fail what hangs in these engines or waits for them, and let new threads take over."""
        with self._changed:
            for stream, worker in enumerate(self._workers):
                if worker.batch and worker.batch[0].engines is engines:
                    worker.lost = True
                    self._lost.append(worker)
                    for item in worker.batch:
                        item.fail(EngineFailed(_FAILED))
                    self._workers[stream] = self._start(stream)
            while given_up := self._waiting.take(len(self._waiting), partial(_same_model, engines)):
                for item in given_up:
                    item.fail(NotReady(_RESTARTING))

    def close(self, timeout_s: float | None = None) -> None:
        """Take no more photos, finish those that wait, and end the threads.

        Threads that are not done in `timeout_s` are left to the end of the process.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        end = None if timeout_s is None else time.monotonic() + timeout_s
        for worker in self._workers:
            if worker.thread:
                worker.thread.join(None if end is None else max(0.0, end - time.monotonic()))

    def _start(self, stream: int) -> _Worker:
        worker = _Worker()
        name = f"inference-{stream}"
        worker.thread = threading.Thread(
            target=self._run, args=(stream, worker), name=name, daemon=True
        )
        worker.thread.start()
        return worker

    def _idle(self, streams: Sequence[Engine]) -> int:
        """Threads that could take a batch for these engines at once."""
        return sum(not worker.batch for worker in self._workers[: len(streams)])

    def _run(self, stream: int, worker: _Worker) -> None:
        while batch := self._next(stream, worker):
            self._infer(batch[0].streams[stream], batch, worker)
            with self._changed:
                if worker.lost:
                    self._lost.remove(worker)
                worker.batch = []
            del batch  # results belong to their requests while this thread waits

    def _next(self, stream: int, worker: _Worker) -> list[Waiting]:
        """The next batch, one model's; empty when closed and done, or given up."""

        def mine(item: Waiting) -> bool:
            return stream < len(item.streams)

        with self._changed:
            while not worker.lost:
                self._changed.wait_for(lambda: self._waiting.first(mine) or self._closing)
                first = self._waiting.first(mine)
                if first is None:
                    return []
                share = math.ceil(len(self._waiting) / self._idle(first.streams))
                most = min(first.streams[stream].max_batch, share)
                taken = self._waiting.take(most, partial(_same_work, first))
                # False: the client has gone since.
                batch = [w for w in taken if w.future.set_running_or_notify_cancel()]
                if batch:
                    worker.batch, worker.since = batch, time.perf_counter()
                    worker.calls = self._under_way
                    return batch
            return []

    @property
    def _under_way(self) -> int:
        return sum(bool(worker.batch) for worker in self._workers)

    def _infer(self, engine: Engine, batch: list[Waiting], worker: _Worker) -> None:
        """Run a batch; one that fails is run in halves, so that a photo fails alone."""
        start = time.perf_counter()
        try:
            ab = batch[0].ask(
                engine,
                np.stack([w.L for w in batch]),
                np.array([w.vividness for w in batch], np.float32),
            )
            if len(ab) != len(batch):
                raise ValueError(f"ab {ab.shape} for {len(batch)} photos")
            fine = [bool(np.isfinite(one).all()) for one in ab]
        except BaseException as error:  # SystemExit, too: the thread is to live
            self._failed(engine, batch, worker, error)
            return
        took = time.perf_counter() - start
        with self._changed:
            calls = max(1, (worker.calls + self._under_way) / 2)
            done = sum(fine)
            self.statistics.photos += done
            self.statistics.batches += 1
            self.statistics.largest_batch = max(self.statistics.largest_batch, len(batch))
            self.failures = 0 if done else self.failures + len(batch)
            if done < len(batch):
                self.statistics.failed_batches += 1
        if done < len(batch):
            log.error(
                "the model's answer is not finite for %d of %d", len(batch) - done, len(batch)
            )
        self._on_batch(len(batch))
        for w, one, finite in zip(batch, ab, fine, strict=True):
            if not finite:
                w.fail(EngineFailed(_FAILED))
            else:
                # A copy: a photo must not keep its whole batch's result alive.
                own_s = took / len(batch) / calls
                since_s = start - w.since
                w.succeed(Inference(one.copy(), len(batch), calls, since_s, took, 1, own_s))

    def _failed(
        self, engine: Engine, batch: list[Waiting], worker: _Worker, error: BaseException
    ) -> None:
        with self._changed:
            self.statistics.failed_batches += 1
            self.failures += len(batch) == 1
            first = self.failures <= 1
        # Of an engine that fails for ever, one trace says as much as thousands.
        log.error("the model failed on a batch of %d: %r", len(batch), error, exc_info=first)
        if len(batch) == 1:
            batch[0].fail(EngineFailed(_FAILED))
            return
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            self._infer(engine, half, worker)


def _streams(engines: Sequence[Engine]) -> list[Engine]:
    """An engine for each thread: a first call of each, then a second of each that takes one…"""
    most = max(engine.streams for engine in engines)
    return [engine for call in range(most) for engine in engines if call < engine.streams]


def _same_model(engines: Sequence[Engine], item: Waiting) -> bool:
    return item.engines is engines


def _same_work(first: Waiting, item: Waiting) -> bool:
    return item.engines is first.engines and item.ask is first.ask
