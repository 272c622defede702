"""The way of one photo through the service: admit, decode, infer, encode."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from app.admission import Budget, Share
from app.answers import Answers
from app.backlog import Ticket
from app.batching import Batcher, Inference
from app.colorizer import prepare, recolor
from app.errors import InvalidOptions, PhotoTimeout, kind_of
from app.footprint import memory_needed
from app.hints import Hint, check_inside
from app.images.decode import decode
from app.images.encode import Format, check_format, encode
from app.images.limits import inspect
from app.images.photo import Float, Header, Photo, Pixels, Striped
from app.inference import Inferring
from app.metrics import Metrics
from app.models import LoadedModel
from app.pace import Pace
from app.settings import Settings, usable_cores
from app.stages import Stage
from app.telemetry import Timings
from app.uploads import Body, Upload
from model_store.contract import Postprocess

T = TypeVar("T")


@dataclass(frozen=True)
class Order:
    """What is wanted for every photo of a request."""

    model: LoadedModel
    vividness: float
    mirror: bool
    postprocess: Postprocess
    format: Format
    hints: tuple[Hint, ...] = ()
    """For the one photo that a request with hints has."""


@dataclass(frozen=True)
class Colored:
    """An encoded result; its `share` of the memory bound is given back once it is sent."""

    data: bytes
    width: int
    height: int
    timings: Timings
    share: Share


class Pipeline:
    """Three stages that overlap: decoding and encoding in threads, the model on the batcher's."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """No thread runs yet; `close` ends those that were started."""
        self._settings = settings
        self._metrics = metrics
        self.trace: Callable[[Timings, int, str], None] = lambda *_: None
        """Told of each photo that is done, in its request's context: timings, version, engine."""
        threads = settings.photo_threads or usable_cores()
        self.pace = Pace(threads)
        self.decoding = Stage("decode", threads)
        # Twice: a photo with `mirror` goes through the model as two.
        self.batcher = Batcher(2 * settings.max_queue, metrics.batch)
        self.answers = Answers(settings.cache_bytes)
        self.infer = Inferring(self.batcher, self.answers, metrics).infer
        """The model's answer for one photo."""
        self.encoding = Stage("encode", threads)
        self.memory = Budget(
            settings.photo_memory_bytes,
            max_waiting=settings.max_queue,
            timeout_s=settings.photo_timeout_s,
        )
        # Photos between the start of decoding and the end of encoding. More than keep all stages
        # busy would only be held in memory for longer.
        self.in_work = Budget(1, max_waiting=settings.max_queue, timeout_s=settings.photo_timeout_s)

    def close(self) -> None:
        """Finish what was accepted and end the threads."""
        self.decoding.close()
        self.batcher.close()
        self.encoding.close()

    def look_at(self, uploads: Iterable[Upload]) -> None:
        """Read the headers of uploads, which then say how large the photos are; blocks briefly."""
        limits = self._settings
        for upload in uploads:
            try:
                upload.header = inspect(
                    upload.data, max_pixels=limits.max_pixels, max_side=limits.max_side
                )
            except Exception as error:
                upload.header = error  # told when it is this photo's turn

    async def colorize(self, body: Body, upload: Upload, order: Order, ticket: Ticket) -> Colored:
        """Colorize one photo of a request.

        Args:
            body: the request's body, which gives the photo's bytes back once it is decoded.
            upload: the photo, looked at.
            order: what is wanted.
            ticket: the request's; its photos are admitted in order, so that a photo never waits
                for memory that holds finished ones behind it.

        Raises:
            ServiceError: whatever is wrong with this photo or the service.
        """
        try:
            async with self.attempt(ticket):
                header = upload.header
                if not isinstance(header, Header):
                    raise header or ValueError("not looked at")
                data, size, timings, share = await self._work(
                    header,
                    lambda: decode(upload.data, header),  # nothing else holds the bytes
                    lambda: body.release(upload),
                    partial(encode, output=order.format, level=self._settings.png_level),
                    order,
                    ticket,
                )
                share.shrink(len(data))
        finally:
            body.release(upload)
        self.done(timings, order.model, upload.pixels)
        return Colored(data, *size, timings, share)

    async def colorize_pixels(
        self, header: Header, read: Callable[[], Photo], order: Order, ticket: Ticket
    ) -> tuple[Pixels, Share]:
        """Colorize a photo that is in memory as pixels, and is to stay pixels.

        Args:
            header: what is known of it before `read`.
            read: makes the photo, on a thread of the decoding stage.
            order: what is wanted; its format is not looked at.
            ticket: as for `colorize`.

        Returns:
            uint8 or uint16 [H, W, 3 or 4], and its share of the memory bound.

        Raises:
            ServiceError: as `colorize`.
        """
        async with self.attempt(ticket):
            pixels, _, timings, share = await self._work(
                header, read, lambda: None, Striped.pixels, order, ticket
            )
            share.shrink(pixels.nbytes)
        self.done(timings, order.model, header.pixels)
        return pixels, share

    @asynccontextmanager
    async def attempt(self, ticket: Ticket) -> AsyncIterator[None]:
        """Work on one photo of a request: it has its time, and is counted if it comes to nothing.

        Raises:
            PhotoTimeout: the time is over.
        """
        try:
            async with self._in_time(ticket):
                yield
        except asyncio.CancelledError:
            self._metrics.not_colorized("cancelled")
            raise
        except Exception as error:
            self._metrics.not_colorized(kind_of(error).slug)
            raise

    def done(self, timings: Timings, model: LoadedModel, pixels: int) -> None:
        """Tell metrics, estimates and traces of a photo that is done, one of so many pixels."""
        self._metrics.colorized(timings, model.version, model.engine.name)
        self.pace.note(timings, pixels, len(model.engines))
        self.trace(timings, model.version, model.engine.name)

    @asynccontextmanager
    async def _in_time(self, ticket: Ticket) -> AsyncIterator[None]:
        limit_s, whose = self._settings.photo_timeout_s, "the service lets a photo take"
        left_s = ticket.time_left_s
        if left_s is not None and left_s < limit_s:
            limit_s, whose = left_s, "the request's deadline_s left for it"
        try:
            async with asyncio.timeout(limit_s):
                yield
        except TimeoutError as error:
            raise PhotoTimeout(
                f"The photo was not done in the {limit_s:.3g} s that {whose}."
                " Try again when the service is less busy, or shrink the photo."
            ) from error

    async def _work(
        self,
        header: Header,
        read: Callable[[], Photo],
        release: Callable[[], None],
        write: Callable[[Striped], T],
        order: Order,
        ticket: Ticket,
    ) -> tuple[T, tuple[int, int], Timings, Share]:
        """What `write` makes of a photo, the photo's size, times, and memory still held."""
        start = time.perf_counter()
        self._make_room_for(order.model)
        async with ticket.turn:
            place = await self.in_work.take(1)
            with place.until_failure():
                needed = memory_needed(
                    header, order.format, order.postprocess, hinted=bool(order.hints)
                )
                share = await self.memory.take(needed)
        with place, share.until_failure():
            admitted = time.perf_counter()
            photo, L = await self.decoding.run(ticket, _decode, read, order)
            release()
            decoded = time.perf_counter()
            result = await self.infer(order.model, L, order.vividness, ticket, order.mirror)
            inferred = time.perf_counter()
            made = await self.encoding.run(ticket, _finish, photo, result.ab, order, write)
            done = time.perf_counter()
            timings = _timings(start, admitted, decoded, result, inferred, done)
            return made, photo.size, timings, share

    def _make_room_for(self, model: LoadedModel) -> None:
        """Let as many photos in as keep this model's engines busy: a batch each, and the next."""
        enough = 2 * sum(engine.max_batch for engine in model.engines)
        enough += self.decoding.threads + self.encoding.threads
        self.in_work.total = max(self.in_work.total, enough)


def _decode(read: Callable[[], Photo], order: Order) -> tuple[Photo, Float]:
    photo = read()
    check_format(photo, order.format)
    try:
        check_inside(order.hints, *photo.size)
    except ValueError as error:
        raise InvalidOptions(f"hints: {error} and send the request again.") from error
    return photo, prepare(photo)


def _finish(photo: Photo, ab: Float, order: Order, write: Callable[[Striped], T]) -> T:
    ab = ab.astype(np.float32, copy=False)
    guided = order.model.description.guided_filter
    return write(recolor(photo, ab, order.postprocess, guided, order.hints))


def _timings(
    start: float, admitted: float, decoded: float, result: Inference, inferred: float, done: float
) -> Timings:
    return Timings(
        admission_s=admitted - start,
        decode_s=decoded - admitted,
        queue_s=result.queue_s,
        inference_s=result.inference_s,
        batch=result.batch,
        encode_s=done - inferred,
        total_s=done - start,
    )
