"""POST /v2/models/{name}/infer: inference by the Open Inference Protocol."""

from contextlib import AsyncExitStack
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from chromaserve.pipeline.memory import Share
from chromaserve.pipeline.options import Options

from ..errors import UnsupportedBody
from ..open_inference import reading, respond, work
from ..open_inference.catalogue import ProtocolModel, find
from ..open_inference.message import (
    HEADER_LENGTH,
    JSON_MEMORY,
    InferenceRequest,
    Message,
    inflate,
    json_length,
    parse,
)
from ..requests import unless_gone
from ..uploads import announced_length, content_coding, joined, media_type
from .dependencies import ServiceWithRoom, caller
from .openapi import BINARY, problems, reference
from .v2 import known

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

_MEDIA_TYPES = ("", "application/json", "application/octet-stream")
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {"schema": reference(InferenceRequest)},
        "application/octet-stream": BINARY,
    },
}
_ABOUT: dict[str, Any] = {
    "summary": "Infer by the Open Inference Protocol",
    "response_class": Response,
    "responses": problems(400, 404, 408, 413, 415, 422, 500, 503, 504),
    "openapi_extra": {"requestBody": _BODY},
}


@router.post("/models/{name}/infer", **_ABOUT)
async def model_infer(request: Request, service: ServiceWithRoom, name: str) -> Response:
    """Run a model on a batch of photos; each row counts as a photo of POST /colorize does.

    `colorizer` is the bare network, `L` to `ab`; `colorizer-photo` takes encoded photos and gives
    encoded photos. Tensors come and go in JSON, or by the binary tensor data extension.
    """
    return await _infer(request, service, name, None)


@router.post("/models/{name}/versions/{version}/infer", **_ABOUT)
async def version_infer(
    request: Request, service: ServiceWithRoom, name: str, version: str
) -> Response:
    """Run a version of a model, as `/v2/models/{name}/infer` does the default one."""
    return await _infer(request, service, name, version)


async def _infer(
    request: Request, service: ServiceWithRoom, name: str, version: str | None
) -> Response:
    model = find(name)
    if version is not None:
        known(await run_in_threadpool(service.pipeline.models.store.versions), version)
    _check_type(request)
    announced_length(request, service.settings)
    async with AsyncExitStack() as held:
        share = held.enter_context(await service.pipeline.uploads.take(1))
        message, options, tensors = await _read(request, service, model, share)
        loaded = await service.model_for(version)
        told = {"model_name": model.name, "model_version": str(loaded.version)}
        if message.id is not None:
            told["id"] = message.id
        binary = message.wants_binary(model.output.name)
        output, timings = await unless_gone(
            request,
            work.answer(
                *(service.pipeline, loaded, options, tensors, binary, share, held),
                owner=caller(request),
            ),
        )
        headers = {"Server-Timing": timings.header(), "X-Model-Version": str(loaded.version)}
        return respond.response(told, output, headers, held.pop_all())


def _check_type(request: Request) -> None:
    kind = media_type(request)
    if kind not in _MEDIA_TYPES:
        raise UnsupportedBody(
            f"A body of type {kind[:80]} is not accepted. Send application/json, or"
            f" application/octet-stream with {HEADER_LENGTH}."
        )


async def _read(
    request: Request, service: ServiceWithRoom, model: ProtocolModel, share: Share
) -> tuple[Message, Options, reading.Tensors]:
    """The request, its tensors as arrays or photos; nothing of its body is left."""
    settings, decoding = service.settings, service.pipeline.decoding
    body = await joined(service.arrivals.receive(request, share))
    if encoding := content_coding(request):
        # What comes out may have any length.
        await share.grow(len(body) + settings.max_upload_bytes)
        body = await decoding.run(share, inflate, body, encoding, settings.max_upload_bytes)
    # Twice: the tensors are copied out of it.
    await share.grow(2 * len(body))
    share.shrink(max(2 * len(body), 1))
    length = json_length(request.headers.get(HEADER_LENGTH), body)

    def read() -> tuple[Message, Options, reading.Tensors]:
        message = parse(body, length)
        reading.check(message, model, settings.max_photos)
        tensors = reading.tensors(message, model)
        message.forget()
        return message, reading.options(message, model), tensors

    with await service.pipeline.memory.take(JSON_MEMORY * length):
        return await decoding.run(share, read)
