"""Results of a job as one ZIP, read from disk piece by piece."""

import logging
import zipfile
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.types import Scope

from ..limits import cut_off
from ..manifest import Manifest, PhotoResult
from ..responses import Chunks, Entry, Sink, last_of
from .database import DatabaseFault, Row

if TYPE_CHECKING:
    from .jobs import Jobs

log = logging.getLogger("chromaserve.jobs")

_PIECE = 64 * 1024


def entry_of(photo: Row) -> PhotoResult | None:
    """A photo's entry in the manifest; None while nothing is known of it, or where it was
    cancelled."""
    return PhotoResult.model_validate_json(photo["told"]) if photo["told"] else None


def _is_kept(photo: Row) -> bool:
    return photo["state"] == "done" and not photo["target"]


def first_lost(photos: Sequence[tuple[Row, Path]]) -> int | None:
    """The number of the first photo whose result should be on disk and is not."""
    lost = (photo["n"] for photo, path in photos if _is_kept(photo) and not path.is_file())
    return next(lost, None)


async def zipped(
    jobs: "Jobs", scope: Scope, manifest: Manifest, photos: Sequence[tuple[Row, Path]]
) -> Chunks:
    """Stored results, and manifest.json at the end: once this returns, an answer may begin.

    Where one cannot be read later the connection is cut, so that nobody takes it for all.

    Args:
        jobs: whose results they are.
        scope: of the request.
        manifest: without its photos.
        photos: of the job, in their order, each with where its result is.

    Raises:
        OSError: the first cannot be read.
        DatabaseFault: its folder does not answer.
    """
    chunks = _zipped(jobs, manifest, photos)
    return _or_cut(await anext(chunks), chunks, scope)


async def _or_cut(first: bytes | memoryview, chunks: Chunks, scope: Scope) -> Chunks:
    async with aclosing(chunks):
        yield first
        try:
            async for chunk in chunks:
                yield chunk
        except (OSError, DatabaseFault) as error:
            why = "expired" if isinstance(error, FileNotFoundError) else f"fail ({error})"
            log.warning("results %s while a client took them", why)
            if not await cut_off(scope, 500):
                raise  # which has another server cut it off


async def _zipped(jobs: "Jobs", manifest: Manifest, photos: Sequence[tuple[Row, Path]]) -> Chunks:
    sink = Sink()
    archive = zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED)
    for photo, path in photos:
        entry = entry_of(photo)
        if entry is None:
            continue
        manifest.photos.append(entry)
        if not _is_kept(photo):
            continue
        assert entry.output
        stored = await jobs.on_disk(path.open, "rb")
        about = Entry(entry.output, photo["crc"], photo["bytes"])
        try:
            with archive.open(about, "w") as file:
                while piece := await jobs.on_disk(stored.read, _PIECE):
                    file.write(piece)
                    for chunk in sink.drain():
                        yield chunk
        finally:
            jobs.let_go(stored)
    for chunk in last_of(archive, sink, manifest):
        yield chunk
