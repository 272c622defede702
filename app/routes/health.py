"""GET /healthz and /readyz, for whoever watches over the process."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from .dependencies import AnyService
from .openapi import problems

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    model_config = ConfigDict(json_schema_extra={"example": {"status": "alive"}})

    status: str = "alive"


class Ready(BaseModel):
    """The model is loaded and warm."""

    model_config = ConfigDict(
        protected_namespaces=(),
        json_schema_extra={
            "example": {"status": "ready", "model_version": 1, "device": "CPU (8 threads)"}
        },
    )

    status: str = "ready"
    model_version: int
    device: str


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> Alive:
    """Answer as long as the process does; a failure means: restart it."""
    return Alive()


@router.get("/readyz", summary="Can it colorize?", responses=problems(503))
async def readyz(service: AnyService) -> Ready:
    """Answer 200 while photos are taken: not before the model is warm, not during shutdown."""
    model = service.ready()
    return Ready(model_version=model.version, device=model.engine.device)
