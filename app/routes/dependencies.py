"""What routes work with: the service, as it is or only while it takes photos."""

from typing import Annotated

from fastapi import Depends, HTTPException, Request

from ..access_log import KEY_NAME
from ..service import Service


# Coroutines, as FastAPI has threads of its own for functions.
async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _ready(request: Request) -> Service:
    service = await _service(request)
    service.ready()
    return service


async def _with_room(request: Request) -> Service:
    service = await _ready(request)
    service.pipeline.backlog.check()
    return service


AnyService = Annotated[Service, Depends(_service)]
"""In whatever state it is."""
ReadyService = Annotated[Service, Depends(_ready)]
"""That takes photos; NotReady (503) where it does not."""
ServiceWithRoom = Annotated[Service, Depends(_with_room)]
"""That takes one more photo; Busy (503) where it does not, before anything else is looked at."""


async def whole_path(request: Request) -> None:
    """Have a path with a line feed behind it lead nowhere.

    Routes take it for the path without: what a proxy hides by its name would be had by another.

    Raises:
        HTTPException: 404.
    """
    if request.scope["path"].endswith("\n"):
        raise HTTPException(404)


def caller(request: Request) -> str:
    """Who asks: the name of the key, or the address where there are no keys."""
    host = request.client.host if request.client else ""
    return str(request.scope.get(KEY_NAME, host))
