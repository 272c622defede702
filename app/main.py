"""The application: routes, and a lifespan that loads, warms up, serves and drains."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import Depends, FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from chromaserve.loop_thread import cancel
from chromaserve.pipeline.memory import return_at_rest

from . import problems as problem_responses
from . import tracing
from .access_log import WATCHED, Observation
from .auth import Keys, install_inner, install_outer
from .jobs.jobs import Jobs
from .limits import Connections
from .methods import Heads
from .problems import CLIENT_CLOSED
from .ranges import Ranges
from .root_path import Redirects
from .routes import (
    colorize,
    health,
    jobs,
    metrics,
    models,
    openapi,
    page,
    problems,
    swagger,
    v2,
    v2_infer,
)
from .routes.dependencies import whole_path
from .service import Service
from .settings import Settings
from .tracing import TraceIds
from .worker import Worker

log = logging.getLogger("chromaserve")

_CLOSE_S = 1.0
"""For a model that still works on photos that nobody waits for."""
_LOOK_S = 0.05


def create_app(settings: Settings | None = None, worker: Worker | None = None) -> FastAPI:
    """Build the service; its model is loaded when it starts, while /healthz answers already.

    Args:
        settings: by default those of the environment.
        worker: what the process is, where it is one of several.

    Raises:
        KeyFileError: the file of API keys cannot be used.
        JobsUnusable: a setting of jobs cannot be.
    """
    settings = settings or Settings()
    keys = _keys(settings) if settings.wants_keys else None
    service = Service(settings, worker)
    if settings.jobs:
        service.jobs = Jobs(service, settings.jobs)
    traces = tracing.start(settings, _version())
    if traces:
        service.pipeline.trace = traces.photo

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(_load_or_end(service)),
            asyncio.create_task(service.watchdog.watch()),
            asyncio.create_task(service.departures.watch()),
            asyncio.create_task(return_at_rest(service.pipeline.memory, service.pipeline.uploads)),
        ]
        if service.jobs:
            tasks += map(asyncio.create_task, service.jobs.work())
        if worker:
            tasks.append(asyncio.create_task(service.serve_beside_others(worker)))
            while worker.waits and not (service.takes_photos or service.draining):
                await asyncio.sleep(_LOOK_S)
        try:
            yield
        except asyncio.CancelledError:  # a forced end, which waits for nothing
            return
        await cancel(tasks)
        if service.jobs:
            await service.jobs.close()
        # Requests are answered by now: the server calls this when the last connection is closed.
        await asyncio.to_thread(service.pipeline.close, _CLOSE_S)
        if traces:
            await asyncio.to_thread(traces.close)
        log.info("drained")

    app = FastAPI(
        title="chromaserve",
        summary="Grey photos in, colour photos out, luminance untouched.",
        version=_version(),
        lifespan=lifespan,
        dependencies=[Depends(whole_path)],
        docs_url=None,  # FastAPI's page has the browser ask other hosts; ours is app.routes.swagger
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        telemetry=traces.for_fastapi(WATCHED) if traces else None,
        openapi_tags=[
            {"name": name}
            for name in ("colorize", "jobs", "models", "Open Inference Protocol", "health")
        ],
    )
    app.state.service = service
    for module in (colorize, jobs, models, v2, v2_infer, health, metrics, problems, page, swagger):
        app.include_router(module.router)
    app.add_middleware(Heads)
    app.add_middleware(Ranges)
    app.add_middleware(Redirects)
    install_inner(app, settings, keys, worker.folder if worker else None)
    app.add_middleware(Connections, service=service)
    install_outer(app, settings)
    app.add_middleware(Observation, metrics=service.metrics)
    if traces:
        app.add_middleware(TraceIds, tracing=traces)  # the outermost
    problem_responses.hide(service.pipeline.models.store.folder.parent)
    problem_responses.install(app, lambda: service.pipeline.backlog.retry_after_s)
    more = [openapi.describe_keys] if keys else []
    more += [openapi.describe_rate] if settings.rate_limit or settings.daily_limit else []
    openapi.describe(app, *more)
    app.add_exception_handler(ClientDisconnect, _client_gone)
    return app


async def _load_or_end(service: Service) -> None:
    """Load the model; a service that cannot colorize ends, by the signal that ends it anyway."""
    try:
        await service.load()
        if service.settings.reload_s:
            await service.follow_store()
    except Exception as error:
        log.critical("cannot serve: %s", " ".join(str(error).split()))
        log.debug("loading failed", exc_info=True)
        signal.raise_signal(signal.SIGTERM)


def _keys(settings: Settings) -> Keys:
    own, admin = (
        [key.get_secret_value() for key in keys or ()]
        for keys in (settings.api_keys, settings.admin_keys)
    )
    return Keys(own, settings.api_keys_file, admin)


async def _client_gone(request: Request, error: Exception) -> Response:  # noqa: ARG001 - a handler
    return Response(status_code=CLIENT_CLOSED)


def _version() -> str:
    try:
        return version("chromaserve")
    except PackageNotFoundError:
        return "0"
