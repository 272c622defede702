"""An inference request's photos through the same bounds and batches as those of POST /colorize."""

import asyncio
import time
from collections.abc import Hashable
from contextlib import AsyncExitStack

import numpy as np

from chromaserve.errors import ServiceError
from chromaserve.photos.photo import Header
from chromaserve.pipeline.backlog import Ticket
from chromaserve.pipeline.body import Body, Upload
from chromaserve.pipeline.foreseen import foreseen
from chromaserve.pipeline.memory import Share
from chromaserve.pipeline.memory_needed import BYTES_PER_PHOTO
from chromaserve.pipeline.models import LoadedModel
from chromaserve.pipeline.options import Options
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.pipeline import Colored, Pipeline
from chromaserve.pipeline.timings import Timings
from chromaserve.pipeline.waiting import Inference

from ..requests import PhotoRun
from . import respond
from .catalogue import NETWORK, PHOTOS
from .reading import Rows, Tensors
from .respond import Output
from .tensors import Float

_RESULT_BYTES_PER_PIXEL = 4
"""The most that an encoded photo has for each 8 bits of a channel: four channels, hardly packed."""
_COPIES_IN_JSON = 3
"""A result and its base64, rounded up."""


async def answer(
    pipeline: Pipeline,
    model: LoadedModel,
    options: Options,
    tensors: Tensors,
    binary: bool,
    share: Share,
    held: AsyncExitStack,
    *,
    owner: Hashable = None,
) -> tuple[Output, Timings]:
    """The output for a request's tensors, and the timings of its first photo.

    Args:
        pipeline: whose bounds and batches they go through.
        model: the version.
        options: of the request.
        tensors: what it brought.
        binary: whether the output is to be binary data.
        share: of the memory for uploads, that the request has.
        held: takes what is taken, for the caller to release.
        owner: who asks.

    Raises:
        ServiceError: of the first photo that failed; there is no place for it beside others.
    """
    encoding, order = pipeline.encoding, options.order(model)
    if isinstance(tensors, Rows):
        each = tensors.vividness
        if each is None:
            each = np.full(len(tensors.L), order.vividness, np.float32)
        inferred = await _infer(pipeline, model, options.deadline_s, tensors.L, each, held, owner)
        ab = [result.ab for result, _ in inferred]
        output = await encoding.run(held, respond.floats, NETWORK.output, ab, binary)
        return output, inferred[0][1]
    copies = 1 if binary else _COPIES_IN_JSON
    colored = await _colorize(
        pipeline, order, tensors, options.deadline_s, copies, share, held, owner
    )
    data = [result.data for result in colored]
    output = await encoding.run(held, respond.encoded, PHOTOS.output, data, binary)
    return output, colored[0].timings


async def _infer(
    pipeline: Pipeline,
    model: LoadedModel,
    deadline_s: float | None,
    L: Float,
    vividness: Float,
    held: AsyncExitStack,
    owner: Hashable,
) -> list[tuple[Inference, Timings]]:
    """Rows of a tensor through the model, each as one photo among others."""
    ticket = pipeline.backlog.accept([0] * len(L), deadline_s, owner)
    held.callback(ticket.close)
    held.enter_context(await pipeline.memory.take(len(L) * BYTES_PER_PHOTO))
    # As for photos, time runs for a row from when it is its turn among the request's.
    turns = asyncio.Semaphore(pipeline.window(model))
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_row(pipeline, model, one, float(each), ticket, turns))
                for one, each in zip(L, vividness, strict=True)
            ]
    except ExceptionGroup as group_of_errors:
        raise group_of_errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _row(
    pipeline: Pipeline,
    model: LoadedModel,
    L: Float,
    vividness: float,
    ticket: Ticket,
    turns: asyncio.Semaphore,
) -> tuple[Inference, Timings]:
    async with turns:
        try:
            async with pipeline.attempt(ticket):
                start = time.perf_counter()
                result = await pipeline.infer(model, L, vividness, ticket, ticket.owner)
                total_s = time.perf_counter() - start
        finally:
            ticket.done(0)
    timings = Timings(
        admission_s=0,
        decode_s=0,
        queue_s=result.queue_s,
        inference_s=result.inference_s,
        batch=result.batch,
        calls=result.calls,
        encode_s=0,
        total_s=total_s,
        looks=result.looks,
        model_s=result.model_s,
    )
    pipeline.done(timings, model, pixels=0)
    return result, timings


async def _colorize(
    pipeline: Pipeline,
    order: Order,
    photos: list[bytes],
    deadline_s: float | None,
    copies: int,
    share: Share,
    held: AsyncExitStack,
    owner: Hashable,
) -> list[Colored]:
    """Encoded photos to encoded results; an error has the photo's `index`."""
    share.shrink(sum(map(len, photos)))
    body = Body([Upload(None, data) for data in photos], [], share)
    await pipeline.decoding.run(held, pipeline.look_at, body.uploads, order.page)
    for index, upload in enumerate(body.uploads):
        if isinstance(upload.header, Exception):
            raise _at(index, upload.header)
    expected = foreseen(body.uploads, order, pipeline.cache)
    pixels, looks = [each.pixels for each in expected], sum(each.looks for each in expected)
    turns = sum(each.turns for each in expected)
    ticket = pipeline.backlog.accept(pixels, deadline_s, owner, looks, turns=turns)
    held.callback(ticket.close)
    # All results are there before the first byte goes out. They have bytes of their own, taken
    # without waiting: who waits for memory while holding some may wait for ever.
    needed = copies * sum(map(_result_bytes, body.uploads))
    results_share = held.enter_context(pipeline.uploads.take_at_once(needed))
    run = PhotoRun(pipeline, body, order, ticket, pipeline.window(order.model))
    held.push_async_callback(run.close)
    results: list[Colored] = []
    async for outcome in run:
        if isinstance(outcome, Exception):
            raise _at(len(results), outcome)
        outcome.share.shrink(0)
        results.append(outcome)
    results_share.shrink(copies * sum(len(each.data) for each in results))
    return results


def _result_bytes(upload: Upload) -> int:
    assert isinstance(upload.header, Header)
    return upload.header.pixels * _RESULT_BYTES_PER_PIXEL * upload.header.bits // 8 + 2**16


def _at(index: int, error: Exception) -> Exception:
    if isinstance(error, ServiceError):
        error.extra["index"] = index
    return error
