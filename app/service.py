"""The running service: its settings, models, pipeline and state."""

import asyncio
import logging
import time
from collections.abc import Iterator

from app.admission import Budget
from app.backlog import Backlog
from app.errors import NotReady
from app.metrics import Metrics
from app.models import LoadedModel, Models
from app.pipeline import Pipeline
from app.settings import Settings

log = logging.getLogger("app")


class Service:
    """What routes work with; made once, started and closed by the application's lifespan."""

    def __init__(self, settings: Settings) -> None:
        """Nothing runs yet; `load` brings the model."""
        self.settings = settings
        self.models = Models(settings)
        self.metrics = Metrics(self._gauges)
        self.pipeline = Pipeline(settings, self.metrics)
        self.backlog = Backlog(
            self.pipeline.pace, max_photos=settings.max_queue, max_wait_s=settings.max_wait_s
        )
        self.uploads = Budget(
            settings.upload_memory_bytes,
            max_waiting=settings.max_queue,
            timeout_s=settings.max_wait_s,
        )
        self.draining = False
        self.failure: Exception | None = None

    @property
    def ready(self) -> LoadedModel:
        """The default model.

        Raises:
            NotReady: it is still loading, could not be loaded, or the service is shutting down.
        """
        if self.draining:
            raise NotReady("The service is shutting down. Send the request again shortly.")
        if self.failure:
            raise NotReady("The model could not be loaded; the service is ending. See its log.")
        if self.models.default is None:
            raise NotReady("The model is still loading. Try again in a few seconds.")
        return self.models.default

    async def load(self) -> None:
        """Load and warm up the default model in a thread; a failure is kept in `failure`."""
        start = time.perf_counter()
        try:
            model = await asyncio.to_thread(self.models.load_default)
        except Exception as error:
            self.failure = error
            raise
        log.info(
            "ready: model %d by %s on %s after %.1f s",
            *(model.version, model.engine.name, model.engine.device, time.perf_counter() - start),
        )

    def _gauges(self) -> Iterator[tuple[str, str, dict[str, str], float]]:
        """What `Metrics` tells of the present."""
        ready = self.models.default is not None and not self.draining
        yield "ready", "1 while photos are taken.", {}, float(ready)
        yield "queue_photos", "Photos that wait for the model.", {}, self.pipeline.batcher.waiting
        yield "accepted_photos", "Photos accepted and not yet answered.", {}, self.backlog.photos
        yield "wait_seconds", "Estimated wait of a photo that came now.", {}, self.backlog.wait_s()
        for use, budget in (("photos", self.pipeline.memory), ("uploads", self.uploads)):
            labels = {"use": use}
            yield "memory_bytes", "Bytes accounted for, by use.", labels, budget.used
            yield "memory_bound_bytes", "Bytes that there are, by use.", labels, budget.total
        answers = self.pipeline.answers
        yield "cache_bytes", "Bytes of the model's answers that are kept.", {}, answers.bytes
        for model in self.models.loaded:
            told = {
                "version": str(model.version),
                "engine": model.engine.name,
                "device": model.engine.device,
            }
            yield (
                "model_loaded",
                "Versions in memory; 1 is the default.",
                told,
                float(model is self.models.default),
            )

    async def reload(self, *, again: bool = True) -> LoadedModel:
        """Serve what was published since; see `Models.reload`, whose errors pass."""
        return await asyncio.to_thread(self.models.reload, again=again)

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
