"""A run that a signal ends: no photo is begun any more, and those that were are told of."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_LONGEST_S = 15
"""That photos which were begun may take; who sends SIGTERM kills after 30 s, mostly."""
_MOST_WAITING = 100_000


class Ending:
    """What all processes of a run hear its end from: an actor of Ray's."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()

    async def end(self) -> None:
        """Have the run end."""
        self._ended.set()

    async def wait(self) -> None:
        """Return when it is to end."""
        await self._ended.wait()


def start_ending() -> Any:  # noqa: ANN401 - an actor's handle
    """An `Ending` on the cluster that this process is on; it goes when the handle does."""
    import ray

    made: Any = ray.remote(Ending)
    return made.options(num_cpus=0, max_concurrency=_MOST_WAITING).remote()


def heard(ending: Any) -> threading.Event:  # noqa: ANN401 - an actor's handle
    """What is set when the run is to end, in the process that asks."""
    event = threading.Event()
    ending.wait.remote().future().add_done_callback(lambda _: event.set())
    return event


@contextmanager
def ended_by_signals(
    ending: Any,  # noqa: ANN401 - an actor's handle
    on_end: Callable[[], None],
) -> Iterator[threading.Event]:
    """SIGINT and SIGTERM end the run; the block goes on until it has, and is given what tells it.

    Only the main thread can hear of signals; `on_end` is called by another, when one has come.

    Raises:
        KeyboardInterrupt: a second signal came, or what was begun took too long.
    """
    asked, over = threading.Event(), threading.Event()
    main = threading.current_thread()
    if main is not threading.main_thread():
        yield asked
        return

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as signals have it
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    def end() -> None:
        asked.wait()
        if not over.is_set():
            on_end()
            ending.end.remote()
            if not over.wait(_LONGEST_S) and main.ident:
                signal.pthread_kill(main.ident, signal.SIGINT)

    before = {each: signal.signal(each, handle) for each in (signal.SIGINT, signal.SIGTERM)}
    ender = threading.Thread(target=end, name="ending", daemon=True)
    ender.start()
    try:
        yield asked
    finally:
        over.set()
        for number, handler in before.items():
            signal.signal(number, handler)
        if not asked.is_set():
            asked.set()
            ender.join()
            asked.clear()
