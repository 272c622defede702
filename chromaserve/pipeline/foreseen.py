"""What a request's photos will take of the service, as far as it is known beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass

from chromaserve.photos.photo import Header
from chromaserve.pipeline.body import Upload
from chromaserve.pipeline.cache import Cache
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.pages import is_book


@dataclass(frozen=True)
class Foreseen:
    """Of one result."""

    pixels: int
    """That are decoded; of pages that become one as many as if all were like the first."""
    looks: int
    """How often the model runs."""
    turns: int = 1
    """Photos or pages, one after the other, between which others have their turn."""


def foreseen(uploads: Sequence[Upload], order: Order, cache: Cache) -> list[Foreseen]:
    """What each result takes.

    Args:
        uploads: looked at; of several proposals each has its own.
        order: what is wanted.
        cache: where answers are kept, so that proposals after the second find theirs.
    """
    return [_of(upload, order, cache, i) for i, upload in enumerate(uploads)]


def _of(upload: Upload, order: Order, cache: Cache, index: int) -> Foreseen:
    if index and order.proposals > 1 and cache.max_bytes:
        return Foreseen(upload.pixels, int(index == 1))  # what all further ones are made of
    looks = order.looks_at(upload.header) + (order.confidence is not None)
    looks += order.proposal > 1 or (index > 0 and order.proposals > 1)
    header = upload.header
    count = len(header.pages) if isinstance(header, Header) and is_book(upload, order) else 1
    return Foreseen(count * upload.pixels, count * looks, count)
