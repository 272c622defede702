"""Watches the engines of the model that serves, and puts new ones in the place of broken ones."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from chromaserve.engines.probes import probes
from chromaserve.errors import EngineFailed, ServiceError
from chromaserve.pipeline.models import LoadedModel
from chromaserve.pipeline.pipeline import Pipeline

log = logging.getLogger("chromaserve")

T = TypeVar("T")

_LOOK_S, _RESUMED_S = 0.25, 5.0
_FAILURES = 3
"""Photos failed one after the other, from which an engine is asked about a photo that is known."""
_LOADING = 3
"""So many times the longest time of a batch, loading may take."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0


class Watchdog:
    """Knows whether the model answers; where it does not, loads it anew until it does."""

    def __init__(self, pipeline: Pipeline, hang_s: float) -> None:
        """`hang_s`: longest time of one batch."""
        self.broken = False
        """Photos cannot be coloured now."""
        self._pipeline = pipeline
        self._hang_s = hang_s

    async def watch(self) -> None:
        """Look after the engines for ever."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(_LOOK_S)
            if time.monotonic() - before > self._hang_s:
                # All of the process stood still, or the machine slept: batches go on now.
                await asyncio.sleep(_RESUMED_S)
            try:
                if await self._trouble():
                    await self._recover()
            except Exception:
                log.exception("looking after the model failed")
                await asyncio.sleep(_LONGEST_WAIT_S)

    async def _trouble(self) -> bool:
        """Whether engines hang, which are given up, or fail on a photo that is known to be fine."""
        batcher, model = self._pipeline.batcher, self._pipeline.models.default
        serving = False
        for engines in batcher.hanging(self._hang_s):
            log.error("the model hangs: one batch for more than %g s", self._hang_s)
            batcher.give_up(engines)
            serving |= model is not None and engines is model.engines
        if serving:
            return True
        if model is None or batcher.failures < _FAILURES:
            return False
        try:
            await self._ask(model)
        except (EngineFailed, TimeoutError) as error:
            log.error("the model fails on a test photo, too: %r", error)
            return True
        except ServiceError:
            pass  # full, or ending
        return False

    async def _ask(self, model: LoadedModel) -> None:
        L, vividness = probes()
        async with asyncio.timeout(self._hang_s):
            await self._pipeline.batcher.submit(model.engines, L[0], float(vividness[0]), self)

    async def _recover(self) -> None:
        """Load the model anew, again and again until it answers."""
        self.broken = True
        models, wait_s = self._pipeline.models, _FIRST_WAIT_S
        while True:
            try:
                async with asyncio.timeout(_LOADING * self._hang_s):
                    model = await on_own_thread(models.renew, "renewing")
                await self._ask(model)
                break
            except Exception as error:
                log.error("the model cannot be loaded anew: %r", error)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
        self.broken = False
        log.warning("the model %d was loaded anew and answers", model.version)


async def on_own_thread(work: Callable[[], T], name: str) -> T:
    """Run what may hang on a thread of its own, which keeps nobody from ending the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if done.cancelled():
            return
        if error:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        failed: Exception | None = None
        try:
            result = work()
        except Exception as error:
            failed = error
        except BaseException as error:  # SystemExit would end the loop
            failed = RuntimeError(repr(error))
        try:
            loop.call_soon_threadsafe(settle, result, failed)
        except RuntimeError:
            return  # the loop has ended

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
