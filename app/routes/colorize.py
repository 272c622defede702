"""POST /colorize: grey photos in, colour photos out."""

from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from chromaserve.errors import InvalidOptions
from chromaserve.pipeline.album import opened_upload, together
from chromaserve.pipeline.body import Body
from chromaserve.pipeline.foreseen import foreseen
from chromaserve.pipeline.hint_photos import of_photos
from chromaserve.pipeline.options import Options
from chromaserve.pipeline.order import Order, format_for
from chromaserve.pipeline.pages import OF_PAGES, has_several
from chromaserve.pipeline.reference import REFERENCE_BYTES, with_upload

from ..errors import AllPhotosFailed
from ..negotiation import Representation, negotiate
from ..options import check_photos, merge
from ..pages import take_apart
from ..problems import problem
from ..requests import PhotoRun, unless_gone
from ..responses import image_response, json_response, zip_response
from ..uploads import announced_length, read_body
from .dependencies import ServiceWithRoom, caller
from .openapi import BINARY, REQUEST_BODY, problems, with_reference

router = APIRouter(tags=["colorize"])

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One photo: the image. Several, or by Accept: a ZIP of images with"
        " manifest.json. By `Accept: application/json` alone, so that programs made from this"
        " document need not expect it: a `Manifest` with images in base64. In both each photo has"
        " its own status.",
        "content": {
            "image/png": BINARY,
            "image/jpeg": BINARY,
            "image/webp": BINARY,
            "image/tiff": BINARY,
            "application/zip": BINARY,
        },
        "headers": {
            "Server-Timing": {
                "description": "Milliseconds by stage, of the first photo where there are several.",
                "schema": {"type": "string"},
                "example": "admission;dur=0.2, decode;dur=8.1, queue;dur=3.0,"
                ' inference;desc="batch=4";dur=61.2, encode;dur=22.9, total;dur=95.6',
            },
            "X-Model-Version": {
                "description": "The version used.",
                "schema": {"type": "integer"},
                "example": "1",
            },
            "X-Photo-Colour": {
                "description": "Of one photo: whether it was in colour, grey, or grey with a tone;"
                " `; kept` where it is left as it was.",
                "schema": {"type": "string"},
                "example": "toned",
            },
            "X-Photo-Confidence": {
                "description": "Of one photo, where `confidence` is asked for: how sure its colours"
                " are, 0 to 1.",
                "schema": {"type": "number"},
                "example": 0.62,
            },
            "X-Hint-Places": {
                "description": "With it: where a colour hint would help most, the best place first,"
                " as x,y in pixels of the upright photo, with spaces between.",
                "schema": {"type": "string"},
                "example": "410,300 96,120.5 600,40",
            },
            "X-Photo-Page": {
                "description": "Of one photo in a file with several: which ones of how many.",
                "schema": {"type": "string"},
                "example": "1 of 3",
            },
            "X-Photo-Warning": {
                "description": "Of one photo: what of it is missing.",
                "schema": {"type": "string"},
                "example": "The file is damaged: about 3% of the pixels are missing.",
            },
        },
    },
    **problems(400, 404, 406, 408, 413, 415, 422, 500, 503, 504),
}


@router.post(
    "/colorize",
    summary="Colorize photos",
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra={"requestBody": with_reference(REQUEST_BODY)},
)
async def colorize(
    request: Request,
    service: ServiceWithRoom,
    options: Annotated[Options, Query()],  # noqa: ARG001 - checked early; merged below
) -> Response:
    """Give photos colours, at their own size and with their luminance untouched.

    Send photos as the multipart field `file`, once or many times, or one as a bare `image/*` body,
    or as JSON, in base64 or data: URLs: `{"file": "data:image/jpeg;base64,…"}`, or a list of such.
    JPEG, PNG, WebP, TIFF, HEIC, AVIF, BMP, GIF, JPEG 2000 and PNM are taken, 8 to 16 bits a
    channel; a colour photo is recoloured from its luminance, and the answer tells that it had
    colours. The EXIF orientation is applied, embedded colour profiles are converted to sRGB,
    transparency is kept, and so is metadata but for places. Of an animation the first picture is
    taken, of a TIFF the first page, another one or all. 16-bit photos come back as 16-bit PNG or
    TIFF.

    With `proposals` one photo comes back in several colourings, as photo.png, photo-2.png and so on
    in a ZIP, or in JSON. With `pages=all` each page of a TIFF comes so, as photo-page-1.png and so
    on, or all in one TIFF. With `confidence` the answer tells how sure the colours are. With a
    photo in colour as `reference`, a second multipart field or member, photos get its colours where
    they look alike.

    Options are query parameters, or else form fields or members of the JSON object.
    """
    pipeline, settings = service.pipeline, service.settings
    async with AsyncExitStack() as held:
        announced_length(request, settings)
        share = held.enter_context(await pipeline.uploads.take(1))
        body = await read_body(request, settings, service.arrivals, share, referring=True)
        chosen = merge(request.query_params.multi_items(), body.fields, Options)
        check_photos(chosen, len(body.uploads))
        await run_in_threadpool(pipeline.look_at, body.uploads, chosen.page)
        photos = len(body.uploads)
        wanted = _negotiated(request, chosen, body)
        order = chosen.order(await service.model_for(chosen.model), wanted.format)
        order = with_hints(order, body)
        if chosen.pages == "all":
            order = await run_in_threadpool(take_apart, body, order, settings, settings.max_photos)
            check_photos(chosen, len(body.uploads))
        body.repeat(chosen.proposals)
        if len(body.uploads) != photos:  # of several none goes out as a bare image
            wanted = _negotiated(request, chosen, body)
            order = replace(order, format=wanted.format)
        expected = foreseen(body.uploads, order, pipeline.cache)
        pixels = [each.pixels for each in expected]
        looks, beside = sum(each.looks for each in expected), 0
        turns = sum(each.turns for each in expected)
        if reference := body.reference:
            await run_in_threadpool(pipeline.look_at, [reference])
            looks, beside = looks + 1, reference.pixels
        if chosen.album:  # each is seen once before the first is coloured
            looks, beside = looks + len(pixels), beside + sum(pixels)
        ticket = pipeline.backlog.accept(
            pixels, chosen.deadline_s, caller(request), looks, beside, turns
        )
        held.callback(ticket.close)
        if reference:
            await body.hold(REFERENCE_BYTES)
            order = await unless_gone(request, with_upload(pipeline, reference, order, ticket))
            ticket.prepared(reference.pixels)
            body.release(reference)
        if chosen.album:
            openings = [partial(opened_upload, pipeline, upload, order) for upload in body.uploads]
            agreed = together(pipeline, openings, order, ticket, share.amount)
            order = await unless_gone(request, agreed)
            ticket.prepared(sum(pixels), len(pixels))
        # The second proposal finds the model's answer kept, the third what all others are made of.
        # Results of photos behind a book would hold what its next pages wait for.
        alone = order.proposals > 1 or turns > len(expected)
        window = 1 if alone else pipeline.window(order.model)
        run = PhotoRun(pipeline, body, order, ticket, window)
        held.push_async_callback(run.close)
        first = await unless_gone(request, run.first_success())
        if first is None:
            raise run.errors[0] if order.proposals > 1 else all_failed(body, run.errors)
        if wanted.container == "image":
            return image_response(body.uploads[0], run, first, order, held.pop_all())
        respond = zip_response if wanted.container == "zip" else json_response
        return respond(body.uploads, run, first, order, held.pop_all())


def with_hints(order: Order, body: Body) -> Order:
    """An order whose hints name their photos by number.

    Raises:
        InvalidOptions: there is no such photo, more than one, or many pages of it are wanted.
    """
    if not order.hints:
        return order
    try:
        hints = of_photos(order.hints, [upload.name for upload in body.uploads])
    except ValueError as error:
        raise InvalidOptions(f"hints: {error}.") from error
    for number, hint in enumerate(hints, 1):
        at = hint.photo if isinstance(hint.photo, int) else 0
        if order.pages == "all" and has_several(body.uploads[at].header):
            raise InvalidOptions(f"hints: hint {number} is for {OF_PAGES}")
    return replace(order, hints=hints)


def _negotiated(request: Request, chosen: Options, body: Body) -> Representation:
    return negotiate(
        request.headers.get("accept"),
        photos=len(body.uploads),
        asked=chosen.format or ("png" if chosen.confidence == "png" else None),
        own=format_for("same", body.uploads[0].header),
    )


def all_failed(body: Body, errors: list[Exception]) -> Exception:
    """A lone photo's own problem, or one that has each photo's."""
    if len(errors) == 1:
        return errors[0]
    told = [
        {"index": i, "input": upload.name, **problem(error).model_dump(exclude_none=True)}
        for i, (upload, error) in enumerate(zip(body.uploads, errors, strict=True))
    ]
    # Trying again helps as soon as one of the photos was not to blame.
    worst = max(errors, key=lambda error: problem(error).status)
    if problem(worst).status >= 500:
        return worst
    detail = f"None of the {len(errors)} photos could be colorized; see `errors` for each one."
    return AllPhotosFailed(detail, errors=told)
