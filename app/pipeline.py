"""The way of one photo through the service: admit, decode, infer, encode."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import numpy as np

from app.admission import Budget, Share
from app.batching import Batcher, Inference
from app.colorizer import prepare, recolor
from app.errors import PhotoTimeout, kind_of
from app.images.decode import decode
from app.images.encode import Format, check_format, encode
from app.images.limits import inspect
from app.images.photo import Float, Header, Photo
from app.metrics import Metrics
from app.models import LoadedModel
from app.pace import Pace
from app.settings import Settings, usable_cores
from app.telemetry import Timings
from app.uploads import Body, Upload
from model_store.contract import GuidedFilter, Postprocess

P = ParamSpec("P")
T = TypeVar("T")

# Peaks of decoding and encoding, rounded up; tests/app/test_memory.py measures them.
BYTES_PER_PIXEL = {8: 26, 16: 40}
WEBP_BYTES_PER_PIXEL = 22
"""More, where the result is encoded as WebP."""
BYTES_PER_PHOTO = 4 * 2**20
"""For the network's input and output, and the fixed costs of decoders."""
POSTPROCESS_BYTES: dict[Postprocess, int] = {
    "none": 0,
    "guided": 0,
    "tv": 8 * 2**20,
    "crf": 16 * 2**20,
}
"""More for what a method holds at its working size, whatever the photo's."""


@dataclass(frozen=True)
class Order:
    """What is wanted for every photo of a request."""

    model: LoadedModel
    vividness: float
    mirror: bool
    postprocess: Postprocess
    format: Format


@dataclass(frozen=True)
class Colored:
    """An encoded result; its `share` of the memory bound is given back once it is sent."""

    data: bytes
    width: int
    height: int
    timings: Timings
    share: Share


class Pipeline:
    """Decoding and encoding in a pool of threads, the model on the batcher's own."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Start the threads; `close` ends them."""
        # Twice: a photo with `mirror` goes through the model as two.
        self.batcher = Batcher(2 * settings.max_queue, metrics.batch)
        self.memory = Budget(
            settings.photo_memory_bytes,
            max_waiting=settings.max_queue,
            timeout_s=settings.queue_timeout_s,
        )
        self._settings = settings
        self._metrics = metrics
        threads = settings.photo_threads or usable_cores()
        self.pace = Pace(threads)
        self._pool = ThreadPoolExecutor(threads, "photos")

    def close(self) -> None:
        """Finish what was accepted and end the threads."""
        self.batcher.close()
        self._pool.shutdown()

    async def colorize(
        self, body: Body, upload: Upload, order: Order, turn: asyncio.Lock
    ) -> Colored:
        """Colorize one photo of a request.

        Args:
            body: the request's body, which gives the photo's bytes back once it is decoded.
            upload: the photo.
            order: what is wanted.
            turn: shared by a request's photos: they are admitted in order, so that a photo never
                waits for memory that holds finished ones behind it.

        Raises:
            ServiceError: whatever is wrong with this photo or the service.
        """
        try:
            colored = await self._in_time(body, upload, order, turn)
        except asyncio.CancelledError:
            self._metrics.not_colorized("cancelled")
            raise
        except Exception as error:
            self._metrics.not_colorized(kind_of(error).slug)
            raise
        finally:
            body.release(upload)
        self._metrics.colorized(colored.timings)
        self.pace.note(colored.timings)
        return colored

    async def _in_time(
        self, body: Body, upload: Upload, order: Order, turn: asyncio.Lock
    ) -> Colored:
        start = time.perf_counter()
        try:
            async with asyncio.timeout(self._settings.photo_timeout_s):
                return await self._colorize(body, upload, order, turn, start)
        except TimeoutError as error:
            raise PhotoTimeout(
                f"The photo was not done in {self._settings.photo_timeout_s:g} s."
                " Try again when the service is less busy, or shrink the photo."
            ) from error

    async def _colorize(
        self, body: Body, upload: Upload, order: Order, turn: asyncio.Lock, start: float
    ) -> Colored:
        async with turn:
            header = await self._in_pool(self._inspect, upload.data)
            share = await self.memory.take(memory_needed(header, order.format, order.postprocess))
        try:
            admitted = time.perf_counter()
            photo, L = await self._in_pool(_decode, upload.data, header, order.format)
            body.release(upload)
            decoded = time.perf_counter()
            result = await self._infer(order, L)
            inferred = time.perf_counter()
            guided = order.model.description.guided_filter
            data = await self._in_pool(
                _finish, photo, result.ab, order.postprocess, guided, order.format
            )
            share.shrink(len(data))
            done = time.perf_counter()
            timings = _timings(start, admitted, decoded, result, inferred, done)
            return Colored(data, *photo.size, timings, share)
        except BaseException:
            share.shrink(0)
            raise

    async def _infer(self, order: Order, L: Float) -> Inference:
        one = self.batcher.submit(order.model.engine, L, order.vividness)
        if not order.mirror:
            return await one
        flipped = np.ascontiguousarray(L[:, ::-1])
        other = self.batcher.submit(order.model.engine, flipped, order.vividness)
        both = [asyncio.ensure_future(each) for each in (one, other)]
        try:
            plain, mirrored = await asyncio.gather(*both)
        finally:
            for task in both:  # where one failed, the other need not run
                task.cancel()
        return Inference(
            ab=(plain.ab + mirrored.ab[:, ::-1]) * np.float32(0.5),
            batch=max(plain.batch, mirrored.batch),
            queue_s=plain.queue_s,
            inference_s=max(plain.inference_s, mirrored.inference_s),
        )

    def _inspect(self, data: bytes) -> Header:
        limits = self._settings
        return inspect(data, max_pixels=limits.max_pixels, max_side=limits.max_side)

    async def _in_pool(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run in the pool; a cancelled caller waits until the thread is done with its memory."""
        running = self._pool.submit(work, *args, **kwargs)
        future = asyncio.wrap_future(running)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if not running.cancel():
                await asyncio.wait({future})
                future.exception()  # seen: nobody else will ask
            raise


def memory_needed(header: Header, output: Format, method: Postprocess) -> int:
    """Bytes that a photo takes at most, from decoding to the end of encoding."""
    each = BYTES_PER_PIXEL[header.bits] + (WEBP_BYTES_PER_PIXEL if output == "webp" else 0)
    return BYTES_PER_PHOTO + POSTPROCESS_BYTES[method] + header.pixels * each


def _decode(data: bytes, header: Header, output: Format) -> tuple[Photo, Float]:
    photo = decode(data, header)
    check_format(photo, output)
    return photo, prepare(photo)


def _finish(
    photo: Photo, ab: Float, method: Postprocess, guided: GuidedFilter, output: Format
) -> bytes:
    return encode(recolor(photo, ab.astype(np.float32, copy=False), method, guided), output)


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
