"""POST /colorize: grey photos in, colour photos out."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from app.errors import AllPhotosFailed, problem
from app.manifest import Manifest
from app.negotiation import negotiate
from app.options import Options, check_photos, merge
from app.pipeline import Order
from app.requests import PhotoRun, unless_gone
from app.responses import image_response, json_response, zip_response
from app.routes.openapi import REQUEST_BODY, problems, reference
from app.service import Service
from app.uploads import Body, announced_length, read_body

router = APIRouter(tags=["colorize"])

_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One photo: the image. Several, or by Accept: a ZIP of images with"
        " manifest.json, or JSON with images in base64; there each photo has its own status.",
        "content": {
            "image/png": _BINARY,
            "image/jpeg": _BINARY,
            "image/webp": _BINARY,
            "application/zip": _BINARY,
            "application/json": {"schema": reference(Manifest)},
        },
        "headers": {
            "Server-Timing": {
                "description": "Milliseconds by stage, of the first photo where there are several.",
                "schema": {"type": "string"},
                "example": "admission;dur=0.2, decode;dur=8.1, queue;dur=3.0,"
                ' inference;desc="batch=4";dur=61.2, encode;dur=22.9, total;dur=95.6',
            },
            "X-Model-Version": {"schema": {"type": "integer"}, "example": "1"},
        },
    },
    **problems(400, 404, 406, 408, 413, 415, 422, 500, 503, 504),
}


@router.post(
    "/colorize",
    summary="Colorize photos",
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra={"requestBody": REQUEST_BODY},
)
async def colorize(
    request: Request,
    options: Annotated[Options, Query()],  # noqa: ARG001 - checked early; merged below
) -> Response:
    """Give photos colours, at their own size and with their luminance untouched.

    Send photos as the multipart field `file`, once or many times, or one as a bare `image/*` body.
    JPEG, PNG, WebP, TIFF and BMP are taken, 8 and 16 bits a channel; a colour photo is recoloured
    from its luminance. The EXIF orientation is applied, embedded colour profiles are converted to
    sRGB, transparency is kept, and other metadata is dropped. Of an animation or a multi-page TIFF
    the first frame is taken. 16-bit photos come back as 16-bit PNG.

    Options may be query parameters or form fields.
    """
    service: Service = request.app.state.service
    service.ready  # noqa: B018 - raises when there is nothing to work with
    service.backlog.check()
    charge = service.upload_charge(announced_length(request, service.settings))
    held = await service.uploads.take(charge)
    try:
        body = await read_body(request, service.settings, held)
        merged = merge(request.query_params.multi_items(), body.fields)
        check_photos(merged, len(body.uploads))
        wanted = negotiate(
            request.headers.get("accept"), photos=len(body.uploads), asked=merged.format
        )
        model = service.models.default
        if merged.model or model is None:
            model = await run_in_threadpool(service.models.get, merged.model)
        vividness = merged.asked_vividness
        if vividness is None:
            vividness = model.description.default_vividness
        postprocess = merged.postprocess or model.description.postprocess
        order = Order(model, vividness, merged.mirror, postprocess, wanted.format, merged.hints)
        await run_in_threadpool(service.pipeline.look_at, body.uploads)
        pixels = [upload.pixels for upload in body.uploads]
        ticket = service.backlog.accept(pixels, merged.deadline_s)
    except BaseException:
        held.shrink(0)
        raise
    run = PhotoRun(service.pipeline, body, order, ticket, window=model.engine.max_batch)

    async def release() -> None:
        await run.close()
        held.shrink(0)
        ticket.close()

    try:
        first = await unless_gone(request, run.first_success())
        if first is None:
            raise _all_failed(body, run.errors)
        if wanted.container == "image":
            return image_response(body.uploads[0], first, order, release)
        respond = zip_response if wanted.container == "zip" else json_response
        return respond(body.uploads, run, first, order, release)
    except BaseException:
        await release()
        raise


def _all_failed(body: Body, errors: list[Exception]) -> Exception:
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
