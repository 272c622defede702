"""What routes work with: the service, as it is or only while it takes photos."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from chromaserve.pipeline.models import LoadedModel

from ..service import Service


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _ready(request: Request) -> Service:
    service = _service(request)
    service.ready()
    return service


AnyService = Annotated[Service, Depends(_service)]
"""In whatever state it is."""
ReadyService = Annotated[Service, Depends(_ready)]
"""That takes photos; NotReady (503) where it does not."""


async def model_for(service: Service, selector: str | None) -> LoadedModel:
    """The version that a request names, or the default; loaded where it is not in memory.

    Raises:
        ModelNotFound, ModelStoreError: as `Models.get`.
    """
    models = service.pipeline.models
    if selector is None and models.default:
        return models.default
    return await run_in_threadpool(models.get, selector)
