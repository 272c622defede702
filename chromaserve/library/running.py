"""Photos on their way for one caller, who waits for each."""

from collections import deque
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from itertools import islice
from typing import Any

from chromaserve.library.background import Background
from chromaserve.library.flow import Done, Flow, Place
from chromaserve.library.given import Given


def waited(background: Background, flow: Flow, work: Coroutine[Any, Any, Done]) -> Done:
    """What comes of the one photo of a flow."""
    future = background.start(work)
    try:
        done = future.result()
    except BaseException:
        future.cancel()
        background.start(flow.end())
        raise
    background.start(flow.release(done))
    return done


def running(
    background: Background, flow: Flow, places: Iterable[tuple[Given, Place, bool]]
) -> Iterator[Done | Exception]:
    """What comes of many photos of a flow, in their order; each has its result's place.

    Where the photos' iterable raises, that comes after what is made of those before.
    """
    start = background.start
    # As keep all stages busy, and some that are done.
    most = 2 * background.pipeline.window(background.model)
    waiting = enumerate(places)
    running: deque[Future[Done]] = deque()
    broken: Exception | None = None
    try:
        while True:
            try:
                for i, (photo, output, replace) in islice(
                    waiting, 0 if broken else most - len(running)
                ):
                    index = i if flow.is_gathered else None
                    work = flow.colorize(photo, output, replace=replace, index=index)
                    running.append(start(work))
            except Exception as error:
                broken = error
            if not running:
                if broken:
                    raise broken
                return
            try:
                done = running[0].result()
            except CancelledError:
                background.check()  # closed meanwhile
                raise
            except Exception as error:
                running.popleft()
                yield error
            else:
                running.popleft()
                start(flow.release(done))
                yield done
    finally:
        broken = None  # which has this frame
        for future in running:
            future.cancel()
        if running:
            with suppress(RuntimeError):  # closed meanwhile, with all that it held
                start(flow.end())
