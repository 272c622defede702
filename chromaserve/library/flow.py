"""One caller's photos on their way through the pipeline, whatever kind they are."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from chromaserve.errors import InvalidOptions
from chromaserve.library.files import (
    Identity,
    beside,
    file_size,
    identity,
    read_pipe,
    write_whole,
)
from chromaserve.photos.decode import decode
from chromaserve.photos.header import check_size
from chromaserve.photos.in_memory import (
    array_header,
    as_image,
    image_header,
    read_array,
    read_image,
)
from chromaserve.photos.photo import Header, Photo, Pixels
from chromaserve.pipeline.album import Opened, together
from chromaserve.pipeline.backlog import Ticket
from chromaserve.pipeline.body import Body, Upload
from chromaserve.pipeline.hints import of_photos
from chromaserve.pipeline.memory import Share
from chromaserve.pipeline.options import Order
from chromaserve.pipeline.pipeline import Colored, Pipeline
from chromaserve.pipeline.steps import reading
from chromaserve.pipeline.told import Told

Given = bytes | str | Path | Image.Image | Pixels


@dataclass(frozen=True)
class Done:
    """A photo that is colorized."""

    value: Given
    """Of the kind that was given; for a path that of the result."""
    seconds: float | None
    """From the start of its decoding to the end of its encoding, others' photos in between; None
    for pixels."""
    share: Share
    """Of the memory bound."""
    told: Told | None = None
    """What else is known of it."""


class Flow:
    """Photos that take turns with other callers'. Lives on the event loop.

    Their results count against the memory bound until they are taken.
    """

    def __init__(self, pipeline: Pipeline, order: Order, *, album: bool = False) -> None:
        self._pipeline = pipeline
        self._order = order
        self._album = album
        self._ticket = Ticket(pipeline.backlog, [], 0, 0.0, None)
        self._photos: set[Identity | None] = set()
        self._held: set[Share] = set()
        self._ended = False

    def keep(self, photos: Iterable[Given]) -> None:
        """These files are to be colorized: no result may take their places."""
        self._photos.update(identity(Path(p)) for p in photos if isinstance(p, str | Path))

    @property
    def is_gathered(self) -> bool:
        """Whether photos must be known all together: they agree, or have hints of their own."""
        return self._album or any(hint.photo is not None for hint in self._order.hints)

    async def gather(self, photos: Sequence[Given]) -> None:
        """Take all photos together: hints are for those that they name, and all may agree.

        Raises:
            InvalidOptions: a hint names none of them, or there are too many to agree.
            Busy: there is no room for so many.
        """
        names = [Path(p).name if isinstance(p, str | Path) else None for p in photos]
        try:
            self._order = replace(self._order, hints=of_photos(self._order.hints, names))
        except ValueError as error:
            raise InvalidOptions(f"hints: {error}.") from error
        if self._album:
            openings = [partial(self._opened, photo) for photo in photos]
            self._order = await together(self._pipeline, openings, self._order, self._ticket)

    async def colorize(
        self,
        photo: Given,
        output: Path | None = None,
        *,
        replace: bool = True,
        index: int | None = None,
    ) -> Done:
        """Colorize one photo.

        Args:
            photo: encoded bytes, a file's path, a Pillow image or an array.
            output: for a path, where the result goes; by default beside it.
            replace: a file that is there already, unless it is one of the photos so far.
            index: which one of those that were gathered it is.

        Raises:
            ServiceError: what is wrong with the photo.
            InvalidOptions: the result would take the place of a photo.
            OSError: its file cannot be read, or the result's not written.
            TypeError: it is none of these kinds, or not a path though there is an output.
        """
        if output is not None and not isinstance(photo, str | Path):
            raise TypeError(f"output is for photos given as a Path, not {type(photo).__name__}")
        order = self._order if index is None else self._order.nth(index)
        if isinstance(photo, bytes):
            with await self._pipeline.uploads.take(len(photo)) as held:
                colored = await self._encoded(photo, held, order)
            return self._hold(colored.data, _seconds(colored), colored.share, colored.told)
        if isinstance(photo, str | Path):
            path = Path(photo)
            place = output or beside(path, self._order.format)
            colored = await self._of_file(path, order)
            with colored.share:
                await asyncio.to_thread(self._write, place, colored.data, replace)
            value = place if isinstance(photo, Path) else str(place)
            return Done(value, _seconds(colored), colored.share, colored.told)
        pipeline, ticket = self._pipeline, self._ticket
        keeps = order.colour == "keep"
        if isinstance(photo, Image.Image):
            header = self._checked(image_header(photo))
            pixels, made = await pipeline.colorize_pixels(
                header,
                lambda: read_image(photo, keep_colours=keeps, cores=pipeline.cores),
                order,
                ticket,
            )
            with made.share.until_failure():
                image = await asyncio.to_thread(as_image, pixels)
            return self._hold(image, None, made.share, made.told)
        if isinstance(photo, np.ndarray):
            header = self._checked(array_header(photo))
            pixels, made = await pipeline.colorize_pixels(
                header,
                lambda: read_array(photo, keep_colours=keeps, cores=pipeline.cores),
                order,
                ticket,
            )
            return self._hold(pixels, None, made.share, made.told)
        kind = type(photo).__name__
        raise TypeError(f"a photo is bytes, a Path, a Pillow image or an array, not {kind}")

    async def unwritten(self, photo: Given) -> Done:
        """Colorize one photo, of a file too, and write none."""
        if not isinstance(photo, str | Path):
            return await self.colorize(photo)
        colored = await self._of_file(Path(photo), self._order)
        return self._hold(colored.data, _seconds(colored), colored.share, colored.told)

    async def release(self, done: Done) -> None:
        """The caller has the result: it counts as the caller's memory."""
        self._held.discard(done.share)
        done.share.shrink(0)

    async def end(self) -> None:
        """Nobody takes what is left."""
        self._ended = True
        for share in self._held:
            share.shrink(0)
        self._held.clear()

    def _hold(
        self, value: Given, seconds: float | None, share: Share, told: Told | None = None
    ) -> Done:
        if self._ended:
            share.shrink(0)
        else:
            self._held.add(share)
        return Done(value, seconds, share, told)

    async def _of_file(self, path: Path, order: Order) -> Colored:
        uploads = self._pipeline.uploads
        self.keep([path])
        size = await asyncio.to_thread(file_size, path, uploads.total)
        if size is None:  # nobody knows what comes out of a pipe
            data = await asyncio.to_thread(_read_pipe, path, uploads.total)
            with await uploads.take(len(data)) as held:
                return await self._encoded(data, held, order)
        with await uploads.take(size) as held:
            return await self._encoded(await asyncio.to_thread(_read, path, size), held, order)

    async def _encoded(self, data: bytes, held: Share, order: Order) -> Colored:
        upload = Upload(None, data)
        body = Body([upload], [], held)
        del data  # so that it is gone once it is decoded
        await asyncio.to_thread(self._pipeline.look_at, [upload], order.page)
        return await self._pipeline.colorize(body, upload, order, self._ticket)

    @asynccontextmanager
    async def _opened(self, photo: Given) -> AsyncIterator[Opened]:
        """A photo that is seen before it is coloured."""
        pipeline, order = self._pipeline, self._order
        read: Callable[[], Photo]
        if isinstance(photo, Image.Image):
            keeps = order.colour == "keep"
            read = partial(read_image, photo, keep_colours=keeps, cores=pipeline.cores)
            yield self._checked(image_header(photo)), read
        elif isinstance(photo, np.ndarray):
            keeps = order.colour == "keep"
            read = partial(read_array, photo, keep_colours=keeps, cores=pipeline.cores)
            yield self._checked(array_header(photo)), read
        else:
            size: int | None
            if isinstance(photo, bytes):
                size, content = len(photo), partial(bytes, photo)
            else:
                path = Path(photo)
                size = await asyncio.to_thread(file_size, path, pipeline.uploads.total)
                if size is None:
                    raise InvalidOptions(f"album: {path} is a pipe, which cannot be read twice.")
                content = partial(_read, path, size)
            with await pipeline.uploads.take(max(1, size)):
                data = await asyncio.to_thread(content)
                upload = Upload(None, data)
                await asyncio.to_thread(pipeline.look_at, [upload], order.page)
                header = upload.header
                if not isinstance(header, Header):
                    raise header or ValueError("not looked at")
                yield header, partial(decode, data, header, **reading(order, pipeline.cores))

    def _write(self, place: Path, data: bytes, replace: bool) -> None:
        there = identity(place)
        if there is not None and there in self._photos:
            raise InvalidOptions(f"The result would take the place of a photo, {place}.")
        write_whole(place, data, replace=replace)

    def _checked(self, header: Header) -> Header:
        limits = self._pipeline.settings
        check_size(header.width, header.height, limits.max_pixels, limits.max_side)
        return header


def _read(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


def _read_pipe(path: Path, limit: int) -> bytes:
    with path.open("rb") as pipe:
        return read_pipe(pipe, limit)


def _seconds(colored: Colored) -> float:
    return colored.timings.total_s - colored.timings.admission_s
