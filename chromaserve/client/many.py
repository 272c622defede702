"""Photos of one request: sent together, handed out one by one as the ZIP streams in."""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from chromaserve.client.archive import ArchiveReader, BadArchive
from chromaserve.client.photos import Photo, Source, source
from chromaserve.client.problems import BadPhoto, ProblemError, TooBusy, problem_error
from chromaserve.client.request import FAILURES, Named, answer, asked_pause_s, give_up, may_pass
from chromaserve.client.results import Colorized, Outcome, Result, model_version_of
from chromaserve.client.retries import Attempts, Retries
from chromaserve.photos.formats import MEDIA_TYPES, SUFFIXES
from chromaserve.photos.names import unique_name

_AHEAD = 2  # results that wait for the caller
_MANIFEST = "manifest.json"
_MEDIA_TYPES = {SUFFIXES[format]: MEDIA_TYPES[format] for format in SUFFIXES}
_BODY_BYTES = 32 * 2**20


@dataclass
class Limits:
    """What one request may hold, lowered to what the service says that it takes; and how many."""

    photos: int = 16
    requests: int = 2
    bytes: int = _BODY_BYTES

    def __post_init__(self) -> None:
        if min(self.photos, self.requests) < 1:
            raise ValueError("per_request and requests must be at least 1")


class Numbered(NamedTuple):
    """A photo with its place among all that were given."""

    position: int
    photo: Source | OSError
    name: str


class UniqueNames:
    """Tells results apart whose photos have one name, in different folders."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def told_apart(self, colorized: Colorized) -> Colorized:
        """The same, its result under a name that none before it has."""
        outcome = colorized.outcome
        if not isinstance(outcome, Result):
            return colorized
        stem, dot, extension = outcome.name.rpartition(".")
        name = unique_name(stem, dot + extension, self._taken)
        return colorized._replace(outcome=replace(outcome, name=name))


def batches(photos: Iterable[Photo], limits: Limits) -> Iterator[list[Numbered]]:
    """Cut photos into what goes into one request each, by the limits as they are then."""
    batch: list[Numbered] = []
    held = 0
    for position, photo in enumerate(photos):
        each = _numbered(position, photo)
        size = each.photo.size if isinstance(each.photo, Source) else 0
        if batch and (len(batch) >= limits.photos or held + size > limits.bytes):
            yield batch
            batch, held = [], 0
        batch.append(each)
        held += size
    if batch:
        yield batch


def _numbered(position: int, photo: Photo) -> Numbered:
    try:
        found = source(photo)
    except OSError as error:
        name = Path(photo).name if isinstance(photo, str | Path) else "photo"
        return Numbered(position, error, name)
    return Numbered(position, found, found.name)


class Batch:
    """A task that colorizes a batch, in one request if all goes well; `next` gives the outcomes.

    What comes to nothing is sent again, without the photos that are done.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        photos: list[Numbered],
        options: Mapping[str, Any],
        limits: Limits,
        retries: Retries,
    ) -> None:
        """Start at once."""
        self._http = http
        self._photos = photos
        self._options = options
        self._limits = limits
        self._retries = retries
        self._done: dict[int, Outcome] = {}  # by place; those not handed out yet
        self._finished = 0
        self._handed_out = 0
        self._ready: asyncio.Queue[Colorized | Exception | None] = asyncio.Queue(_AHEAD)
        self._task = asyncio.create_task(self._run())

    async def next(self) -> Colorized | None:
        """What became of the next photo, None after the last.

        Raises:
            ProblemError, Unreachable: the request as a whole comes to nothing.
        """
        told = await self._ready.get()
        if isinstance(told, Colorized):
            return told
        await self._task  # that was its last word
        if told is not None:
            raise told
        return None

    async def cancel(self) -> None:
        """Give up what is not done."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        try:
            await self._colorize(list(range(len(self._photos))))
        except Exception as error:
            await self._ready.put(error)
        else:
            await self._ready.put(None)

    async def _colorize(self, todo: list[int]) -> None:
        """Send photos, by place in the batch, until each has its outcome."""
        attempts = Attempts(self._retries)
        while True:
            before, failure = self._finished, None
            try:
                passing = await self._request(todo)
            except FAILURES as error:
                passing, failure = {}, error
                parts = self._smaller(todo, error)
                if parts:
                    for part in parts:
                        await self._colorize(part)
                    return
                if not may_pass(error):
                    await self._refused(todo, error)
            todo = [i for i in todo if self._open(i)]
            if not todo:
                return
            if self._finished > before:
                attempts.progress()
            asked = [asked_pause_s(error) for error in (failure, *passing.values()) if error]
            pause_s = attempts.pause_s(max((s for s in asked if s is not None), default=None))
            if pause_s is None:
                if failure:
                    give_up(failure)
                for place, problem in passing.items():
                    await self._finish(place, problem)
                return
            await asyncio.sleep(pause_s)

    async def _request(self, todo: list[int]) -> dict[int, ProblemError]:
        """One request; what of it failed for a reason that may pass."""
        with ExitStack() as stack:
            files: list[Named] = []
            sent: list[int] = []
            for place in todo:
                photo = self._photos[place].photo
                try:
                    if isinstance(photo, OSError):
                        raise photo
                    opened = photo.open(stack)
                except OSError as error:
                    await self._finish(place, error)
                    continue
                # By its place, to know it again: the ZIP leaves out what failed.
                files.append((f"{place}-{photo.name}", opened))
                sent.append(place)
            if not files:
                return {}
            async with answer(
                self._http, files, self._options, accept="application/zip"
            ) as response:
                manifest = await self._read(response)
        passing: dict[int, ProblemError] = {}
        for entry in manifest["photos"]:
            if "problem" in entry:
                problem = problem_error(entry["problem"])
                if isinstance(problem, TooBusy):
                    passing[sent[entry["index"]]] = problem
                else:
                    await self._finish(sent[entry["index"]], problem)
        return passing

    async def _read(self, response: httpx.Response) -> dict[str, Any]:
        """Take results out of an answer as they come; its manifest."""
        reader = ArchiveReader()
        manifest: dict[str, Any] | None = None
        version, request_id = model_version_of(response), response.headers.get("x-request-id")
        async for chunk in response.aiter_bytes():
            for name, content in reader.feed(chunk):
                if name == _MANIFEST:
                    manifest = json.loads(content)
                    continue
                place, _, own = name.partition("-")
                media_type = _MEDIA_TYPES.get(
                    f".{own.rpartition('.')[2]}", "application/octet-stream"
                )
                result = Result(content, media_type, own, version, {}, request_id)
                await self._finish(int(place), result)
        if manifest is None:
            raise BadArchive("The ZIP ended before its manifest.")
        return manifest

    def _smaller(self, todo: list[int], error: Exception) -> list[list[int]]:
        """The photos in smaller requests, where the service says that these are too large."""
        if not isinstance(error, ProblemError) or len(todo) == 1:
            return []
        limit = error.extensions.get("limit")
        if error.slug == "too-many-photos" and isinstance(limit, int) and 0 < limit < len(todo):
            self._limits.photos = min(self._limits.photos, limit)
            step = limit
        elif error.slug == "body-too-large" or error.status == 413:
            step = (len(todo) + 1) // 2
            if isinstance(limit, int):
                self._limits.bytes = min(self._limits.bytes, int(0.95 * limit))
        else:
            return []
        return [todo[i : i + step] for i in range(0, len(todo), step)]

    async def _refused(self, todo: list[int], error: Exception) -> None:
        """Take an error of the whole answer for one of the photos, if it is; else raise it.

        That is where each photo has its own, where there is only one, and where the model failed
        or took too long: later requests may fare better.
        """
        if not isinstance(error, ProblemError):
            give_up(error)
        waiting = [i for i in todo if self._open(i)]
        if error.slug == "all-photos-failed":
            for place, told in zip(waiting, error.extensions["errors"], strict=True):
                await self._finish(place, problem_error(told, request_id=error.request_id))
        elif (isinstance(error, BadPhoto) and len(waiting) == 1) or error.status >= 500:
            for place in waiting:
                await self._finish(place, error)
        else:
            raise error

    def _open(self, place: int) -> bool:
        return place >= self._handed_out and place not in self._done

    async def _finish(self, place: int, outcome: Outcome) -> None:
        """Note an outcome; hand out those that are next, as the caller takes them."""
        if not self._open(place):
            return
        self._done[place] = outcome
        self._finished += 1
        while self._handed_out in self._done:
            position, _, name = self._photos[self._handed_out]
            told = Colorized(position, name, self._done.pop(self._handed_out))
            self._handed_out += 1
            await self._ready.put(told)
