"""What clients are told of each photo of a request: ZIP's manifest.json, and the JSON response."""

from typing import Annotated

from pydantic import BaseModel, Field

from chromaserve.photos.formats import MEDIA_TYPES
from chromaserve.pipeline.body import Upload
from chromaserve.pipeline.options import Order
from chromaserve.pipeline.pipeline import Colored
from chromaserve.store.contract import Postprocess

from .problems import Problem, problem


class PhotoResult(BaseModel):
    """What became of one photo of a request."""

    index: Annotated[int, Field(description="Position in the request, from 0.")]
    input: Annotated[str | None, Field(description="The name that the client gave.")] = None
    output: Annotated[str | None, Field(description="Name of the result, if there is one.")] = None
    status: Annotated[int, Field(description="200, or the status of the problem.")]
    width: int | None = None
    height: int | None = None
    timings_ms: dict[str, float] | None = None
    problem: Problem | None = None
    image: Annotated[str | None, Field(description="In JSON: the result in base64.")] = None


class Manifest(BaseModel):
    """Every photo of a request, in its order."""

    model_version: int
    vividness: float
    postprocess: Postprocess
    media_type: Annotated[str, Field(description="Encoding of the results.")]
    photos: list[PhotoResult]


def describe(index: int, upload: Upload, name: str, outcome: Colored | Exception) -> PhotoResult:
    """The entry of one photo."""
    if isinstance(outcome, Exception):
        told = problem(outcome)
        return PhotoResult(index=index, input=upload.name, status=told.status, problem=told)
    return PhotoResult(
        index=index,
        input=upload.name,
        output=name,
        status=200,
        width=outcome.width,
        height=outcome.height,
        timings_ms=outcome.timings.milliseconds(),
    )


def manifest(order: Order, results: list[PhotoResult]) -> Manifest:
    """The whole document."""
    return Manifest(
        model_version=order.model.version,
        vividness=order.vividness,
        postprocess=order.postprocess,
        media_type=MEDIA_TYPES[order.format],
        photos=results,
    )
