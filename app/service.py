"""The running service: the pipeline, what it tells of itself, and whether it takes photos."""

import asyncio
import logging
import time
from collections.abc import Iterator

from chromaserve.errors import NotReady
from chromaserve.pipeline.models import LoadedModel
from chromaserve.pipeline.pipeline import Pipeline

from .metrics import Metrics
from .settings import Settings

log = logging.getLogger("chromaserve")


class Service:
    """What routes work with; made once, started and closed by the application's lifespan."""

    def __init__(self, settings: Settings) -> None:
        """Nothing runs yet; `load` brings the model."""
        self.settings = settings
        self.metrics = Metrics(self._gauges)
        self.pipeline = Pipeline(settings, self.metrics)
        self.draining = False
        self.failure: Exception | None = None

    def ready(self) -> LoadedModel:
        """The default model, where photos are taken.

        Raises:
            NotReady: it is still loading, could not be loaded, or the service is shutting down.
        """
        if self.draining:
            raise NotReady("The service is shutting down. Send the request again shortly.")
        if self.failure:
            raise NotReady("The model could not be loaded; the service is ending. See its log.")
        model = self.pipeline.models.default
        if model is None:
            raise NotReady("The model is still loading. Try again in a few seconds.")
        return model

    async def load(self) -> None:
        """Load and warm up the default model in a thread; a failure is kept in `failure`."""
        start = time.perf_counter()
        try:
            model = await asyncio.to_thread(self.pipeline.models.load_default)
        except Exception as error:
            self.failure = error
            raise
        log.info(
            "ready: model %d by %s on %s after %.1f s",
            *(model.version, model.engine.name, model.engine.device, time.perf_counter() - start),
        )

    def _gauges(self) -> Iterator[tuple[str, str, dict[str, str], float]]:
        """What `Metrics` tells of the present."""
        pipeline = self.pipeline
        default = pipeline.models.default
        ready = default is not None and not self.draining
        yield "ready", "1 while photos are taken.", {}, float(ready)
        yield "queue_photos", "Photos that wait for the model.", {}, pipeline.batcher.waiting
        yield (
            "accepted_photos",
            "Photos accepted and not yet answered.",
            {},
            pipeline.backlog.photos,
        )
        yield (
            "wait_seconds",
            "Estimated wait of a photo that came now.",
            {},
            pipeline.backlog.wait_s(),
        )
        for use, budget in (("photos", pipeline.memory), ("uploads", pipeline.uploads)):
            labels = {"use": use}
            yield "memory_bytes", "Bytes accounted for, by use.", labels, budget.used
            yield "memory_bound_bytes", "Bytes that there are, by use.", labels, budget.total
        cache = pipeline.cache
        yield "cache_bytes", "Bytes of the model's answers that are kept.", {}, cache.bytes
        for model in pipeline.models.loaded:
            told = {
                "version": str(model.version),
                "engine": model.engine.name,
                "device": model.engine.device,
            }
            yield (
                "model_loaded",
                "Versions in memory; 1 is the default.",
                told,
                float(model is default),
            )

    async def reload(self, *, again: bool = True) -> LoadedModel:
        """Serve what was published since; see `Models.reload`, whose errors pass."""
        return await asyncio.to_thread(self.pipeline.models.reload, again=again)

    async def follow_store(self) -> None:
        """Reload every `reload_s` seconds, for ever; what stands in the way is told once.

        Whatever it is, the version that serves goes on serving.
        """
        told = ""
        while True:
            await asyncio.sleep(self.settings.reload_s)
            try:
                await self.reload(again=False)
                told = ""
            except Exception as error:
                if str(error) != told:
                    log.error("the newest model cannot be served: %s", error)
                told = str(error)

    def upload_charge(self, announced: int | None) -> int:
        """Bytes to account for while a body is read and taken apart: it is then there twice."""
        settings = self.settings
        length = settings.max_upload_bytes if announced is None else announced
        # The least charge bounds how many bodies are read at once.
        return max(2 * length, settings.upload_memory_bytes // settings.max_uploads)
