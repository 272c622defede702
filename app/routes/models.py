"""GET /models: the versions there are, and what the service is doing with them."""

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from chromaserve.store.contract import Postprocess

from ..problems import without_folders
from ..settings import Settings
from .dependencies import AnyService
from .openapi import problems

router = APIRouter(tags=["models"])


class Version(BaseModel):
    """One version on disk."""

    version: int
    loaded: bool
    default: Annotated[bool, Field(description="Used where a request names none.")]
    created: str | None = None
    licence: str | None = None
    attribution: str | None = None
    default_vividness: float | None = None
    default_postprocess: Postprocess | None = None
    metrics: dict[str, Any] | None = None
    problem: Annotated[str | None, Field(description="Why it cannot be used.")] = None


class Load(BaseModel):
    """Counts since the start, and what is in memory now."""

    photos: Annotated[int, Field(description="Looks at photos that went through the model.")]
    batches: int
    largest_batch: int
    failed_batches: int
    waiting: Annotated[int, Field(description="Looks at photos that wait for the model.")]
    accepted: Annotated[int, Field(description="Photos accepted and not yet answered.")]
    memory_mb: Annotated[float, Field(description="Accounted to photos in work, in MiB.")]
    memory_peak_mb: float
    memory_bound_mb: float
    uploads_mb: Annotated[float, Field(description="Accounted to request bodies, in MiB.")]
    uploads_peak_mb: float
    uploads_bound_mb: float


class Limits(BaseModel):
    """What a request may hold; more is refused with 413."""

    max_upload_bytes: Annotated[int, Field(description="Bytes of a request body.")]
    max_photos: Annotated[int, Field(description="Photos in one request.")]
    max_pixels: Annotated[int, Field(description="Pixels of one photo.")]
    jobs_photos: Annotated[
        int | None, Field(description="Photos in one job; null where the service keeps no jobs.")
    ]
    max_side: Annotated[int, Field(description="Pixels of a photo's longer side.")]


class Models(BaseModel):
    """Models, device, limits and load."""

    model_config = ConfigDict(protected_namespaces=())

    engine: Annotated[
        str | None, Field(description="savedmodel or ncnn; null while the model loads.")
    ]
    device: Annotated[str | None, Field(description="null while the model loads.")]
    max_batch: int | None
    models: list[Version]
    limits: Limits
    load: Load


class Reloaded(BaseModel):
    """Which version requests get that name none."""

    version: int
    changed: Annotated[bool, Field(description="Another one than before.")]


@router.post(
    "/models/reload",
    summary="Serve a newly published version",
    responses=problems(404, 500, 503),
)
async def reload_models(service: AnyService) -> Reloaded:
    """Load the version that the settings name, if another one is served, and switch to it.

    Where they say `latest` that is the newest on disk. It is checked and warmed up first; requests
    in work end with the version that they began with. One that cannot be used changes nothing.
    """
    before = service.loaded()  # which may have failed: another one is what helps
    model = await service.reload_everywhere()
    return Reloaded(version=model.version, changed=model.version != before.version)


@router.get("/models", summary="Model versions, device, limits and load")
async def list_models(service: AnyService) -> Models:
    """List the versions on disk, which are loaded, where they run, what a request may hold, and how
    busy the service is."""
    default = service.pipeline.models.default
    loaded = {model.version for model in service.pipeline.models.loaded}
    listing = await run_in_threadpool(service.pipeline.models.listing)
    versions = []
    for number, description, problem in listing:
        row = Version(
            version=number,
            loaded=number in loaded,
            default=default is not None and number == default.version,
            problem=without_folders(problem) if problem else None,
        )
        if description:
            row.created = description.created.isoformat()
            row.licence = description.licence
            row.attribution = description.attribution
            row.default_vividness = description.default_vividness
            row.default_postprocess = description.postprocess
            row.metrics = description.metrics
        versions.append(row)
    return Models(
        engine=default.engine.name if default else None,
        device=default.engine.device if default else None,
        max_batch=default.engine.max_batch if default else None,
        models=versions,
        limits=_limits(service.settings),
        load=_load(service),
    )


def _limits(settings: Settings) -> Limits:
    limits = Limits.model_validate(settings, from_attributes=True)
    return limits if settings.jobs else limits.model_copy(update={"jobs_photos": None})


def _load(service: AnyService) -> Load:
    pipeline = service.pipeline
    batcher, memory, uploads = pipeline.batcher, pipeline.memory, pipeline.uploads
    done = batcher.statistics
    return Load(
        photos=done.photos,
        batches=done.batches,
        largest_batch=done.largest_batch,
        failed_batches=done.failed_batches,
        waiting=batcher.waiting,
        accepted=pipeline.backlog.photos,
        memory_mb=round(memory.used / 2**20, 1),
        memory_peak_mb=round(memory.peak / 2**20, 1),
        memory_bound_mb=round(memory.total / 2**20, 1),
        uploads_mb=round(uploads.used / 2**20, 1),
        uploads_peak_mb=round(uploads.peak / 2**20, 1),
        uploads_bound_mb=round(uploads.total / 2**20, 1),
    )
