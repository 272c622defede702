"""The worker that a process is: it takes photos of jobs where nobody who waits has work for it."""

import asyncio
import logging
import secrets
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from pydantic import ValidationError

from chromaserve.errors import (
    Busy,
    EngineFailed,
    NotReady,
    ServiceError,
    without_locals,
)
from chromaserve.loop_thread import cancel
from chromaserve.photos.formats import MEDIA_TYPES, SUFFIXES
from chromaserve.pipeline.body import Body, Upload
from chromaserve.pipeline.models import LoadedModel
from chromaserve.pipeline.pipeline import Colored
from chromaserve.store.errors import ModelStoreError

from ..errors import AddressFailed, JobsFull, PhotoAbandoned
from ..manifest import describe
from ..root_path import root_path
from .addresses import Unavailable
from .database import DatabaseFault
from .guidance import Guidance
from .options import JobOptions
from .order import UNKNOWN_BYTES
from .queued import Claim, Held
from .store import MOST_FAULTS

if TYPE_CHECKING:
    from .jobs import Jobs

log = logging.getLogger("chromaserve.jobs")

LEASE_S, _BEAT_S = 10.0, 2.5
"""How long a worker that is not heard of keeps its photos, and how often one is heard of."""
_LOOK_S = 1.0
"""Between looks for what other processes have accepted."""
_PAUSE_S, _DOUBLED = 2.0, 5
"""Before a photo is tried again; and how often that is doubled, once at each attempt."""
_MOST_TRIES = 10
"""At a photo whose address does not answer, or whose result has no room."""

Made = tuple[Colored, int]


class Worker:
    """Takes photos from the queue, a few at a time, and puts their results there."""

    def __init__(self, jobs: "Jobs") -> None:
        self._jobs = jobs
        self._service = jobs.service
        self._pipeline = jobs.service.pipeline
        self._id = secrets.token_hex(8)
        self._guidance = Guidance(jobs)
        self._tasks: dict[Held, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Work for ever; what is not done when this is cancelled is given back."""
        root_path.set(self._jobs.settings.root_path or "")
        beat = asyncio.create_task(self._beat())
        try:
            while True:
                try:
                    await self._take()
                except DatabaseFault as error:  # a full disk, say: again every second
                    log.error("the queue of jobs cannot be asked: %s", error)
                except Exception:
                    log.exception("the queue of jobs cannot be asked")
                self._jobs.changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await self._jobs.changed.wait()
        finally:
            await cancel([beat, *self._tasks.values()])
            await self._guidance.close()
            with suppress(Exception):  # its lease ends by itself
                await self._jobs.ask(self._jobs.store.leave, self._id)

    async def _take(self) -> None:
        """Begin as many photos as there is room for."""
        try:
            model = self._service.ready()
        except NotReady:
            return
        room = _at_once(model, self._pipeline.decoding.threads) - len(self._tasks)
        if room <= 0:
            await self._make_room()
            return
        now, mine = time.time(), set(self._tasks)
        claim_some = self._jobs.store.claim
        for claim in await self._jobs.ask(claim_some, self._id, room, now, now + LEASE_S, mine):
            task = asyncio.create_task(self._work(claim))
            self._tasks[claim.held] = task
            task.add_done_callback(partial(self._over, claim.held))

    async def _make_room(self) -> None:
        """End the slowest photo on its way from an address, where other jobs' photos wait."""
        slow = self._jobs.addresses.slowest()
        if slow is None:
            return
        mine, now = sorted({job for job, _, _ in self._tasks}), time.time()
        if await self._jobs.ask(self._jobs.records.others_wait, mine, now):
            slow.end()

    def _over(self, held: Held, _: "asyncio.Task[None]") -> None:
        del self._tasks[held]
        self._jobs.changed.set()

    async def _beat(self) -> None:
        """Be heard of, and drop what this worker does not hold any more, for ever."""
        while True:
            await asyncio.sleep(_BEAT_S)
            mine = list(self._tasks.items())
            if not mine:
                continue
            try:
                until = time.time() + LEASE_S
                held = await self._jobs.ask(self._jobs.store.beat, self._id, until)
            except DatabaseFault as error:
                log.error("the queue of jobs cannot be told that this worker lives: %s", error)
                continue
            except Exception:
                log.exception("the queue of jobs cannot be told that this worker lives")
                continue
            for each, task in mine:
                if each not in held:
                    task.cancel()

    async def _work(self, claim: Claim) -> None:
        """One photo: its result or its problem is put into the queue, or it is given back."""
        pause_s = _PAUSE_S * 2 ** min(claim.attempt, _DOUBLED)
        try:
            outcome = await self._outcome(claim)
            if outcome is None:
                await self._jobs.ask(self._jobs.store.seen, claim, self._id)
            else:
                await self._settle(claim, outcome)
        except asyncio.CancelledError:
            await self._release(claim, 0)
            raise
        except (Busy, NotReady, Unavailable, JobsFull, OSError, DatabaseFault) as error:
            said = getattr(error, "detail", error)
            log.info("photo %d of job %s waits: %s", claim.n, claim.job, said)
            in_vain = isinstance(error, Unavailable | JobsFull)
            await self._release(claim, pause_s, tries=int(in_vain))
        except EngineFailed:
            await self._release(claim, pause_s, faults=1)
        except Exception:
            log.exception("photo %d of job %s", claim.n, claim.job)
            await self._release(claim, pause_s, faults=1)

    async def _release(self, claim: Claim, pause_s: float, **more: int) -> None:
        due = time.time() + pause_s if pause_s else 0.0
        with suppress(Exception):  # when it takes the next ones, it waits again
            await self._jobs.ask(self._jobs.store.release, claim, self._id, due, **more)

    async def _outcome(self, claim: Claim) -> Made | Exception | None:
        """The result and the version that made it, or what is wrong with the photo; None where it
        was only to be looked at.

        Raises:
            Busy, NotReady, EngineFailed, Unavailable, JobsFull, OSError, DatabaseFault: it is not
                the photo's fault, or perhaps not.
        """
        if claim.faults >= MOST_FAULTS:
            return PhotoAbandoned(
                f"The service failed {claim.faults} times while it worked on this photo."
            )
        try:
            return await self._colored(claim)
        except (Busy, NotReady, EngineFailed):
            raise
        except (Unavailable, JobsFull) as error:
            return _given_up(claim, error)
        except (ServiceError, ModelStoreError) as error:
            return without_locals(error)
        except FileNotFoundError:
            if not await self._jobs.on_disk(self._jobs.files.there):
                raise
            return PhotoAbandoned("The photo is not on the service's disk any more.")

    async def _colored(self, claim: Claim) -> Made | None:
        pipeline, options = self._pipeline, _understood(claim.options)
        order = options.order(await self._service.model_for(options.model))
        order = await self._guidance.order(claim, order, album=options.album)
        known = 0 if claim.source else claim.size
        with await pipeline.uploads.take(max(known, 1), background=True) as share:
            if claim.source:
                data = await self._jobs.addresses.fetch(claim.source, share)
            else:
                photo = self._jobs.files.photo
                data = await self._jobs.on_disk(photo, claim.job, claim.start, claim.size)
            upload = Upload(claim.name, data)
            del data  # the body gives it back
            await asyncio.to_thread(pipeline.look_at, [upload], options.page)
            ticket = pipeline.backlog.behind(upload.pixels, claim.owner)
            if claim.step == "look":
                await self._guidance.look(claim, upload, order, ticket)
                return None
            colored = await pipeline.colorize(Body([upload], [], share), upload, order, ticket)
            if claim.source and not claim.target:
                more = len(colored.data) - UNKNOWN_BYTES
                with colored.share.until_failure():
                    await self._jobs.ask(self._jobs.store.check_room, more)
            return colored, order.model.version

    async def _settle(self, claim: Claim, made: Made | Exception) -> None:
        files, on_disk, size, crc = self._jobs.files, self._jobs.on_disk, 0, 0
        name = claim.stem
        outcome, version = (made, None) if isinstance(made, Exception) else made
        if isinstance(outcome, Colored):
            name += SUFFIXES[outcome.format]
            with outcome.share:
                if claim.target:
                    try:
                        media_type = MEDIA_TYPES[outcome.format]
                        await self._jobs.addresses.send(claim.target, outcome.data, media_type)
                    except Unavailable as error:
                        outcome = _given_up(claim, error)
                    except ServiceError as error:
                        outcome = without_locals(error)
                else:
                    crc = await on_disk(files.keep_result, *claim.held, outcome.data)
                    size = len(outcome.data)
        entry = describe(claim.n, Upload(claim.name, b""), name, outcome)
        entry.model_version = version
        became = await self._jobs.ask(
            self._jobs.store.settle,
            claim,
            self._id,
            time.time(),
            entry.model_dump_json(exclude_none=True),
            fine=isinstance(outcome, Colored),
            size=size,
            crc=crc,
        )
        if became == "lost":  # somebody else has it, or nobody wants it
            await on_disk(files.drop_result, *claim.held)
        elif became == "ended":
            self._jobs.ended.set()
            await on_disk(files.drop_photos, claim.job)


def _understood(options: str) -> JobOptions:
    """A job's options.

    Raises:
        NotReady: another version of the service, which shares the queue, took them. The job waits
            for one that knows them: an upgrade may be half done, or undone.
    """
    try:
        return JobOptions.model_validate_json(options)
    except ValidationError as error:
        raise NotReady("This version of the service does not know all of its options.") from error


def _given_up(claim: Claim, error: Unavailable | JobsFull) -> Exception:
    """What is told of a photo that was tried so often; before that it raises the error."""
    if claim.tries + 1 < _MOST_TRIES:
        raise error
    if isinstance(error, JobsFull):
        return without_locals(error)
    return AddressFailed(f"{error}, at the last of {_MOST_TRIES} tries.")


def _at_once(model: LoadedModel, threads: int) -> int:
    """Photos that a worker holds: enough to fill a GPU's batch, or to keep a CPU's cores busy."""
    if model.engine.device.startswith("GPU"):
        return model.photos_at_once + threads
    return threads + 2
