"""One caller's photos on their way through the pipeline, whatever kind they are."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from chromaserve.library.files import beside, write_whole
from chromaserve.photos.header import check_size
from chromaserve.photos.in_memory import (
    array_header,
    as_image,
    image_header,
    read_array,
    read_image,
)
from chromaserve.photos.photo import Header, Pixels
from chromaserve.pipeline.backlog import Ticket
from chromaserve.pipeline.body import Body, Upload
from chromaserve.pipeline.memory import Share
from chromaserve.pipeline.options import Order
from chromaserve.pipeline.pipeline import Colored, Pipeline

Given = bytes | Path | Image.Image | Pixels


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


class Flow:
    """Photos that take turns with other callers'. Lives on the event loop.

    Their results count against the memory bound until they are taken.
    """

    def __init__(self, pipeline: Pipeline, order: Order) -> None:
        self._pipeline = pipeline
        self._order = order
        self._ticket = Ticket(pipeline.backlog, [], 0.0, None)
        self._held: set[Share] = set()
        self._ended = False

    async def colorize(self, photo: Given, output: Path | None = None) -> Done:
        """Colorize one photo.

        Args:
            photo: encoded bytes, a file's path, a Pillow image or an array.
            output: for a path, where the result goes; by default beside it.

        Raises:
            ServiceError: what is wrong with the photo.
            OSError: its file cannot be read, or the result's not written.
            TypeError: it is none of these kinds, or not a path though there is an output.
        """
        if output is not None and not isinstance(photo, Path):
            raise TypeError(f"output is for photos given as a Path, not {type(photo).__name__}")
        if isinstance(photo, bytes):
            colored = await self._encoded(photo)
            return self._hold(colored.data, _seconds(colored), colored.share)
        if isinstance(photo, Path):
            colored = await self._encoded(await asyncio.to_thread(photo.read_bytes))
            with colored.share:
                output = output or beside(photo, self._order.format)
                await asyncio.to_thread(write_whole, output, colored.data)
            return Done(output, _seconds(colored), colored.share)
        pipeline, order, ticket = self._pipeline, self._order, self._ticket
        if isinstance(photo, Image.Image):
            header = self._checked(image_header(photo))
            pixels, share = await pipeline.colorize_pixels(
                header, lambda: read_image(photo), order, ticket
            )
            with share.until_failure():
                image = await asyncio.to_thread(as_image, pixels)
            return self._hold(image, None, share)
        if isinstance(photo, np.ndarray):
            header = self._checked(array_header(photo))
            pixels, share = await pipeline.colorize_pixels(
                header, lambda: read_array(photo), order, ticket
            )
            return self._hold(pixels, None, share)
        kind = type(photo).__name__
        raise TypeError(f"a photo is bytes, a Path, a Pillow image or an array, not {kind}")

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

    def _hold(self, value: Given, seconds: float | None, share: Share) -> Done:
        if self._ended:
            share.shrink(0)
        else:
            self._held.add(share)
        return Done(value, seconds, share)

    async def _encoded(self, data: bytes) -> Colored:
        upload = Upload(None, data)
        with await self._pipeline.uploads.take(len(data)) as held:
            body = Body([upload], [], held)
            del data  # so that it is gone once it is decoded
            await asyncio.to_thread(self._pipeline.look_at, [upload])
            return await self._pipeline.colorize(body, upload, self._order, self._ticket)

    def _checked(self, header: Header) -> Header:
        limits = self._pipeline.settings
        check_size(header.width, header.height, limits.max_pixels, limits.max_side)
        return header


def _seconds(colored: Colored) -> float:
    return colored.timings.total_s - colored.timings.admission_s
