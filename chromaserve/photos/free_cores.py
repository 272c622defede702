"""Cores that other photos leave free, for the strips of one photo."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Lock
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_PIXELS_A_THREAD = 1 << 22
"""Of a photo that several threads work on: what a thread holds is small beside its pixels."""


class FreeCores:
    """Threads that help with a photo's strips for as long as there are cores without other work.

    Who works on something else is counted by `taken`. A helping thread looks before every strip
    whether its core is still free, so that other work waits for one strip at most.
    """

    def __init__(self, count: int) -> None:
        """Start no thread yet; `close` ends those that were started.

        Args:
            count: cores in all; of one, none is ever free.
        """
        self.helped_s = 0.0
        """Seconds of help so far that each photo in work had on average."""
        self._count = count
        self._taken = self._helping = 0
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(max(1, count - 1), "strips")

    @contextmanager
    def taken(self) -> Iterator[None]:
        """One core is not free meanwhile; for callers of `each`, whose core is theirs, too."""
        with self._lock:
            self._taken += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken -= 1

    def each(
        self,
        strips: Iterable[T],
        work: Callable[[T], R],
        put: Callable[[R], None],
        *,
        pixels: int,
    ) -> None:
        """Work on the strips of a photo, here and on free cores.

        Whatever the number of threads, strips are asked for and results put in their order.

        Args:
            strips: asked for by one thread at a time.
            work: done on any thread, for several strips at a time.
            put: takes a result, on the calling thread.
            pixels: of the photo, which bound the threads.

        Raises:
            Whatever the first strip that fails raises; nothing is at work on the photo any more.
        """
        threads = min(self._count, 1 + pixels // _PIXELS_A_THREAD)
        left = iter(strips)
        asking = Lock()
        begun: deque[Future[R]] = deque()
        helpers: list[Future[None]] = []
        ended = False

        def work_on_one() -> bool:
            """False where no strip is left, or too many results would wait."""
            nonlocal ended
            done: Future[R] = Future()
            with asking:
                if ended or len(begun) >= 2 * threads:
                    return False
                try:
                    strip = next(left)
                except StopIteration:
                    ended = True
                    return False
                except BaseException as error:
                    ended = True
                    done.set_exception(error)
                    begun.append(done)
                    del done  # the error holds this frame: no cycle is to hold the photo
                    return True
                begun.append(done)
            try:
                done.set_result(work(strip))
            except BaseException as error:
                done.set_exception(error)
                del done
            return True

        try:
            while begun or not ended:
                helpers = [each for each in helpers if not each.done()]
                while len(helpers) < threads - 1 and not ended and self._take_free():
                    helpers.append(self._pool.submit(self._help, work_on_one))
                if not (begun and begun[0].done()) and not work_on_one() and begun:
                    wait([begun[0]])  # a helper has it
                while begun and begun[0].done():
                    put(begun.popleft().result())
        finally:
            ended = True
            wait(helpers)
            begun.clear()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _take_free(self) -> bool:
        with self._lock:
            free = self._helping < self._count - max(1, self._taken)
            self._helping += free
            return free

    def _help(self, work_on_one: Callable[[], bool]) -> None:
        since = perf_counter()
        try:
            while self._helping <= self._count - max(1, self._taken) and work_on_one():
                pass
        finally:
            with self._lock:
                self._helping -= 1
                self.helped_s += (perf_counter() - since) / max(1, self._taken)


ALONE = FreeCores(1)
"""One thread for all strips."""
