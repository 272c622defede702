"""The micro-batcher: photos that wait together go through the model together.

Greedy, without a timer: the moment a device is free it takes what waits, up to its batch limit,
one photo of each request in turn.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from chromaserve.engines import Engine
from chromaserve.errors import Busy, EngineFailed, NotReady
from chromaserve.pipeline.queue import RoundRobin

log = logging.getLogger("chromaserve.batching")

Float = NDArray[np.float32]
Ask = Callable[[Engine, Float, Float], Float]
"""Of an engine, L [N, 224, 224, 1] and vividness [N]: an array for each photo, [N, ...]."""

_FAILED = "The model failed on this photo. Try again."
_RESTARTING = "The model is being started again. Send the photo again shortly."


@dataclass(frozen=True)
class Inference:
    """One photo's result, and how it got it."""

    ab: Float
    """float32 [224, 224, 2] in Lab units; or what else was asked for."""
    batch: int
    """Photos in the batch that it went with; 0 for an answer kept from before."""
    queue_s: float
    inference_s: float
    looks: int = 1
    """How often the model ran for it; 0 for an answer kept from before."""
    model_s: float = 0.0
    """Its part of those batches' time."""


def colours(engine: Engine, L: Float, vividness: Float) -> Float:
    """What engines are asked for as a rule: ab."""
    return engine.infer(L, vividness)


@dataclass(eq=False)
class _Waiting:
    engines: Sequence[Engine]
    L: Float
    vividness: float
    ask: Ask
    further: bool
    future: "Future[Inference]" = field(default_factory=Future)
    since: float = field(default_factory=time.perf_counter)

    def fail(self, error: Exception) -> None:
        with suppress(InvalidStateError):  # given up meanwhile
            self.future.set_exception(error)

    def succeed(self, result: Inference) -> None:
        with suppress(InvalidStateError):
            self.future.set_result(result)


@dataclass
class BatchStatistics:
    """Counts since the start."""

    photos: int = 0
    batches: int = 0
    largest_batch: int = 0
    failed_batches: int = 0


@dataclass(eq=False)
class _Worker:
    """A replica's thread, and what it is doing."""

    thread: threading.Thread | None = None
    batch: list[_Waiting] = field(default_factory=list)
    since: float = 0.0
    """When its batch began, while it has one."""
    lost: bool = False
    """It hangs: another has taken its place."""


class Batcher:
    """One bounded queue, and a thread a replica that runs its engines."""

    def __init__(self, max_waiting: int, on_batch: Callable[[int], None] = lambda _: None) -> None:
        """Threads start when there is work for them; `close` ends them.

        on_batch is told each batch's size, on the thread that ran it.
        """
        self.statistics = BatchStatistics()
        self.failures = 0
        """Photos that the model failed on, one after the other, since it last answered."""
        self._max_waiting = max_waiting
        self._on_batch = on_batch
        self._waiting: RoundRobin[_Waiting] = RoundRobin()
        self._changed = threading.Condition()
        self._closing = False
        self._workers: list[_Worker] = []
        self._retired: set[int] = set()
        """Ids of engines that take no more photos, for as long as a thread hangs in them."""

    @property
    def waiting(self) -> int:
        """Photos in the queue."""
        return len(self._waiting)

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
                hold photos of one model. Replica i runs on thread i.
            L: float32 [224, 224, 1] in [0, 100].
            vividness: 0..1; different ones share a batch.
            flow: whose photo it is; flows are served in turn.
            ask: what is wanted of the engine; photos of one batch want the same.
            further: it is another look at a photo that has its place in the queue.

        Raises:
            Busy: the queue is full.
            NotReady: the batcher is closed, or these engines are given up.
            EngineFailed: the engine raised on this photo.
        """
        item = _Waiting(engines, L, vividness, ask, further)
        with self._changed:
            if self._closing:
                raise NotReady("The service is shutting down. Send the photo again shortly.")
            if id(engines) in self._retired:
                raise NotReady(_RESTARTING)
            places = self._waiting.count(lambda each: not each.further)
            if not further and places >= self._max_waiting:
                raise Busy(f"{self._max_waiting} photos are waiting already. Try again shortly.")
            while len(self._workers) < len(engines):
                self._workers.append(self._start(len(self._workers)))
            self._waiting.push(flow, item)
            self._changed.notify_all()  # not every thread has a replica of every model
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
            self._retired.add(id(engines))
            for replica, worker in enumerate(self._workers):
                if worker.batch and worker.batch[0].engines is engines:
                    worker.lost = True
                    for item in worker.batch:
                        item.fail(EngineFailed(_FAILED))
                    self._workers[replica] = self._start(replica)
            for item in self._waiting.take(len(self._waiting), partial(_same_model, engines)):
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

    def _start(self, replica: int) -> _Worker:
        worker = _Worker()
        name = f"inference-{replica}"
        worker.thread = threading.Thread(
            target=self._run, args=(replica, worker), name=name, daemon=True
        )
        worker.thread.start()
        return worker

    def _run(self, replica: int, worker: _Worker) -> None:
        while batch := self._next(replica, worker):
            self._infer(batch[0].engines[replica], batch)
            with self._changed:
                if worker.lost:
                    self._retired.discard(id(batch[0].engines))
                worker.batch = []
            del batch  # results belong to their requests while this thread waits

    def _next(self, replica: int, worker: _Worker) -> list[_Waiting]:
        """The next batch, one model's; empty when closed and done, or given up."""

        def mine(item: _Waiting) -> bool:
            return replica < len(item.engines)

        with self._changed:
            while not worker.lost:
                self._changed.wait_for(lambda: self._waiting.first(mine) or self._closing)
                first = self._waiting.first(mine)
                if first is None:
                    return []
                taken = self._waiting.take(
                    first.engines[replica].max_batch, partial(_same_work, first)
                )
                # False: the client has gone since.
                batch = [w for w in taken if w.future.set_running_or_notify_cancel()]
                if batch:
                    worker.batch, worker.since = batch, time.perf_counter()
                    return batch
            return []

    def _infer(self, engine: Engine, batch: list[_Waiting]) -> None:
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
            self._failed(engine, batch, error)
            return
        took = time.perf_counter() - start
        with self._changed:
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
                its = Inference(one.copy(), len(batch), start - w.since, took, 1, took / len(batch))
                w.succeed(its)

    def _failed(self, engine: Engine, batch: list[_Waiting], error: BaseException) -> None:
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
            self._infer(engine, half)


def _same_model(engines: Sequence[Engine], item: _Waiting) -> bool:
    return item.engines is engines


def _same_work(first: _Waiting, item: _Waiting) -> bool:
    return item.engines is first.engines and item.ask is first.ask
