"""A stage of the pipeline: a few threads for one kind of work, requests served in turn."""

import asyncio
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from chromaserve.photos.free_cores import ALONE, FreeCores
from chromaserve.pipeline.queue import RoundRobin

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(eq=False)
class _Job:
    work: Callable[[], Any]
    future: "Future[Any]"


class Stage:
    """Runs work in threads of its own."""

    def __init__(self, name: str, threads: int, cores: FreeCores = ALONE) -> None:
        """Start no thread yet; `close` ends those that were started.

        Args:
            name: of the threads.
            threads: at most.
            cores: of which each thread takes one while it works.
        """
        self.threads = threads
        self._cores = cores
        self._waiting: RoundRobin[_Job] = RoundRobin()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, name)

    async def run(
        self, flow: Hashable, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one piece of a flow's work in its turn.

        A cancelled caller's work is dropped if it has not begun; else the caller waits until the
        thread is done with the memory it uses.
        """
        job = _Job(lambda: work(*args, **kwargs), Future())
        with self._lock:
            self._waiting.push(flow, job)
        # One ticket a job; which job it serves is decided when a thread is free.
        self._pool.submit(self._serve)
        future: asyncio.Future[T] = asyncio.wrap_future(job.future)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            with self._lock:
                self._waiting.discard(flow, job)
            if not job.future.cancel():
                await asyncio.wait({future})
                if not future.cancelled():
                    future.exception()  # seen: nobody else will ask
            raise

    def close(self) -> None:
        """Finish what waits and end the threads."""
        self._pool.shutdown()

    def _serve(self) -> None:
        with self._lock:
            jobs = self._waiting.take(1)
        for job in jobs:
            if not job.future.set_running_or_notify_cancel():
                continue
            try:
                with self._cores.taken():
                    result = job.work()
            except BaseException as error:
                job.future.set_exception(error)
            else:
                job.future.set_result(result)
            # A thread that waits must not keep a photo alive.
            del job
