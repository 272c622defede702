"""/v2: health, metadata and repository of the Open Inference Protocol."""

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field, ValidationError

from chromaserve.errors import NotReady
from chromaserve.store.errors import ModelNotFound

from ..errors import MalformedBody
from ..open_inference.catalogue import EXTENSIONS, MODELS, find
from ..problems import without_folders
from .dependencies import AnyService, ReadyService
from .openapi import problems

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])


class Live(BaseModel):
    """The process answers."""

    live: bool = True


class ServerReady(BaseModel):
    """Requests are taken."""

    ready: bool = True


class ModelReady(BaseModel):
    """A model's version is in memory."""

    name: str
    ready: bool = True


class Server(BaseModel):
    """What serves, and which extensions of the protocol it speaks."""

    name: str
    version: str
    extensions: list[str]


class Tensor(BaseModel):
    """A tensor; -1 in its shape is the number of photos."""

    name: str
    datatype: str
    shape: list[int]


class Model(BaseModel):
    """A model; its first input is required."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[Tensor]
    outputs: list[Tensor]


class Index(BaseModel):
    """Which models to list."""

    ready: Annotated[bool, Field(strict=True)] = False


class Indexed(BaseModel):
    """A version of a model."""

    name: str
    version: str
    state: str
    reason: str


@router.get("", summary="What serves")
async def server_metadata(request: Request) -> Server:
    """Name the server, its version, and the protocol's extensions that it speaks."""
    return Server(name="chromaserve", version=request.app.version, extensions=list(EXTENSIONS))


@router.get("/health/live", summary="Is the process alive?")
async def server_live() -> Live:
    """Answer as long as the process does."""
    return Live()


@router.get("/health/ready", summary="Can it infer?", responses=problems(503))
async def server_ready(_: ReadyService) -> ServerReady:
    """Answer 200 while requests are taken, as /readyz."""
    return ServerReady()


@router.get("/models/{name}", summary="A model's tensors", responses=problems(404))
async def model_metadata(service: AnyService, name: str) -> Model:
    """Tell a model's versions, inputs and outputs, which are the same for every version."""
    model = find(name)
    versions = await run_in_threadpool(service.pipeline.models.store.versions)
    return Model.model_validate(model.metadata(versions))


@router.get(
    "/models/{name}/versions/{version}", summary="A version's tensors", responses=problems(404)
)
async def version_metadata(service: AnyService, name: str, version: str) -> Model:
    """Tell what `/v2/models/{name}` does, of a version that there is."""
    model = await model_metadata(service, name)
    known([int(each) for each in model.versions], version)
    return model


@router.get("/models/{name}/ready", summary="Is a model ready?", responses=problems(404, 503))
async def model_ready(service: AnyService, name: str) -> ModelReady:
    """Answer 200 where the default version is in memory."""
    return await _ready(service, name, None)


@router.get(
    "/models/{name}/versions/{version}/ready",
    summary="Is a version ready?",
    responses=problems(404, 503),
)
async def version_ready(service: AnyService, name: str, version: str) -> ModelReady:
    """Answer 200 where the version is in memory; one on disk is loaded by its first request."""
    return await _ready(service, name, version)


async def _ready(service: AnyService, name: str, version: str | None) -> ModelReady:
    model = find(name)
    default = service.ready()
    versions = await run_in_threadpool(service.pipeline.models.store.versions)
    asked = default.version if version is None else known(versions, version)
    if asked not in {each.version for each in service.pipeline.models.loaded}:
        raise NotReady(f"Version {asked} is on disk, and is loaded by the first request for it.")
    return ModelReady(name=model.name)


@router.post(
    "/repository/index",
    summary="Models and versions",
    responses=problems(400, 413),
    openapi_extra={
        "requestBody": {"content": {"application/json": {"schema": Index.model_json_schema()}}}
    },
)
async def repository_index(request: Request, service: AnyService) -> list[Indexed]:
    """List every version of both models, and whether it is in memory."""
    wanted = _read_index(await request.body())
    loaded = {each.version for each in service.pipeline.models.loaded}
    listing = await run_in_threadpool(service.pipeline.models.listing)
    return [
        Indexed(
            name=name,
            version=str(version),
            state="READY" if version in loaded else "UNAVAILABLE",
            reason=without_folders(problem or ""),
        )
        for name in MODELS
        for version, _, problem in listing
        if version in loaded or not wanted.ready
    ]


@router.post(
    "/repository/models/{name}/load",
    summary="Serve a newly published version",
    responses=problems(404, 500, 503),
)
async def repository_load(service: AnyService, name: str) -> ModelReady:
    """Load what was published since and switch to it, for both models: as POST /models/reload."""
    model = find(name)
    service.loaded()
    await service.reload_everywhere()
    return ModelReady(name=model.name)


def _read_index(body: bytes) -> Index:
    try:
        return Index.model_validate_json(body) if body.strip() else Index()
    except ValidationError as error:
        raise MalformedBody('The body is {"ready": true}, {"ready": false}, or empty.') from error


def known(versions: list[int], version: str) -> int:
    """The version's number; ModelNotFound if it is none of these."""
    if version in map(str, versions):
        return int(version)
    raise ModelNotFound(f"There is no version {version[:20]!r}. There are {versions}.")
