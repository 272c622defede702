"""Photos of one request that agree on their colours: all are seen before the first is coloured."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from chromaserve.color.album import Match, agreed, matched, neighbours
from chromaserve.color.reference import SIDE, Seen
from chromaserve.errors import (
    Busy,
    EngineFailed,
    InvalidOptions,
    NotReady,
    PhotoTimeout,
    ServiceError,
)
from chromaserve.photos.decode import decode
from chromaserve.photos.photo import Float, Header, Photo
from chromaserve.pipeline.backlog import Ticket
from chromaserve.pipeline.body import Upload
from chromaserve.pipeline.hints import AnyHint
from chromaserve.pipeline.memory_needed import memory_needed
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.recolor import Looks, hint_planes
from chromaserve.pipeline.reference import features, seen_of
from chromaserve.pipeline.steps import decoded_by, reading
from chromaserve.store.contract import squeeze

if TYPE_CHECKING:
    from chromaserve.pipeline.pipeline import Pipeline

MAX_ALBUM: Final = 64
"""Photos that may be made to agree."""
SEEN_BYTES: Final = 5 * 2**18
"""Held of each photo until all are seen."""
KNOWN: Final = 30.0
"""How much a hint's colour counts among photos, to 1 of what the network guesses."""

_SERVICES_FAULTS = Busy, EngineFailed, NotReady, PhotoTimeout, MemoryError
"""Of a look: what photos agree on is not to hang on how much there is to do."""

Opened = tuple[Header, Callable[[], Photo]]
"""What is known of a photo, and what reads it on a thread of the decoding stage."""
Opening = Callable[[], AbstractAsyncContextManager[Opened]]


@dataclass(frozen=True, eq=False)
class Part:
    """What is known of a photo of an album once it was looked at."""

    seen: Seen
    ab: Float
    """float32 [28, 28, 2] in Lab units, hints among them."""
    trust: Float
    """float32 [28, 28]."""

    def packed(self) -> bytes:
        """To be kept; `unpacked` has it again."""
        with io.BytesIO() as file:
            np.savez(
                file, fine=self.seen.fine, coarse=self.seen.coarse, L=self.seen.L,
                ab=self.ab, trust=self.trust,
            )  # fmt: skip
            return file.getvalue()

    @classmethod
    def unpacked(cls, data: bytes) -> "Part":
        """What was packed.

        Raises:
            ValueError: it is something else.
        """
        with np.load(io.BytesIO(data)) as file:
            return cls(Seen(file["fine"], file["coarse"], file["L"]), file["ab"], file["trust"])


async def together(
    pipeline: "Pipeline", photos: Sequence[Opening], order: Order, ticket: Ticket, held: int = 0
) -> Order:
    """An order by which photos agree on the colours of what is in several of them.

    Each is decoded and seen by the network here, and once more when it is coloured: its answer is
    known then. One that has something wrong with it has no say, and meets that when it is coloured.
    Where it is the service that fails to look at one, all fail.

    Args:
        pipeline: that is to do it.
        photos: opened one by one, a few at a time.
        order: what else is wanted; its hints name their photos by number.
        ticket: the request's.
        held: bytes of photos that the caller holds meanwhile.

    Raises:
        InvalidOptions: there are too many, or the model sees no features.
        TooManyPixels: there never is room for so many.
        Busy: there is none now.
        Busy, EngineFailed, NotReady, PhotoTimeout: of a look at one of them; it says at which.
    """
    await check_album(len(photos), order)
    room = len(photos) * SEEN_BYTES
    pipeline.uploads.check(held + room)
    with await pipeline.uploads.take(max(1, room), background=ticket.background):
        some = asyncio.Semaphore(pipeline.window(order.model))

        async def part(index: int, opening: Opening) -> Part | None:
            async with some:
                try:
                    return await look(pipeline, opening, order, order.hints_of(index), ticket)
                except _SERVICES_FAULTS as error:
                    raise _of_photo(index, error) from error
                except Exception:  # it is met again, where it harms no other photo
                    return None

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(part(i, each)) for i, each in enumerate(photos)]
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        album = await agreement(pipeline, [task.result() for task in tasks], ticket)
    return replace(order, album=album)


def _of_photo(index: int, error: Exception) -> Exception:
    """The same error, which says at which photo it was met."""
    if isinstance(error, ServiceError):
        return type(error)(f"album, photo {index}: {error.detail}", **error.extra)
    return error


async def check_album(photos: int, order: Order) -> None:
    """Raise InvalidOptions where so many photos cannot be made to agree, or not by this model."""
    if photos > MAX_ALBUM:
        raise InvalidOptions(
            f"album=true takes {MAX_ALBUM} photos, and there are {photos}. Send fewer, or leave it"
            " out."
        )
    if not await asyncio.to_thread(lambda: order.model.engine.has_features):
        raise InvalidOptions(
            f"Model {order.model.version} cannot match photos with each other. Leave album out."
        )


async def agreement(
    pipeline: "Pipeline", parts: Sequence[Part | None], ticket: Ticket
) -> tuple[Float | None, ...]:
    """What is to be added to each photo's chroma, float32 [28, 28, 2]; see `agreed`.

    Args:
        pipeline: that is to do it.
        parts: what is known of each photo; None where it has no say.
        ticket: the request's.

    Returns:
        None for a photo that has no say, and where no other has one in it.
    """
    there = [i for i, each in enumerate(parts) if each is not None]
    known = [each for each in parts if each is not None]
    pairs = await _matched(pipeline, [each.seen for each in known], ticket)
    shifts = await pipeline.decoding.run(
        ticket, agreed, [each.ab for each in known], [each.trust for each in known], pairs
    )
    album: list[Float | None] = [None] * len(parts)
    for i, shift in zip(there, shifts, strict=True):
        album[i] = shift if shift.any() else None
    return tuple(album)


@asynccontextmanager
async def opened_upload(
    pipeline: "Pipeline", upload: Upload, order: Order
) -> AsyncIterator[Opened]:
    """A photo that was looked at, whose bytes somebody else holds."""
    header = opened_for(upload.header, order, upload.page)
    yield header, partial(decode, upload.data, header, **reading(order, pipeline.cores))


def opened_for(header: Header | Exception | None, order: Order, page: int | None = None) -> Header:
    """The header of a file that has one photo for an album.

    Raises:
        InvalidOptions: all of its pages go into one result.
        Exception: what is wrong with the file.
    """
    if not isinstance(header, Header):
        raise header or ValueError("not looked at")
    if order.pages == "all" and page is None and len(header.pages) > 1:
        raise InvalidOptions("A file of many photos has no say in an album.")
    return header


async def _matched(
    pipeline: "Pipeline", photos: Sequence[Seen], ticket: Ticket
) -> list[tuple[int, int, Match]]:
    which = await pipeline.decoding.run(ticket, neighbours, photos)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(pipeline.decoding.run(ticket, matched, photos[i], photos[j]))
            for i, j in which
        ]
    return [(i, j, task.result()) for (i, j), task in zip(which, tasks, strict=True)]


async def look(
    pipeline: "Pipeline",
    opening: Opening,
    order: Order,
    hints: Sequence[AnyHint],
    ticket: Ticket,
) -> Part | None:
    """What an album is to know of one photo; None where that keeps its colours, and has no say.

    Raises:
        ServiceError: whatever is wrong with the photo or the service.
    """
    plain = replace(order, look="whole", hints=tuple(hints), confidence=None)
    async with pipeline.in_time(ticket), opening() as (header, read):
        keeps = order.colour == "keep"
        needed = memory_needed(header, "png", "none", keeps_colours=keeps, hinted=bool(hints))
        with await pipeline.memory.take(needed, background=ticket.background):
            photo, looks = await pipeline.decoding.run(
                ticket, decoded_by, read, plain, pipeline.cores
            )
            if photo.colours is not None:
                return None
            with pipeline.cores.taken():
                answer = await pipeline.answer(looks, plain, ticket, ticket.owner)
                row = answer.features  # there with a reference
                if row is None:
                    found = await pipeline.infer(
                        order.model, looks.whole, 0.0, ticket, ticket.owner, features
                    )
                    row = found.ab
            return await pipeline.decoding.run(
                ticket, _known, photo, looks, answer.inference.ab, row, hints
            )


def _known(photo: Photo, looks: Looks, ab: Float, row: Float, hints: Sequence[AnyHint]) -> Part:
    L, trust = looks.whole[..., 0], np.ones((SIDE, SIDE), np.float32)
    ab = squeeze(ab.astype(np.float32, copy=False), SIDE, SIDE)
    if hints:
        planes = squeeze(hint_planes(hints, photo.size, L), SIDE, SIDE)
        ab = ab + planes[..., :1] * (planes[..., 1:] - ab)
        trust += KNOWN * planes[..., 0]
    seen = seen_of(looks.whole, row.astype(np.float16))  # half of what is held
    return Part(seen, ab, trust)
