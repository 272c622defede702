"""Photos looked at, and pages of a TIFF: one of them, each by itself, or all into one TIFF."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, TypeVar

import numpy as np

from chromaserve.color.tiles import Tiling
from chromaserve.errors import DamagedPhoto, InvalidOptions, without_locals
from chromaserve.photos.decode import decode
from chromaserve.photos.free_cores import FreeCores
from chromaserve.photos.header import inspect
from chromaserve.photos.photo import Header, Photo, Striped
from chromaserve.photos.tiff import TiffWriter
from chromaserve.pipeline.body import Body, Upload
from chromaserve.pipeline.order import Damaged, Order
from chromaserve.pipeline.steps import Write, for_result, reading
from chromaserve.pipeline.told import Made
from chromaserve.settings import PipelineSettings

T = TypeVar("T")

OF_PAGES = "a file of several pages. Ask for the page that they are for alone, by its number."


@dataclass(frozen=True)
class Book:
    """The file that a photo is a page of, and how far that is; of a photo by itself, the photo."""

    since: float = field(default_factory=time.perf_counter)
    """When work on it began."""
    left: int = 1
    """Pages that are still to be done, this one among them."""
    held: int = 0
    """Bytes of memory that those have which are done."""


class Way(Protocol):
    """A photo's way: `Pipeline._way` for a request."""

    def __call__(
        self,
        header: Header,
        read: Callable[[], Photo],
        release: Callable[[], None],
        write: Write[T],
        *,
        book: Book,
    ) -> Awaitable[tuple[T, Made]]:
        """What `write` makes of a photo, and what is known of how."""


def look_at(upload: Upload, settings: PipelineSettings, page: int = 1) -> None:
    """Read an upload's header, or what is wrong with it."""
    try:
        upload.header = _inspected(upload.data, settings, page)
    except Exception as error:
        upload.header = without_locals(error)  # told when it is this photo's turn


def _inspected(data: bytes, settings: PipelineSettings, page: int) -> Header:
    return inspect(data, max_pixels=settings.max_pixels, max_side=settings.max_side, page=page - 1)


def has_several(header: object) -> bool:
    """Whether a file has pages after the photo's, as far as its header is known."""
    return isinstance(header, Header) and (len(header.pages) > 1 or header.more_pages)


def is_book(upload: Upload, order: Order) -> bool:
    """Whether a file has pages that all become one; see `all_pages`."""
    return order.pages == "all" and upload.page is None and has_several(upload.header)


def apart(upload: Upload, damaged: Damaged, settings: PipelineSettings, most: int) -> list[Upload]:
    """An upload for each page of the file that one holds, looked at; the bytes are there once.

    Where others cannot be read, and that is not accepted, there is one more, to tell of it.

    Args:
        upload: looked at.
        damaged: whether a file is taken of which pages cannot be read.
        settings: limits.
        most: pages that are wanted; of a file with more as many and one are given.
    """
    header = upload.header
    if not isinstance(header, Header) or not has_several(header):
        return [upload]
    count = len(header.pages) + (header.more_pages and damaged != "accept")
    pages = [replace(upload, page=i + 1) for i in range(min(count, most + 1))]
    for each in pages:
        look_at(each, settings, each.page or 1)
    return pages


async def all_pages(
    way: Way,
    body: Body,
    upload: Upload,
    order: Order,
    settings: PipelineSettings,
    cores: FreeCores,
) -> tuple[bytes, Made]:
    """Every page, each with its own size and memory; what is told is of the first.

    But for pixels that are missing, and metadata: those of any page are told of. Results of pages
    are held until the last one is done, which counts when the next one is to have memory.

    Raises:
        InvalidOptions: the result is to be no TIFF, or there are hints.
        DamagedPhoto: there are pages that cannot be read, and that is not accepted.
        TooManyPixels: there never is room for all.
        ServiceError: of the first page that fails.
    """
    header = upload.header
    assert isinstance(header, Header)
    writer, count = TiffWriter(), len(header.pages)
    if order.format_for(header) != "tiff":
        raise InvalidOptions(
            f"All {count} pages are one result as a TIFF alone: ask for format=tiff, or for each by"
            " its page."
        )
    if order.hints:
        raise InvalidOptions(f"hints: they are for {OF_PAGES}")
    if header.more_pages and order.damaged != "accept":
        raise DamagedPhoto(
            f"The TIFF file is damaged: pages after number {count} cannot be read. Those before are"
            " had by damaged=accept."
        )
    made: list[Made] = []
    pixels: list[int] = []
    book = Book(left=count)
    try:
        for i in range(count):
            one = await asyncio.to_thread(_inspected, upload.data, settings, i + 1)
            before = writer.size
            _, page = await way(
                one,
                partial(_read, upload, one, order, cores),
                # Every page is read from the same bytes.
                partial(body.release, upload) if i == count - 1 else _keep,
                partial(_write, writer, order, settings, (i, count)),
                book=book,
            )
            page.share.shrink(writer.size - before)
            if made:
                made[0].share.join(page.share)
            made.append(page)
            pixels.append(one.pixels)
            book = replace(book, left=book.left - 1, held=made[0].share.amount)
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
    tiles: Sequence[Tiling],
) -> tuple[None, tuple[str, ...]]:
    writer.add(image, for_result(photo, order, "tiff", tiles), settings.png_level, page)
    return None, ()


def _keep() -> None:
    """The bytes are read again."""
