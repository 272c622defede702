"""Work that is begun ahead of what is asked for, with results in their order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    start: Callable[[T], "Future[R]"], items: Iterable[T], depth: int
) -> Generator[R, None, None]:
    """Results in the order of the items; while one is used, the next `depth` are in work.

    An error in `items` comes after the results of what was before it. When the generator is
    closed, work that has not begun is cancelled.
    """
    waiting = iter(items)
    running: deque[Future[R]] = deque()
    failure: Exception | None = None
    ended = False
    try:
        while True:
            while not ended and len(running) <= depth:
                try:
                    running.append(start(next(waiting)))
                except StopIteration:
                    ended = True
                except Exception as error:
                    ended, failure = True, error
            if not running:
                break
            yield running.popleft().result()
        if failure:
            raise failure
    finally:
        for future in running:
            future.cancel()
