"""What callers give as a photo: bytes, a path, a Pillow image or an array; how each is read."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from chromaserve.errors import InvalidOptions
from chromaserve.library.files import file_size, read_whole
from chromaserve.photos.decode import decode
from chromaserve.photos.header import check_size
from chromaserve.photos.in_memory import array_header, image_header, read_array, read_image
from chromaserve.photos.photo import Header, Photo, Pixels
from chromaserve.pipeline.album import Opened, opened_for
from chromaserve.pipeline.body import Upload
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.pipeline import Pipeline
from chromaserve.pipeline.steps import reading

Given = bytes | str | Path | Image.Image | Pixels


def in_memory(
    pipeline: Pipeline, photo: Given, *, keep_colours: bool
) -> tuple[Header, Callable[[], Photo]]:
    """What is known of a Pillow image or an array, and what reads it.

    Raises:
        TooManyPixels: it is too large.
        TypeError: it is something else.
    """
    cores = pipeline.cores
    if isinstance(photo, Image.Image):
        header = _checked(pipeline, image_header(photo))
        return header, lambda: read_image(photo, keep_colours=keep_colours, cores=cores)
    if isinstance(photo, np.ndarray):
        header = _checked(pipeline, array_header(photo))
        return header, lambda: read_array(photo, keep_colours=keep_colours, cores=cores)
    kind = type(photo).__name__
    raise TypeError(f"a photo is bytes, a Path, a Pillow image or an array, not {kind}")


@asynccontextmanager
async def opened(
    pipeline: Pipeline, photo: Given, order: Order, beside: int
) -> AsyncIterator[Opened]:
    """A photo that is seen before it is coloured; a file's bytes are held for as long.

    Args:
        pipeline: that is to see it.
        photo: of any kind.
        order: what is wanted.
        beside: bytes that the caller holds meanwhile.

    Raises:
        ServiceError, OSError, TypeError: what is wrong with it.
    """
    if not isinstance(photo, bytes | str | Path):
        yield in_memory(pipeline, photo, keep_colours=order.colour == "keep")
        return
    uploads = pipeline.uploads
    size: int | None
    if isinstance(photo, bytes):
        size = len(photo)
    else:
        size = await asyncio.to_thread(file_size, Path(photo), uploads.total)
        if size is None:
            raise InvalidOptions(f"album: {photo} is a pipe, which cannot be read twice.")
    uploads.check(size + beside)  # it would wait for its own album
    with await uploads.take(max(1, size)):
        data = photo if isinstance(photo, bytes) else None
        if data is None:
            data = await asyncio.to_thread(read_whole, Path(str(photo)), uploads.total)
        upload = Upload(None, data)
        await asyncio.to_thread(pipeline.look_at, [upload], order.page)
        header = opened_for(upload.header, order)
        yield header, partial(decode, data, header, **reading(order, pipeline.cores))


def _checked(pipeline: Pipeline, header: Header) -> Header:
    limits = pipeline.settings
    check_size(header.width, header.height, limits.max_pixels, limits.max_side)
    return header
