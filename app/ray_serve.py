"""The service as a Ray Serve application: the same app, as many times as there is work for.

    serve run deploy/ray/serve.yaml

Ray Serve starts replicas, sends each its share of the requests, replaces those that fail and
changes their number with the load. What a replica does is the service's own: it batches, bounds
its memory and refuses what would wait too long.
"""

import math
from pathlib import Path
from typing import Any, Literal, Self

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, model_validator
from ray import serve
from ray.serve import Application, Deployment
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .logs import configure_logging
from .main import create_app
from .service import Service
from .settings import Settings

CPU_BATCH, GPU_BATCH = 8, 32
_SERVERS = frozenset(
    (
        "host",
        "port",
        "workers",
        "root_path",
        "forwarded_allow_ips",
        "max_connections",
        "head_timeout_s",
        "keep_alive_s",
    )
)
"""Settings of an HTTP server and processes of the service's own, for which Ray has others."""


class Arguments(BaseModel):
    """What `args` of the configuration file may hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model_root: Path | None = Field(
        default=None, description="Model store, at this path on every machine; default: bundled."
    )
    engine: Literal["auto", "savedmodel", "ncnn"] | None = Field(
        default=None, description="Default: as the environment says."
    )
    num_cpus: float = Field(default=1, gt=0, description="Cores of a replica, and its threads.")
    num_gpus: float = Field(
        default=0, ge=0, description="GPUs of a replica; 0.5: two replicas share one."
    )
    min_replicas: int = Field(default=1, ge=0)
    max_replicas: int = Field(default=4, ge=1)
    target_ongoing_requests: float | None = Field(
        default=None,
        gt=0,
        description="Requests a replica for which their number is chosen; default: two batches.",
    )
    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="Other settings of the service by their names, such as max_pixels.",
    )

    @model_validator(mode="after")
    def _service_accepts(self) -> Self:
        if servers := _SERVERS.intersection(self.settings):
            raise ValueError(
                f"{', '.join(sorted(servers))}: under Ray Serve its own http_options,"
                " route_prefix and min_replicas stand for these"
            )
        self.service_settings()  # here, rather than in every replica
        return self

    def service_settings(self) -> Settings:
        """The service's settings: those of the environment where nothing else is said.

        Raises:
            ValidationError: there is no setting of a name, or its value is out of range.
        """
        threads = math.ceil(self.num_cpus)
        chosen: dict[str, Any] = {
            "device": "gpu" if self.num_gpus else "cpu",
            "engine_threads": threads,
            "photo_threads": threads,
        }
        if self.engine:
            chosen["engine"] = self.engine
        if self.model_root:
            chosen["model_root"] = self.model_root
        return Settings(**(chosen | self.settings))


class Picklable:
    """An ASGI layer whose bodies are bytes: views of them cannot go to another process."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def sending(message: Message) -> None:
            if isinstance(message.get("body"), memoryview):
                message = {**message, "body": bytes(message["body"])}
            await send(message)

        await self._app(scope, receive, sending)


@serve.deployment(name="chromaserve")
@serve.ingress()
class Replica:
    """One copy of the service, in a process of its own."""

    def __init__(self, arguments: Arguments) -> None:
        self._settings = arguments.service_settings()

    async def __serve_build_asgi_app__(self) -> FastAPI:
        """The application with its model loaded: requests come only then.

        Raises:
            ModelStoreError: the model cannot be used; Ray Serve tells of it and tries again.
        """
        configure_logging(self._settings)
        app = create_app(self._settings)
        app.add_middleware(Picklable)
        self._service: Service = app.state.service
        await self._service.load()
        return app

    async def check_health(self) -> None:
        """What /readyz answers; Ray Serve replaces a replica where this raises.

        Raises:
            NotReady: it takes no photos.
        """
        self._service.ready()


def build(arguments: Arguments) -> Application:
    """The application that a configuration file names, by way of `chromaserve.cluster.serving`.

    Args:
        arguments: the file's `args`.
    """
    settings = arguments.service_settings()
    batch = settings.max_batch or (GPU_BATCH if arguments.num_gpus else CPU_BATCH)
    at_once = min(3 * batch, settings.max_queue)
    replicas: Deployment = Replica  # what the decorator made of it
    return replicas.options(
        ray_actor_options={"num_cpus": arguments.num_cpus, "num_gpus": arguments.num_gpus},
        autoscaling_config={
            "min_replicas": arguments.min_replicas,
            "max_replicas": arguments.max_replicas,
            "target_ongoing_requests": arguments.target_ongoing_requests or 2 * batch,
        },
        # A batch that runs, one that waits, and one that is decoded or encoded. No more: a proxy
        # sends to its own machine's replicas until they have this many, then to the others.
        max_ongoing_requests=at_once,
        # By proxy, for all replicas; what comes beyond is told to come again.
        max_queued_requests=settings.max_queue,
        backpressure_config={"status_code": 503, "retry_after_s": math.ceil(settings.max_wait_s)},
        graceful_shutdown_timeout_s=settings.shutdown_timeout_s,
        health_check_period_s=5,
        health_check_timeout_s=10,
    ).bind(arguments)
