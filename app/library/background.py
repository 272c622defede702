"""The service's parts without HTTP: a model, and its pipeline on an event loop in a thread."""

import logging
import os
from typing import Any

from pydantic import ValidationError

from app.errors import invalid_options
from app.loop_thread import LoopThread
from app.memory import return_freed
from app.models import LoadedModel
from app.service import Service
from app.settings import Settings

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
        # asyncio's own loop: the stages rely on being cancelled once.
        self._loop = LoopThread("Colorizer")
        self.start = self._loop.start
        """Run a coroutine on the loop, as `LoopThread.start`."""

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

    def close(self) -> None:
        """Cancel what runs, end the threads and free the memory; harmless when that is done."""
        if self._loop.close() and self._parts:
            (service, _), self._parts = self._parts, None
            service.pipeline.close()
            del service, _
            return_freed()

    def _open(self) -> tuple[Service, LoadedModel]:
        self._loop.check()
        assert self._parts  # they go when it is closed
        return self._parts
