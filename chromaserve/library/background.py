"""The service's parts without HTTP: a model, and its pipeline on an event loop in a thread."""

import logging
import os
from typing import Any

from pydantic import ValidationError

from chromaserve.errors import invalid_options
from chromaserve.loop_thread import LoopThread
from chromaserve.pipeline.memory import return_freed
from chromaserve.pipeline.models import LoadedModel
from chromaserve.pipeline.pipeline import Pipeline
from chromaserve.settings import PipelineSettings

# A library's records are for the program's handlers; without any they are not for its output.
logging.getLogger("chromaserve").addHandler(logging.NullHandler())

# A program's own photos, and as many at once as it likes: wide bounds, but bounds.
_LOCAL: dict[str, Any] = {
    "max_pixels": 200_000_000,
    "max_queue": 4096,
    "photo_timeout_s": 600,
    "max_wait_s": 600,
}


_ARGUMENTS = {"model_version": "model", "engine_threads": "threads", "photo_timeout_s": "timeout_s"}
"""Settings that `Colorizer` and the command call otherwise."""


def local_settings(**chosen: Any) -> PipelineSettings:  # noqa: ANN401 - fields of PipelineSettings
    """Settings for work in this process: those given, else the environment's, else wide bounds.

    Args:
        chosen: fields of `PipelineSettings`; None is not chosen.

    Raises:
        InvalidOptions: a setting is wrong, here or in the environment.
    """
    given = {name for name, value in chosen.items() if value is not None}

    def named(setting: int | str) -> str:
        """As whoever gave it calls it."""
        name = str(setting)
        return _ARGUMENTS.get(name, name) if name in given else f"CHROMASERVE_{name.upper()}"

    wide = {k: v for k, v in _LOCAL.items() if f"CHROMASERVE_{k.upper()}" not in os.environ}
    try:
        return PipelineSettings(**wide | {name: chosen[name] for name in given})
    except ValidationError as error:
        faults = [{**each, "loc": tuple(map(named, each["loc"]))} for each in error.errors()]
        raise invalid_options(faults) from error


class Background:
    """A loaded model and a running pipeline. Its methods may be called from any thread."""

    def __init__(self, settings: PipelineSettings) -> None:
        """Load the model; blocks for seconds.

        Raises:
            ModelStoreError: it is missing, damaged, or cannot run here.
        """
        pipeline = Pipeline(settings)
        model = pipeline.models.load_default()
        self._parts: tuple[Pipeline, LoadedModel] | None = pipeline, model
        self._loop = LoopThread("Colorizer")
        self.start = self._loop.start
        """Run a coroutine on the loop, as `LoopThread.start`."""

    def check(self) -> None:
        """Raise RuntimeError where this is closed, or was made before this process was forked."""
        self._loop.check()

    @property
    def pipeline(self) -> Pipeline:
        """The way of its photos.

        Raises:
            RuntimeError: it is closed, or was made before this process was forked.
        """
        return self._open()[0]

    @property
    def model(self) -> LoadedModel:
        """The model that colorizes; errors as those of `pipeline`."""
        return self._open()[1]

    def close(self) -> None:
        """Cancel what runs, end the threads and free the memory; harmless when that is done."""
        if self._loop.close() and self._parts:
            (pipeline, _), self._parts = self._parts, None
            pipeline.close()
            del pipeline, _
            return_freed()

    def _open(self) -> tuple[Pipeline, LoadedModel]:
        self._loop.check()
        assert self._parts  # they go when it is closed
        return self._parts
