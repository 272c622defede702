"""What leads the colours of a job's photos: a reference, and colours that agree."""

import asyncio
import io
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from chromaserve.errors import InvalidOptions
from chromaserve.loop_thread import cancel
from chromaserve.pipeline.album import SEEN_BYTES, Part, agreement, look, opened_upload
from chromaserve.pipeline.backlog import Ticket
from chromaserve.pipeline.body import Upload
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.reference import Reference, with_upload

from .queued import Claim

if TYPE_CHECKING:
    from .jobs import Jobs

_REFERENCES = 4
"""That are kept in memory, of 3 MiB at most each, beside those of photos in work."""
_AGREED = "agreed"


class Guidance:
    """What a worker knows of the jobs whose photos it has, and writes down for the others."""

    def __init__(self, jobs: "Jobs") -> None:
        self._jobs = jobs
        self._pipeline = jobs.service.pipeline
        self._references: dict[tuple[str, int], asyncio.Task[Reference | None]] = {}

    async def order(self, claim: Claim, order: Order, *, album: bool) -> Order:
        """What is wanted of one photo, by what is wanted of all.

        Nothing of the photo may be held meanwhile: this waits for memory.

        Args:
            claim: the photo.
            order: of all.
            album: whether they are to agree.

        Raises:
            ServiceError: what is wrong with the reference, or the service.
            OSError: the disk has not what it should have.
        """
        order = order.nth(claim.n)
        if claim.reference:
            order = replace(order, reference=await self._reference(claim, order))
        if claim.step == "agree":
            await self._agree(claim)
        if album and claim.step != "look":
            data = await self._jobs.on_disk(self._jobs.files.seen, claim.job, _AGREED)
            shift = np.load(io.BytesIO(data))[claim.n]
            order = replace(order, shift=shift if shift.any() else None)
        return order

    async def look(self, claim: Claim, upload: Upload, order: Order, ticket: Ticket) -> None:
        """Look at a photo of an album, and write down what the others are to know of it.

        Raises:
            ServiceError: what is wrong with it, or the service.
            OSError: it cannot be written.
        """
        opening = partial(opened_upload, self._pipeline, upload, order)
        try:
            part = await look(self._pipeline, opening, order, order.hints, ticket)
        except InvalidOptions:  # it has no say, or meets the same when it is coloured
            return
        if part is not None:
            keep, name = self._jobs.files.keep_seen, str(claim.n)
            await self._jobs.on_disk(keep, claim.job, name, claim.attempt, part.packed())

    async def close(self) -> None:
        """Stop looking at references."""
        await cancel(self._references.values())

    async def _reference(self, claim: Claim, order: Order) -> Reference | None:
        """A job's reference, which is looked at once by each model."""
        key = claim.job, order.model.number
        task = self._references.pop(key, None)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = asyncio.create_task(self._referred(claim, order))
        self._references[key] = task  # the last one
        if len(self._references) > _REFERENCES:
            del self._references[next(iter(self._references))]
        return await asyncio.shield(task)  # other photos wait for the same

    async def _referred(self, claim: Claim, order: Order) -> Reference | None:
        pipeline, size = self._pipeline, claim.reference
        with await pipeline.uploads.take(size, background=True):
            data = await self._jobs.on_disk(self._jobs.files.photo, claim.job, 0, size)
            upload = Upload(None, data)
            await asyncio.to_thread(pipeline.look_at, [upload])
            ticket = pipeline.backlog.behind(upload.pixels, claim.owner)
            return (await with_upload(pipeline, upload, order, ticket)).reference

    async def _agree(self, claim: Claim) -> None:
        """Make an album's photos agree by what was seen of each, and write down how."""
        pipeline, job = self._pipeline, claim.job
        count = len(await self._jobs.ask(self._jobs.records.photos, job))
        with await pipeline.uploads.take(count * SEEN_BYTES, background=True):
            parts = await self._jobs.on_disk(lambda: [self._part(job, n) for n in range(count)])
            shifts = await agreement(pipeline, parts, pipeline.backlog.behind(0, claim.owner))
        there = [shift for shift in shifts if shift is not None]
        none = np.zeros_like(there[0]) if there else np.zeros((1, 1, 2), np.float32)
        file = io.BytesIO()
        np.save(file, np.stack([none if shift is None else shift for shift in shifts]))
        keep = self._jobs.files.keep_seen
        await self._jobs.on_disk(keep, job, _AGREED, claim.attempt, file.getvalue())
        await self._jobs.ask(self._jobs.store.agreed, job)

    def _part(self, job: str, n: int) -> Part | None:
        try:
            return Part.unpacked(self._jobs.files.seen(job, str(n)))
        except FileNotFoundError:  # it could not be read, or keeps its colours
            return None
