"""What clients are told of each photo of a request: ZIP's manifest.json, and the JSON response."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from chromaserve.color.toned import Colour
from chromaserve.photos.formats import MEDIA_TYPES
from chromaserve.pipeline.body import Upload
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.pipeline import Colored
from chromaserve.store.contract import Postprocess

from .problems import Problem, problem


class HintPlace(BaseModel):
    """A place in the upright photo, in pixels from its top left corner."""

    x: float
    y: float


class PhotoResult(BaseModel):
    """What became of one photo of a request."""

    model_config = ConfigDict(protected_namespaces=())

    index: Annotated[
        int,
        Field(
            description="Position among the results, from 0: in the request, where each photo has"
            " one."
        ),
    ]
    input: Annotated[str | None, Field(description="The name that the client gave.")] = None
    output: Annotated[str | None, Field(description="Name of the result, if there is one.")] = None
    status: Annotated[int, Field(description="200, or the status of the problem.")]
    width: int | None = None
    height: int | None = None
    media_type: Annotated[str | None, Field(description="Encoding of the result.")] = None
    colour: Annotated[
        Colour | None,
        Field(description="What the photo was: in colour, grey, or grey with a tone, as sepia."),
    ] = None
    kept: Annotated[
        bool | None, Field(description="Whether it is left as it was, by colour=keep.")
    ] = None
    page: Annotated[
        str | None, Field(description='Of a file with several: which of them, "1 of 3".')
    ] = None
    warnings: Annotated[
        list[str] | None, Field(description="What is missing, or did not go along.")
    ] = None
    confidence: Annotated[
        float | None,
        Field(description="How sure the colours are, 0 to 1, where that is asked for."),
    ] = None
    hint_places: Annotated[
        list[HintPlace] | None,
        Field(description="Where a colour hint would help most, the best place first."),
    ] = None
    timings_ms: dict[str, float] | None = None
    problem: Problem | None = None
    model_version: Annotated[
        int | None, Field(description="Of a photo of a job: the version that made the result.")
    ] = None
    image: Annotated[str | None, Field(description="In JSON: the result in base64.")] = None


class Manifest(BaseModel):
    """Every photo of a request, in its order."""

    model_version: int
    vividness: float
    postprocess: Postprocess
    media_type: Annotated[
        str | None, Field(description="Encoding of all results; null where it is each photo's own.")
    ]
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
        media_type=MEDIA_TYPES[outcome.format],
        **outcome.told.members(),
        timings_ms=outcome.timings.milliseconds(),
    )


def manifest(order: Order, results: list[PhotoResult]) -> Manifest:
    """The whole document."""
    return Manifest(
        model_version=order.model.version,
        vividness=order.vividness,
        postprocess=order.postprocess,
        media_type=None if order.format == "same" else MEDIA_TYPES[order.format],
        photos=results,
    )
