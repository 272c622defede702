"""One caller's photos on their way through the pipeline, whatever kind they are."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from chromaserve.errors import InvalidOptions
from chromaserve.library.files import (
    Identity,
    beside,
    file_size,
    identity,
    read_whole,
    write_whole,
)
from chromaserve.library.given import Given, in_memory, opened
from chromaserve.photos.in_memory import (
    as_image,
)
from chromaserve.pipeline.album import SEEN_BYTES, together
from chromaserve.pipeline.backlog import Ticket
from chromaserve.pipeline.body import Body, Upload
from chromaserve.pipeline.hint_photos import of_photos
from chromaserve.pipeline.memory import Share
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.pipeline import Colored, Pipeline
from chromaserve.pipeline.reference import with_photo, with_upload
from chromaserve.pipeline.told import Told

Place = Path | InvalidOptions | None
"""Where a photo's result goes, or why it goes nowhere; None: beside the photo."""


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

    def __init__(
        self,
        pipeline: Pipeline,
        order: Order,
        reference: Given | None = None,
        *,
        album: bool = False,
    ) -> None:
        """Photos that are to become what `order` says, with colours of a reference if there is."""
        self._pipeline = pipeline
        self._order = order
        self._album = album
        self._reference = reference
        self._referred: asyncio.Task[None] | None = None
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
        await self.refer()
        names = [Path(p).name if isinstance(p, str | Path) else None for p in photos]
        try:
            self._order = replace(self._order, hints=of_photos(self._order.hints, names))
        except ValueError as error:
            raise InvalidOptions(f"hints: {error}.") from error
        if self._album:
            beside = len(photos) * SEEN_BYTES
            openings = [
                partial(opened, self._pipeline, photo, self._order, beside) for photo in photos
            ]
            self._order = await together(self._pipeline, openings, self._order, self._ticket)

    async def colorize(
        self,
        photo: Given,
        output: Place = None,
        *,
        replace: bool = True,
        index: int | None = None,
    ) -> Done:
        """Colorize one photo.

        Args:
            photo: encoded bytes, a file's path, a Pillow image or an array.
            output: for a path, where the result goes; by default beside it. An error is raised.
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
        if isinstance(output, InvalidOptions):
            raise output
        await self.refer()
        order = self._order if index is None else self._order.nth(index)
        if isinstance(photo, bytes):
            with await self._pipeline.uploads.take(len(photo)) as held:
                colored = await self._encoded(photo, held, order)
            return self._hold(colored.data, _seconds(colored), colored.share, colored.told)
        if isinstance(photo, str | Path):
            path = Path(photo)
            colored = await self._of_file(path, order)
            place = output or beside(path, self._order.format)
            with colored.share:
                await asyncio.to_thread(self._write, place, colored.data, replace)
            value = place if isinstance(photo, Path) else str(place)
            return Done(value, _seconds(colored), colored.share, colored.told)
        header, read = in_memory(self._pipeline, photo, keep_colours=order.colour == "keep")
        pixels, made = await self._pipeline.colorize_pixels(header, read, order, self._ticket)
        if isinstance(photo, np.ndarray):
            return self._hold(pixels, None, made.share, made.told)
        with made.share.until_failure():
            image = await asyncio.to_thread(as_image, pixels)
        return self._hold(image, None, made.share, made.told)

    async def unwritten(self, photo: Given) -> Done:
        """Colorize one photo, of a file too, and write none."""
        if not isinstance(photo, str | Path):
            return await self.colorize(photo)
        await self.refer()
        colored = await self._of_file(Path(photo), self._order)
        return self._hold(colored.data, _seconds(colored), colored.share, colored.told)

    async def refer(self) -> Order:
        """What is wanted, with what is to be known of the reference, which is looked at once.

        Raises:
            ServiceError, OSError, TypeError: what is wrong with it, as `colorize` for a photo.
        """
        if self._reference is not None:
            # One photo's caller may leave while others wait for the same.
            self._referred = self._referred or asyncio.create_task(self._refer(self._reference))
            await asyncio.shield(self._referred)
        return self._order

    async def _refer(self, reference: Given) -> None:
        pipeline, order, ticket = self._pipeline, self._order, self._ticket
        if isinstance(reference, str | Path):
            path = Path(reference)
            self.keep([path])
            reference = await asyncio.to_thread(read_whole, path, pipeline.uploads.total)
        if isinstance(reference, bytes):
            upload = Upload(None, reference)
            with await pipeline.uploads.take(len(reference)):
                await asyncio.to_thread(pipeline.look_at, [upload])
                self._order = await with_upload(pipeline, upload, order, ticket)
            return
        header, read = in_memory(pipeline, reference, keep_colours=True)
        self._order = await with_photo(pipeline, header, read, order, ticket)

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
            data = await asyncio.to_thread(read_whole, path, uploads.total)
            with await uploads.take(len(data)) as held:
                return await self._encoded(data, held, order)
        with await uploads.take(size) as held:
            return await self._encoded(await asyncio.to_thread(read_whole, path, size), held, order)

    async def _encoded(self, data: bytes, held: Share, order: Order) -> Colored:
        upload = Upload(None, data)
        body = Body([upload], [], held)
        del data  # so that it is gone once it is decoded
        await asyncio.to_thread(self._pipeline.look_at, [upload], order.page)
        return await self._pipeline.colorize(body, upload, order, self._ticket)

    def _write(self, place: Path, data: bytes, replace: bool) -> None:
        there = identity(place)
        if there is not None and there in self._photos:
            raise InvalidOptions(f"The result would take the place of a photo, {place}.")
        write_whole(place, data, replace=replace)


def _seconds(colored: Colored) -> float:
    return colored.timings.total_s - colored.timings.admission_s
