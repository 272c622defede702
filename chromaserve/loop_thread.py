"""An event loop in a thread, for callers that wait for what runs there.

anyio's portal would do but for two things: what it cancels it cancels again at each `await` of the
clean-up, which the pipeline's stages have, and in a forked process it waits for ever.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines that any thread may start. A program that leaves it open ends as well."""

    def __init__(self, owner: str) -> None:
        """Start the thread.

        Args:
            owner: the class that it is for, named in errors.
        """
        self._owner = owner
        self._process = os.getpid()
        self._closing = threading.Lock()
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """See that it runs.

        Raises:
            RuntimeError: it is closed, or was started before this process was forked.
        """
        if self._process != os.getpid():
            raise RuntimeError(
                f"this {self._owner} was in use before the process was forked, and its threads are"
                " not here. Make one in each process"
            )
        if self._closed:
            raise RuntimeError(f"this {self._owner} is closed")

    def start(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Run a coroutine on the loop; cancelling the future cancels it.

        Raises:
            RuntimeError: as `check`.
        """
        with self._closing:
            try:
                self.check()
            except RuntimeError:
                work.close()
                raise
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> bool:
        """Cancel what runs, end the thread; False where that is done, or is another process's."""
        with self._closing:
            if self._closed or self._process != os.getpid():
                return False
            self._closed = True
        asyncio.run_coroutine_threadsafe(_end(self._loop), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        return True


async def cancel(tasks: "Iterable[asyncio.Task[T]]") -> list[T | BaseException]:
    """Cancel tasks and wait until they have ended; what each came to."""
    ended = list(tasks)
    for task in ended:
        task.cancel()
    return await asyncio.gather(*ended, return_exceptions=True)


async def _end(loop: asyncio.AbstractEventLoop) -> None:
    current = asyncio.current_task()
    await cancel(task for task in asyncio.all_tasks() if task is not current)
    await loop.shutdown_asyncgens()
