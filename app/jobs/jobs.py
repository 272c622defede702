"""The jobs of a service: the queue, the files, and the worker that this process is."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ParamSpec, TypeVar

from chromaserve.errors import InvalidOptions, ServiceError

from ..errors import JobNotFound, JobsAway, JobsFull
from .database import DatabaseFault
from .opening import JobsUnusable, opened
from .options import JobOptions
from .order import Address
from .queued import NewJob
from .records import Records, Standing
from .store import Store
from .told import Job, told
from .watch import Watch

if TYPE_CHECKING:
    from ..service import Service

log = logging.getLogger("chromaserve.jobs")

P = ParamSpec("P")
T = TypeVar("T")

_SWEEP_S = 10.0
_TURN_S = 10.0
"""So long a question waits for its turn, behind one that the database has not answered."""
FOLDER_AWAY = "The folder of jobs cannot be reached now. Come again shortly."
_AT_DISK = 16
"""Threads that work with files at most: a folder that hangs takes no others."""


class Jobs:
    """What routes and the worker ask; the database has a thread of its own."""

    def __init__(self, service: "Service", folder: Path) -> None:
        """Open the queue, or make it.

        Raises:
            JobsUnusable: it cannot be.
            JobsAbsent: its database or its disk is not there now, or full.
        """
        self.service = service
        self.settings = service.settings
        self.files, self._database = opened(folder, self.settings.jobs_database)
        self.store = Store(self._database, int(self.settings.jobs_mb * 2**20))
        self.records = Records(self._database)
        self.watch = Watch(lambda wanted: self.ask(self.records.watched, wanted, time.time()))
        # Here and in `work`: without jobs the service does not load an HTTP client.
        from .addresses import Addresses

        try:
            self.addresses = Addresses(self.settings)
        except ValueError as error:
            raise JobsUnusable(f"CHROMASERVE_JOBS_ADDRESSES: {error}") from error
        self._thread = ThreadPoolExecutor(1, "jobs")
        self._disk = ThreadPoolExecutor(_AT_DISK, "jobs-disk")
        self._hanging = set[asyncio.Future[Any]]()
        self.changed = asyncio.Event()
        """Set when there may be work."""
        self.ended = asyncio.Event()
        """Set when a callback may be due."""
        self.waiting = self.held = 0
        """Photos that are not done, and bytes on disk, as of late."""

    async def ask(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something of `store` or `records`; once begun it is done, whoever is cancelled.

        Raises:
            DatabaseFault: it could not be, or others before it take too long; nothing was done.
        """
        asked = self._thread.submit(work, *args, **kwargs)
        return await asyncio.shield(await _begun(asked, "it has not answered others yet"))

    async def on_disk(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something of `files`, or with one of them; its errors pass.

        Raises:
            DatabaseFault: others before it take too long; nothing was done.
        """
        asked = self._disk.submit(work, *args, **kwargs)
        done = await _begun(asked, "the folder has not answered others yet")
        if not done.done():
            self._hanging.add(done)
            done.add_done_callback(self._hanging.discard)
        return await asyncio.shield(done)

    def check_folder(self) -> None:
        """Raise JobsAway while the folder hangs, before more is held for it."""
        if self._hanging:
            raise JobsAway(FOLDER_AWAY)

    def let_go(self, file: IO[bytes]) -> None:
        """Close a file, without waiting for a read that somebody has left."""
        with suppress(RuntimeError):  # the service ends
            self._disk.submit(file.close)

    def check_addresses(self, chosen: JobOptions, photos: Sequence[Address]) -> None:
        """Raise AddressRefused where a job names an address that the service does not ask.

        Raises:
            InvalidOptions: there is nothing to sign a callback with.
        """
        if chosen.callback is not None:
            self.addresses.check(chosen.callback)
            if self.settings.jobs_secret is None:
                raise InvalidOptions("callback: this service has no secret to sign it with.")
        for photo in photos:
            self.addresses.check(photo.url)
            if photo.out is not None:
                self.addresses.check(photo.out)

    async def accept(self, new: NewJob, photos: Sequence[bytes]) -> Job:
        """Have a job for good: it is on disk when this returns.

        Args:
            new: the job; it gets its id here.
            photos: what its file is made of; first a reference, if there is one.

        Raises:
            IdempotencyKeyReused: its key came with something else before.
            JobsFull: there is no room.
        """
        # A client that goes must not leave half of it behind.
        return await asyncio.shield(asyncio.create_task(self._accept(new, photos)))

    async def _accept(self, new: NewJob, photos: Sequence[bytes]) -> Job:
        known = new.key and await self.ask(self.store.known, new.owner, new.key, new.digest)
        if known:
            return await self.find(known, new.owner)
        size = sum(map(len, photos)) + sum(photo.reserved for photo in new.photos)
        size += new.album_bytes
        await self.ask(self.store.check_room, size)
        # A command would take one that begins with - for an option.
        new = replace(new, id=secrets.token_urlsafe(18).replace("-", "_"))
        try:
            if photos:
                await self.on_disk(self.files.keep_photos, new.id, photos)
            accepted = await self.ask(self.store.accept, new, time.time())
        except (OSError, DatabaseFault) as error:
            # What came to nothing may have been accepted all the same. While that is not known the
            # photos stay.
            if isinstance(error, OSError) or not await self.ask(self.records.has, new.id):
                await self.on_disk(self.files.drop_photos, new.id)
                log.error("a job cannot be written: %s", error)
                raise JobsFull("The disk for jobs takes nothing now. Come again later.") from error
            accepted = new.id
        except ServiceError:
            await self.on_disk(self.files.drop_photos, new.id)
            raise
        if accepted != new.id:
            await self.on_disk(self.files.drop_photos, new.id)
        self.changed.set()
        return await self.find(accepted, new.owner)

    async def find(self, job: str, owner: str) -> Job:
        """That owner's job.

        Raises:
            JobNotFound: there is none.
        """
        standing = await self.ask(self.records.standing, job, owner, time.time())
        if standing is None:
            raise JobNotFound("There is no such job of yours; perhaps it has expired.")
        return self.told(standing)

    def told(self, standing: Standing) -> Job:
        """A job as clients are told of it."""
        return told(standing, self.service.pipeline, self.settings.jobs_keep_s)

    async def listed(self, owner: str, most: int) -> list[Job]:
        """That owner's jobs, the latest first.

        Raises:
            JobNotFound: it is nobody; whoever has no key has the ids alone.
        """
        if not owner:
            raise JobNotFound(
                "Without an API key nobody's jobs can be told from others': they are known by their"
                " ids. Keep the id that POST /jobs gave."
            )
        return [
            self.told(each) for each in await self.ask(self.records.of, owner, most, time.time())
        ]

    async def cancel(self, job: str, owner: str) -> Job:
        """Have no more of a job done.

        Raises:
            JobNotFound: there is none.
        """
        await self.find(job, owner)
        await self.ask(self.store.cancel, job, time.time())
        self.changed.set()
        self.ended.set()
        await self.on_disk(self.files.drop_photos, job)
        return await self.find(job, owner)

    async def sweep(self) -> None:
        """Forget what has expired, and keep count, for ever."""
        while True:
            try:
                before = time.time() - self.settings.jobs_keep_s
                for job in await self.ask(self.records.forget, before):
                    await self.on_disk(self.files.drop, job)
                known = await self.ask(self.records.ids)
                await self.on_disk(self.files.sweep, *known)
                self.waiting, self.held = await self.ask(self.records.load)
            except (OSError, DatabaseFault) as error:
                log.error("jobs cannot be swept: %s", error)
            await asyncio.sleep(_SWEEP_S)

    def work(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What is to run as long as the service does."""
        from .callbacks import Callbacks
        from .work import Worker

        return Worker(self).run(), Callbacks(self).run(), self.sweep()

    async def close(self) -> None:
        """Close the queue; what runs is finished first."""
        await self.addresses.close()
        await asyncio.to_thread(self._thread.shutdown)
        self._disk.shutdown(wait=False)
        self._database.close()


async def _begun(asked: Future[T], late: str) -> "asyncio.Future[T]":
    """A call that a thread has begun with, or has done, after a while.

    Raises:
        DatabaseFault: it has not, for others before it; nothing was done. As `late` says.
    """
    done = asyncio.wrap_future(asked)
    done.add_done_callback(_noted)
    await asyncio.wait([done], timeout=_TURN_S)
    if not done.done() and asked.cancel():
        raise DatabaseFault(late)
    return done


def _noted(done: "asyncio.Future[Any]") -> None:
    """Whoever asked may be gone, and asyncio would complain that nobody takes the error."""
    if not done.cancelled():
        done.exception()
