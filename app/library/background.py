"""The service's parts without HTTP: a model, and its pipeline on an event loop in a thread."""

import asyncio
import logging
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from pydantic import ValidationError

from app.errors import invalid_options
from app.service import Service
from app.settings import Settings

T = TypeVar("T")

# A library's records are for the program's handlers; without any they are not for its output.
for _name in ("app", "model_store"):
    logging.getLogger(_name).addHandler(logging.NullHandler())

# A program's own photos, and as many at once as it likes: wide bounds, but bounds.
_LOCAL: dict[str, Any] = {
    "max_pixels": 200_000_000,
    "max_queue": 4096,
    "photo_timeout_s": 600,
    "max_wait_s": 600,
}


def local_settings(**chosen: Any) -> Settings:  # noqa: ANN401 - fields of Settings
    """Settings for work in this process: those given, else the environment's, else wide bounds.

    Args:
        chosen: fields of `Settings`; None is not chosen.

    Raises:
        InvalidOptions: a setting is wrong, here or in the environment.
    """
    wide = {k: v for k, v in _LOCAL.items() if f"CHROMASERVE_{k.upper()}" not in os.environ}
    try:
        return Settings(**wide | {k: v for k, v in chosen.items() if v is not None})
    except ValidationError as error:
        raise invalid_options(error.errors()) from error


class Background:
    """A loaded model and a running pipeline. Its methods may be called from any thread."""

    def __init__(self, settings: Settings) -> None:
        """Load the model; blocks for seconds.

        Raises:
            ModelStoreError: it is missing, damaged, or cannot run here.
        """
        self.service = Service(settings)
        self.model = self.service.models.load_default()
        self._closing = threading.Lock()
        self._closed = False
        # asyncio's own loop: the stages rely on being cancelled once.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop", daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Run a coroutine on the loop; cancelling the future cancels it.

        Raises:
            RuntimeError: it is closed.
        """
        with self._closing:
            if self._closed:
                work.close()
                raise RuntimeError("this Colorizer is closed")
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """Cancel what runs and end the threads; harmless when that is done."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.service.pipeline.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
