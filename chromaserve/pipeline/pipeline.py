"""The way of one photo: admitted, decoded, given colours by the network, recoloured, encoded."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from chromaserve.errors import PhotoTimeout, slug_of
from chromaserve.photos.credentials import Signing, credentials_of
from chromaserve.photos.decode import decode
from chromaserve.photos.formats import Format
from chromaserve.photos.free_cores import FreeCores
from chromaserve.photos.photo import Header, Photo, Pixels
from chromaserve.pipeline.backlog import Backlog, Ticket
from chromaserve.pipeline.batching import Batcher
from chromaserve.pipeline.body import Body, Upload
from chromaserve.pipeline.cache import Cache
from chromaserve.pipeline.estimate import Estimate
from chromaserve.pipeline.inference import NO_ANSWER, Inferring
from chromaserve.pipeline.memory import Budget, Share
from chromaserve.pipeline.memory_needed import memory_for, memory_for_close_ups
from chromaserve.pipeline.models import LoadedModel, Models
from chromaserve.pipeline.observer import Observer
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.pages import Book, all_pages, is_book, look_at
from chromaserve.pipeline.stages import Stage
from chromaserve.pipeline.steps import Write, as_pixels, decoded_by, encoded_by, reading, writing
from chromaserve.pipeline.timings import Timings
from chromaserve.pipeline.told import Made, Told, told_of
from chromaserve.settings import PipelineSettings, usable_cores

T = TypeVar("T")


@dataclass(frozen=True)
class Colored:
    """An encoded result; its `share` of the memory bound is given back once it is sent."""

    data: bytes
    format: Format
    width: int
    height: int
    timings: Timings
    share: Share
    told: Told


class Pipeline:
    """Models, and three stages that overlap: decoding and encoding in threads, the network on its
    own."""

    def __init__(self, settings: PipelineSettings, observer: Observer | None = None) -> None:
        """No model is loaded and no thread runs yet; `close` ends those that were started."""
        self.settings = settings
        self._observer = observer or Observer()
        self.trace: Callable[[Timings, int, str], None] = lambda *_: None
        """Told of each photo that is done, in its request's context: timings, version, engine."""
        self.models = Models(settings)
        self.credentials = credentials_of(settings)
        """By which results are signed, where the settings name a certificate."""
        threads = settings.photo_threads or usable_cores()
        self.estimate = Estimate(threads)
        self.backlog = Backlog(
            self.estimate,
            max_photos=settings.max_queue,
            max_wait_s=settings.max_wait_s,
            forgone=partial(self._observer.not_colorized, "cancelled"),
        )
        self.uploads = Budget(
            settings.upload_memory_bytes,
            max_waiting=settings.max_queue,
            timeout_s=settings.max_wait_s,
        )
        """Bytes of encoded photos."""
        self.memory = Budget(
            settings.photo_memory_bytes,
            max_waiting=settings.max_queue,
            timeout_s=settings.photo_timeout_s,
        )
        """Bytes of photos in work."""
        # Photos between the start of decoding and the end of encoding. More than keep all stages
        # busy would only be held in memory for longer.
        self.in_work = Budget(1, max_waiting=settings.max_queue, timeout_s=settings.photo_timeout_s)
        self.cores = FreeCores(threads)
        """Where a photo has them to itself, several threads work on it."""
        self.decoding = Stage("decode", threads, self.cores)
        self.batcher = Batcher(settings.max_queue, self._observer.batch)
        self.cache = Cache(settings.cache_bytes)
        inferring = Inferring(self.batcher, self.cache, self._observer)
        self.infer = inferring.infer
        """The network's answer for one photo."""
        self.answer = inferring.answer
        """The colours that are wanted of a photo."""
        self.encoding = Stage("encode", threads, self.cores)

    def close(self, timeout_s: float | None = None) -> None:
        """Finish what was accepted and end the threads; `timeout_s` bounds a model that hangs."""
        self.decoding.close()
        self.batcher.close(timeout_s)
        self.encoding.close()
        self.cores.close()

    def window(self, model: LoadedModel) -> int:
        """Photos that keep all stages busy."""
        return self.decoding.threads + model.photos_at_once + self.encoding.threads

    def look_at(self, uploads: Iterable[Upload], page: int | None = None) -> None:
        """Read the headers of uploads, which then say how large the photos are; blocks briefly.

        Args:
            uploads: encoded photos.
            page: of each that is meant, from 1; the first by default.
        """
        for upload in uploads:
            look_at(upload, self.settings, page or 1)

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
                format = order.format_for(header)
                way = partial(self._way, order=order, ticket=ticket)
                if is_book(upload, order):
                    data, made = await all_pages(
                        way, body, upload, order, self.settings, self.cores
                    )
                else:
                    signing = self._signing(upload, header, order)
                    data, made = await way(
                        header,
                        # Nothing else holds the bytes.
                        lambda: decode(upload.data, header, **reading(order, self.cores)),
                        lambda: None if signing and signing.before else body.release(upload),
                        writing(format, order, self.settings.png_level, signing),
                    )
                made.share.shrink(len(data))
        finally:
            body.release(upload)
        self.done(made.timings, order.model, upload.pixels)
        return Colored(data, format, *made.size, made.timings, made.share, made.told)

    def _signing(self, upload: Upload, header: Header, order: Order) -> Signing | None:
        """What signs a photo's result; a map of confidence is not signed."""
        if self.credentials is None or order.confidence == "png":
            return None
        return self.credentials.of(upload.name, header.format, upload.data, order.metadata)

    async def colorize_pixels(
        self, header: Header, read: Callable[[], Photo], order: Order, ticket: Ticket
    ) -> tuple[Pixels, Made]:
        """Colorize a photo that is in memory as pixels, and is to stay pixels.

        Args:
            header: what is known of it before `read`.
            read: makes the photo, on a thread of the decoding stage.
            order: what is wanted; its format is not looked at.
            ticket: as for `colorize`.

        Returns:
            uint8 or uint16 [H, W, 3 or 4], or [H, W, 1] of a map of confidence; and what is known
            of how, with its share of the memory bound.

        Raises:
            ServiceError: as `colorize`.
        """
        async with self.attempt(ticket):
            pixels, made = await self._way(header, read, lambda: None, as_pixels, order, ticket)
            made.share.shrink(pixels.nbytes)
        self.done(made.timings, order.model, header.pixels)
        return pixels, made

    async def _way(
        self,
        header: Header,
        read: Callable[[], Photo],
        release: Callable[[], None],
        write: Write[T],
        order: Order,
        ticket: Ticket,
        book: Book | None = None,
    ) -> tuple[T, Made]:
        """What `write` makes of a photo, and what is known of how."""
        start, book = time.perf_counter(), book or Book()
        needed = memory_for(order, header, signed=self.credentials is not None)
        more = memory_for_close_ups(order, header, self.memory.total - needed - book.held)
        place, share = await self._admit(needed + more, order, ticket, book.held)
        with place, share.until_failure():
            admitted, helped_s = time.perf_counter(), self.cores.helped_s
            left_s = self.settings.photo_timeout_s - (admitted - book.since)
            most = self.backlog.looks_in_time(ticket, left_s, book.left) if more else 0
            photo, looks = await self.decoding.run(
                ticket, decoded_by, read, order, self.cores, most
            )
            further = looks.count - order.looks_at(header) if photo.colours is None else 0
            if not further:  # few close-ups take as much as many
                share.shrink(needed)
            release()
            decoded = time.perf_counter()

            if photo.colours is None:
                with self.cores.taken(), ticket.further(further):
                    answer = await self.answer(looks, order, ticket, ticket.owner)
            else:
                answer = NO_ANSWER
            inferred = time.perf_counter()

            result, assessed, photo = await self.encoding.run(
                ticket, encoded_by, photo, answer, order, write, self.cores
            )
            done = time.perf_counter()

            made = answer.inference
            timings = Timings(
                admission_s=admitted - start,
                decode_s=decoded - admitted,
                queue_s=made.queue_s,
                inference_s=made.inference_s,
                batch=made.batch,
                calls=made.calls,
                encode_s=done - inferred,
                total_s=done - start,
                helped_s=self.cores.helped_s - helped_s,
                looks=made.looks,
                model_s=made.model_s,
            )
            told = told_of(photo, header, order, assessed)
            return result, Made(photo.size, told, timings, share)

    async def _admit(
        self, wanted: int, order: Order, ticket: Ticket, held: int
    ) -> tuple[Share, Share]:
        """Wait for a place among the photos in work, and for the memory that this one takes."""
        at_once = self.window(order.model) + order.model.photos_at_once
        self.in_work.total = max(self.in_work.total, at_once)  # its engines are busy now and next
        if held:  # those who wait for a place may wait for that
            more = self.memory.take_more(wanted, held, background=ticket.background)
            return Share(self.in_work, 0), await more
        async with ticket.turn:
            place = await self.in_work.take(1, background=ticket.background)
            with place.until_failure():
                return place, await self.memory.take(wanted, background=ticket.background)

    @asynccontextmanager
    async def attempt(self, ticket: Ticket) -> AsyncIterator[None]:
        """Work on one photo of a request: it has its time, and is counted if it comes to nothing.

        Raises:
            PhotoTimeout: the time is over.
        """
        try:
            async with self.in_time(ticket):
                yield
        except asyncio.CancelledError:
            self._observer.not_colorized("cancelled")
            raise
        except Exception as error:
            self._observer.not_colorized(slug_of(error))
            raise

    def done(self, timings: Timings, model: LoadedModel, pixels: int) -> None:
        """Tell metrics, estimates and traces of a photo that is done, one of so many pixels."""
        self._observer.colorized(timings, model.version, model.engine.name)
        self.estimate.note(timings, pixels)
        self.trace(timings, model.version, model.engine.name)

    @asynccontextmanager
    async def in_time(self, ticket: Ticket) -> AsyncIterator[None]:
        """Bound the work on one photo of a request.

        Raises:
            PhotoTimeout: the time is over.
        """
        limit_s, whose = self.settings.photo_timeout_s, "the service lets a photo take"
        if (left_s := ticket.time_left_s) is not None and left_s < limit_s:
            limit_s, whose = left_s, "the request's deadline_s left for it"
        try:
            async with asyncio.timeout(None if ticket.background else limit_s):
                yield
        except TimeoutError as error:
            raise PhotoTimeout(
                f"The photo was not done in the {limit_s:.3g} s that {whose}."
                " Try again when the service is less busy, or shrink the photo."
            ) from error
