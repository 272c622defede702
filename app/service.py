"""The running service: the pipeline, what it tells of itself, and whether it takes photos."""

import asyncio
import logging
import math
import signal
import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from fastapi.concurrency import run_in_threadpool

from chromaserve.color.lab import prepare_gamut
from chromaserve.errors import Busy, NotReady
from chromaserve.pipeline.models import LoadedModel
from chromaserve.pipeline.pipeline import Pipeline
from chromaserve.pipeline.rehearsal import rehearse

from .arrivals import Arrivals
from .departures import Departures
from .metrics import Metrics
from .settings import Settings
from .watchdog import Watchdog, on_own_thread
from .worker import Worker

if TYPE_CHECKING:
    from .jobs.jobs import Jobs

log = logging.getLogger("chromaserve")

_TELL_S = 0.1
_LEAST_STAY_S = 10.0
"""From one load that takes another version's place to the next: loading is not all that is done."""


class Service:
    """What routes work with; made once, started and closed by the application's lifespan."""

    def __init__(self, settings: Settings, worker: Worker | None = None) -> None:
        """Nothing runs yet; `load` brings the model.

        Args:
            settings: this process's.
            worker: what it is, where it is one of several.
        """
        self.settings = settings
        self._worker = worker
        self.metrics = Metrics(self._gauges, worker)
        self.pipeline = Pipeline(settings, self.metrics)
        self.arrivals = Arrivals(settings)
        self.departures = Departures(self.pipeline.memory, settings.photo_timeout_s)
        hang_s = min(settings.engine_timeout_s, settings.photo_timeout_s)
        self.watchdog = Watchdog(self.pipeline, hang_s)
        self._loading: tuple[int, asyncio.Task[LoadedModel]] | None = None
        self._loaded_at = -math.inf
        self.jobs: Jobs | None = None
        """Where the settings name a folder for them."""
        self.draining = False
        self._prepared = False
        self.failure: Exception | None = None

    def ready(self) -> LoadedModel:
        """The default model, where photos are taken.

        Raises:
            NotReady: as `loaded`, or it has failed.
        """
        if self.watchdog.broken:
            raise NotReady("The model has failed and is being loaded anew. Try again shortly.")
        return self.loaded()

    def loaded(self) -> LoadedModel:
        """The default model, whether it answers or not.

        Raises:
            NotReady: it is still loading, could not be loaded, or the service is shutting down.
        """
        if self.draining:
            raise NotReady("The service is shutting down. Send the request again shortly.")
        if self.failure:
            raise NotReady("The model could not be loaded; the service is ending. See its log.")
        model = self.pipeline.models.default
        if model is None or not self._prepared:
            raise NotReady("The model is still loading. Try again in a few seconds.")
        return model

    @property
    def takes_photos(self) -> bool:
        """Whether `ready` has an answer."""
        return (
            self._prepared and not self.draining and not self.failure and not self.watchdog.broken
        )

    async def load(self) -> None:
        """Load and warm up the default model in a thread; a failure is kept in `failure`."""
        start = time.perf_counter()
        try:
            version = self._worker.version if self._worker else None
            load = partial(self.pipeline.models.load_default, version)
            # The first photo would wait for this, and for what FastAPI's threads begin with.
            prepared = run_in_threadpool(prepare_gamut)
            model, _ = await asyncio.gather(on_own_thread(load, "loading"), prepared)
            # Else whatever comes at once would be accepted, however long it takes.
            rehearsal = await on_own_thread(partial(rehearse, model, self.settings), "rehearsing")
            self.pipeline.estimate.note(*rehearsal)
            self._prepared = True
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
        yield "ready", "1 while photos are taken.", {}, float(self.takes_photos)
        yield "queue_photos", "Looks that wait for the model.", {}, pipeline.batcher.waiting
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
        if self.jobs:
            yield "job_photos", "Photos of jobs that are not done.", {}, self.jobs.waiting
            yield (
                "job_bytes",
                "Bytes on disk of jobs, with what is reserved for results.",
                {},
                self.jobs.held,
            )
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

    async def model_for(self, selector: str | None) -> LoadedModel:
        """The version that a request names, or the default; loaded where it is not in memory.

        One version is loaded at a time, once for all who wait for it.

        Raises:
            ModelNotFound, ModelStoreError: as `Models.get`.
            Busy: another version is being loaded, or was a moment ago.
        """
        models = self.pipeline.models
        if selector is None and models.default:
            return models.default
        found = await asyncio.to_thread(models.store.resolve, selector or "latest")
        number = found.version
        if number in {model.version for model in models.loaded}:
            return await asyncio.to_thread(models.get, str(number))
        if self._loading and not self._loading[1].done():
            if self._loading[0] != number:
                raise Busy("Another version of the model is being loaded. Try again shortly.")
        else:
            full = len(models.loaded) >= self.settings.max_loaded_models
            if full and time.monotonic() - self._loaded_at < _LEAST_STAY_S:
                raise Busy(
                    "Versions of the model take each other's place in memory already. Leave"
                    " `model` out, or send the request again shortly."
                )
            self._loaded_at = time.monotonic()
            work = asyncio.to_thread(models.get, str(number))
            self._loading = number, asyncio.create_task(work)
        return await asyncio.shield(self._loading[1])

    async def reload(self, *, again: bool = True) -> LoadedModel:
        """Serve what was published since; see `Models.reload`, whose errors pass."""
        return await asyncio.to_thread(self.pipeline.models.reload, again=again)

    async def reload_everywhere(self) -> LoadedModel:
        """The same here, and where that is possible by all other workers, before this returns."""
        model = await self.reload()
        if self._worker:
            await self._worker.reload_others()
        return model

    async def serve_beside_others(self, worker: Worker) -> None:
        """Be heard of, and reload when another worker did, for ever."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._be_heard(worker))
            both.create_task(self._follow_others(worker))

    async def _be_heard(self, worker: Worker) -> None:
        while True:
            default = self.pipeline.models.default
            serves = default.version if default and self.takes_photos else None
            worker.tell(serves, self._gauges())
            await asyncio.sleep(_TELL_S)

    async def _follow_others(self, worker: Worker) -> None:
        wanted = asyncio.Event()
        reloads = 0

        def hear() -> None:
            nonlocal reloads
            if heard := worker.hear():
                reloads += heard
                wanted.set()

        asyncio.get_running_loop().add_reader(worker.line.fileno(), hear)
        while True:
            await wanted.wait()
            wanted.clear()
            said, reloads = reloads, 0  # one does for all that were wanted by now
            try:
                await self.reload()
            except Exception as error:
                log.critical("cannot serve what other workers do: %s", error)
                signal.raise_signal(signal.SIGTERM)  # another takes the place, with that version
            for _ in range(said):
                worker.say("reloaded")

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
