"""Photos on their way for one caller, who waits for each."""

from collections import deque
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from chromaserve.library.background import Background
from chromaserve.library.flow import Done, Flow
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
    background: Background, flow: Flow, places: Iterable[tuple[Given, Path | None, bool]]
) -> Iterator[Done | Exception]:
    """What comes of many photos of a flow, in their order; each has its result's place."""
    start = background.start
    # As keep all stages busy, and some that are done.
    most = 2 * background.pipeline.window(background.model)
    waiting = enumerate(places)
    running: deque[Future[Done]] = deque()
    try:
        while True:
            for i, (photo, output, replace) in islice(waiting, most - len(running)):
                index = i if flow.is_gathered else None
                work = flow.colorize(photo, output, replace=replace, index=index)
                running.append(start(work))
            if not running:
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
        for future in running:
            future.cancel()
        if running:
            with suppress(RuntimeError):  # closed meanwhile, with all that it held
                start(flow.end())
