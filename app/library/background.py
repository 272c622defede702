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
from app.memory import return_freed
from app.models import LoadedModel
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
        service = Service(settings)
        self._parts: tuple[Service, LoadedModel] | None = service, service.models.load_default()
        self._process = os.getpid()
        self._closing = threading.Lock()
        # asyncio's own loop: the stages rely on being cancelled once.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop", daemon=True)
        self._thread.start()

    @property
    def service(self) -> Service:
        """Its parts.

        Raises:
            RuntimeError: it is closed, or was made before this process was forked.
        """
        return self._open()[0]

    @property
    def model(self) -> LoadedModel:
        """The model that colorizes; errors as those of `service`."""
        return self._open()[1]

    def start(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Run a coroutine on the loop; cancelling the future cancels it.

        Raises:
            RuntimeError: as `service`.
        """
        with self._closing:
            try:
                self._open()
            except RuntimeError:
                work.close()
                raise
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """Cancel what runs, end the threads and free the memory; harmless when that is done."""
        with self._closing:
            if self._parts is None or self._process != os.getpid():
                return
            (service, _), self._parts = self._parts, None
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        service.pipeline.close()
        del service
        return_freed()

    def _open(self) -> tuple[Service, LoadedModel]:
        if self._process != os.getpid():
            raise RuntimeError(
                "this Colorizer was made before the process was forked, and its threads are not"
                " here. Make one in each process"
            )
        if self._parts is None:
            raise RuntimeError("this Colorizer is closed")
        return self._parts


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
