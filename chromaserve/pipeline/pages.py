"""All pages of a TIFF, colorized one after the other into one TIFF."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

import numpy as np

from chromaserve.errors import DamagedPhoto, InvalidOptions
from chromaserve.photos.decode import decode
from chromaserve.photos.free_cores import FreeCores
from chromaserve.photos.header import inspect
from chromaserve.photos.photo import Header, Photo, Striped
from chromaserve.photos.tiff import TiffWriter
from chromaserve.pipeline.body import Body, Upload
from chromaserve.pipeline.options import Order
from chromaserve.pipeline.steps import for_result, reading
from chromaserve.pipeline.told import Made
from chromaserve.settings import PipelineSettings

T = TypeVar("T")


class Way(Protocol):
    """A photo's way: `Pipeline._way` for a request."""

    def __call__(
        self,
        header: Header,
        read: Callable[[], Photo],
        release: Callable[[], None],
        write: Callable[[Striped, Photo], T],
    ) -> Awaitable[tuple[T, Made]]:
        """What `write` makes of a photo, and what is known of how."""


async def all_pages(
    way: Way,
    body: Body,
    upload: Upload,
    order: Order,
    settings: PipelineSettings,
    cores: FreeCores,
) -> tuple[bytes, Made]:
    """Every page, each with its own size and memory; what is told is of the first.

    But for pixels that are missing, and metadata: those of any page are told of.

    Raises:
        InvalidOptions: the result is to be no TIFF.
        DamagedPhoto: there are pages that cannot be read, and that is not accepted.
        ServiceError: of the first page that fails.
    """
    header = upload.header
    assert isinstance(header, Header)
    if order.format_for(header) != "tiff":
        raise InvalidOptions("pages=all makes a TIFF of as many pages. Ask for format=tiff too.")
    writer, count = TiffWriter(), len(header.pages)
    if header.more_pages and order.damaged != "accept":
        raise DamagedPhoto(
            f"The TIFF file is damaged: pages after number {count} cannot be read. Those before are"
            " had by damaged=accept."
        )
    made: list[Made] = []
    pixels: list[int] = []
    try:
        for i in range(count):
            one = await asyncio.to_thread(
                inspect,
                upload.data,
                max_pixels=settings.max_pixels,
                max_side=settings.max_side,
                page=i,
            )
            before = writer.size
            _, page = await way(
                one,
                partial(_read, upload, one, order, cores),
                # Every page is read from the same bytes.
                partial(body.release, upload) if i == count - 1 else _keep,
                partial(_write, writer, order, settings, (i, count)),
            )
            page.share.shrink(writer.size - before)
            if made:
                made[0].share.join(page.share)
            made.append(page)
            pixels.append(one.pixels)
        told = replace(
            made[0].told,
            missing=np.average([page.told.missing for page in made], weights=pixels).item(),
            lost=tuple(dict.fromkeys(name for page in made for name in page.told.lost)),
        )
        return await asyncio.to_thread(writer.finish), replace(made[0], told=told)
    except BaseException:
        if made:
            made[0].share.shrink(0)
        raise


def _read(upload: Upload, header: Header, order: Order, cores: FreeCores) -> Photo:
    return decode(upload.data, header, **reading(order, cores))


def _write(
    writer: TiffWriter,
    order: Order,
    settings: PipelineSettings,
    page: tuple[int, int],
    image: Striped,
    photo: Photo,
) -> None:
    writer.add(image, for_result(photo, order), settings.png_level, page)


def _keep() -> None:
    """The bytes are read again."""
