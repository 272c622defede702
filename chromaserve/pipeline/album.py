"""Photos of one request that agree on their colours: all are seen before the first is coloured."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from chromaserve.color.album import Match, agreed, matched, neighbours
from chromaserve.color.hint_spreading import clear_share, hint_model
from chromaserve.color.reference import SIDE, Seen
from chromaserve.color.upsampling import apply_model
from chromaserve.errors import InvalidOptions
from chromaserve.photos.photo import Float, Header, Photo
from chromaserve.pipeline.backlog import Ticket
from chromaserve.pipeline.hints import AnyHint
from chromaserve.pipeline.memory_needed import memory_needed
from chromaserve.pipeline.options import Order
from chromaserve.pipeline.recolor import Looks, shapes_of
from chromaserve.pipeline.reference import features, seen_of
from chromaserve.pipeline.steps import decoded_by
from chromaserve.store.contract import squeeze

if TYPE_CHECKING:
    from chromaserve.pipeline.pipeline import Pipeline

MAX_ALBUM: Final = 64
"""Photos that may be made to agree."""
SEEN_BYTES: Final = 5 * 2**18
"""Held of each photo until all are seen."""
KNOWN: Final = 30.0
"""How much a hint's colour counts among photos, to 1 of what the network guesses."""

Opened = tuple[Header, Callable[[], Photo]]
"""What is known of a photo, and what reads it on a thread of the decoding stage."""
Opening = Callable[[], AbstractAsyncContextManager[Opened]]


@dataclass(frozen=True, eq=False)
class _Part:
    """A photo of an album."""

    seen: Seen
    ab: Float
    """float32 [28, 28, 2] in Lab units, hints among them."""
    trust: Float
    """float32 [28, 28]."""


async def together(
    pipeline: "Pipeline", photos: Sequence[Opening], order: Order, ticket: Ticket
) -> Order:
    """An order by which photos agree on the colours of what is in several of them.

    Each is decoded and seen by the network here, and once more when it is coloured: its answer is
    known then. One that cannot be read has no say, and meets its error when it is coloured.

    Args:
        pipeline: that is to do it.
        photos: opened one by one, a few at a time.
        order: what else is wanted; its hints name their photos by number.
        ticket: the request's.

    Raises:
        InvalidOptions: there are too many, or the model sees no features.
        Busy: there is no room for so many.
    """
    if len(photos) > MAX_ALBUM:
        raise InvalidOptions(
            f"album=true takes {MAX_ALBUM} photos, and there are {len(photos)}. Send fewer, or"
            " leave it out."
        )
    if not await asyncio.to_thread(lambda: order.model.engine.has_features):
        raise InvalidOptions(
            f"Model {order.model.version} cannot match photos with each other. Leave album out."
        )
    room = len(photos) * SEEN_BYTES
    with await pipeline.uploads.take(max(1, room), background=ticket.background):
        some = asyncio.Semaphore(pipeline.window(order.model))

        async def part(index: int, opening: Opening) -> _Part | None:
            async with some:
                return await _part(pipeline, opening, order, order.hints_of(index), ticket)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part(i, each)) for i, each in enumerate(photos)]
        parts = [task.result() for task in tasks]
        there = [i for i, each in enumerate(parts) if each is not None]
        known = [each for each in parts if each is not None]
        pairs = await _matched(pipeline, [each.seen for each in known], ticket)
        shifts = await pipeline.decoding.run(
            ticket, agreed, [each.ab for each in known], [each.trust for each in known], pairs
        )
    album: list[Float | None] = [None] * len(photos)
    for i, shift in zip(there, shifts, strict=True):
        album[i] = shift if shift.any() else None
    return replace(order, album=tuple(album))


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


async def _part(
    pipeline: "Pipeline",
    opening: Opening,
    order: Order,
    hints: Sequence[AnyHint],
    ticket: Ticket,
) -> _Part | None:
    """One photo; None where it has no say: it cannot be read, or keeps its colours."""
    plain = replace(order, look="whole", hints=(), confidence=None)
    try:
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
                    found = await pipeline.infer(
                        order.model, looks.whole, 0.0, ticket, ticket.owner, features
                    )
                return await pipeline.decoding.run(
                    ticket, _known, photo, looks, answer.inference.ab, found.ab, hints
                )
    except Exception:  # whatever it is, it is met again, where it harms no other photo
        return None


def _known(photo: Photo, looks: Looks, ab: Float, row: Float, hints: Sequence[AnyHint]) -> _Part:
    L, trust = looks.whole[..., 0], np.ones((SIDE, SIDE), np.float32)
    ab = squeeze(ab.astype(np.float32, copy=False), SIDE, SIDE)
    if hints:
        width, height = photo.size

        def lightness(rows: int, columns: int) -> Float:
            return np.asarray(cv2.resize(L, (columns, rows)), np.float32)

        model = hint_model(shapes_of(hints), (height, width), lightness)
        planes = apply_model(model, lightness(*model.shape[:2]))
        clear_share(planes[..., :1])
        planes = squeeze(planes, SIDE, SIDE)
        ab = ab + planes[..., :1] * (planes[..., 1:] - ab)
        trust += KNOWN * planes[..., 0]
    seen = seen_of(looks.whole, row.astype(np.float16))  # half of what is held
    return _Part(seen, ab, trust)
