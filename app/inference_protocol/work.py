"""An inference request's photos through the same bounds and batches as those of POST /colorize."""

import asyncio
import time
from dataclasses import dataclass, field

import numpy as np

from app.admission import Share
from app.backlog import Ticket
from app.batching import Inference
from app.errors import ServiceError
from app.footprint import BYTES_PER_PHOTO
from app.images.photo import Header
from app.inference_protocol import respond
from app.inference_protocol.catalogue import NETWORK, PHOTOS
from app.inference_protocol.reading import Rows, Tensors
from app.inference_protocol.respond import Output
from app.inference_protocol.tensors import Float
from app.models import LoadedModel
from app.options import Options
from app.pipeline import Colored, Order
from app.requests import PhotoRun
from app.service import Service
from app.telemetry import Timings
from app.uploads import Body, Upload

_RESULT_BYTES_PER_PIXEL = 4
"""The most that an encoded photo has for each 8 bits of a channel: four channels, hardly packed."""
_COPIES_IN_JSON = 3
"""A result and its base64, rounded up."""


@dataclass(eq=False)
class Held:
    """What a request holds until it is answered, however that ends."""

    shares: list[Share] = field(default_factory=list)
    ticket: Ticket | None = None
    run: PhotoRun | None = None

    async def release(self) -> None:
        """Give everything back; harmless when that is done."""
        if self.run:
            await self.run.close()
        for share in self.shares:
            share.shrink(0)
        if self.ticket:
            self.ticket.close()


async def answer(
    service: Service,
    model: LoadedModel,
    options: Options,
    tensors: Tensors,
    binary: bool,
    held: Held,
) -> tuple[Output, Timings]:
    """The output for a request's tensors, and the timings of its first photo.

    Args:
        service: whose bounds and batches they go through.
        model: the version.
        options: of the request.
        tensors: what it brought.
        binary: whether the output is to be binary data.
        held: takes what is taken, for the caller to release.

    Raises:
        ServiceError: of the first photo that failed; there is no place for it beside others.
    """
    encoding = service.pipeline.encoding
    vividness = options.asked_vividness
    if vividness is None:
        vividness = model.description.default_vividness
    if isinstance(tensors, Rows):
        each = tensors.vividness
        if each is None:
            each = np.full(len(tensors.L), vividness, np.float32)
        inferred = await _infer(service, model, options, tensors.L, each, held)
        ab = [result.ab for result, _ in inferred]
        output = await encoding.run(held, respond.floats, NETWORK.output, ab, binary)
        return output, inferred[0][1]
    postprocess = options.postprocess or model.description.postprocess
    order = Order(model, vividness, options.mirror, postprocess, options.format or "png")
    copies = 1 if binary else _COPIES_IN_JSON
    colored = await _colorize(service, order, tensors, options.deadline_s, copies, held)
    data = [result.data for result in colored]
    output = await encoding.run(held, respond.encoded, PHOTOS.output, data, binary)
    return output, colored[0].timings


async def _infer(
    service: Service, model: LoadedModel, asked: Options, L: Float, vividness: Float, held: Held
) -> list[tuple[Inference, Timings]]:
    """Rows of a tensor through the model, each as one photo among others."""
    ticket = held.ticket = service.backlog.accept([0] * len(L), asked.deadline_s)
    held.shares.append(await service.pipeline.memory.take(len(L) * BYTES_PER_PHOTO))
    # As for photos, time runs for a row from when it is its turn among the request's.
    turns = asyncio.Semaphore(model.engine.max_batch)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    _row(service, model, asked.mirror, one, float(each), ticket, turns)
                )
                for one, each in zip(L, vividness, strict=True)
            ]
    except ExceptionGroup as group_of_errors:
        raise group_of_errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _row(
    service: Service,
    model: LoadedModel,
    mirror: bool,
    L: Float,
    vividness: float,
    ticket: Ticket,
    turns: asyncio.Semaphore,
) -> tuple[Inference, Timings]:
    try:
        async with turns, service.pipeline.attempt(ticket):
            start = time.perf_counter()
            result = await service.pipeline.infer(model, L, vividness, ticket, mirror)
            total_s = time.perf_counter() - start
    finally:
        ticket.done(0)
    timings = Timings(0, 0, result.queue_s, result.inference_s, result.batch, 0, total_s)
    service.pipeline.done(timings, model, pixels=0)
    return result, timings


async def _colorize(
    service: Service,
    order: Order,
    photos: list[bytes],
    deadline_s: float | None,
    copies: int,
    held: Held,
) -> list[Colored]:
    """Encoded photos to encoded results; an error has the photo's `index`."""
    held.shares[0].shrink(sum(map(len, photos)))
    body = Body([Upload(None, data) for data in photos], [], held.shares[0])
    await service.pipeline.decoding.run(held, service.pipeline.look_at, body.uploads)
    for index, upload in enumerate(body.uploads):
        if isinstance(upload.header, Exception):
            raise _at(index, upload.header)
    held.ticket = service.backlog.accept([each.pixels for each in body.uploads], deadline_s)
    # All results are there before the first byte goes out. They have bytes of their own, taken
    # without waiting: who waits for memory while holding some may wait for ever.
    held.shares.append(service.uploads.take_at_once(copies * sum(map(_result_bytes, body.uploads))))
    window = order.model.engine.max_batch
    held.run = PhotoRun(service.pipeline, body, order, held.ticket, window)
    results: list[Colored] = []
    async for outcome in held.run:
        if isinstance(outcome, Exception):
            raise _at(len(results), outcome)
        outcome.share.shrink(0)
        results.append(outcome)
    held.shares[-1].shrink(copies * sum(len(each.data) for each in results))
    return results


def _result_bytes(upload: Upload) -> int:
    assert isinstance(upload.header, Header)
    return upload.header.pixels * _RESULT_BYTES_PER_PIXEL * upload.header.bits // 8 + 2**16


def _at(index: int, error: Exception) -> Exception:
    if isinstance(error, ServiceError):
        error.extra["index"] = index
    return error
