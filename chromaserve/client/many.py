"""Photos of one request: sent together, handed out one by one as the ZIP streams in."""

import asyncio
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import httpx

from chromaserve.client.archive import ArchiveReader, BadArchive, manifest_of
from chromaserve.client.batches import Limits, Numbered
from chromaserve.client.bounds import too_large
from chromaserve.client.photos import Source, hints_of, is_apart, numbered_hints
from chromaserve.client.problems import BadPhoto, ProblemError, TooBusy, problem_error
from chromaserve.client.request import FAILURES, Http, Named, answer, give_up, may_pass, pause_s
from chromaserve.client.results import Colorized, Outcome, Result, model_version_of
from chromaserve.client.retries import Attempts, Retries
from chromaserve.photos.formats import MEDIA_TYPES, SUFFIXES
from chromaserve.photos.names import page_ending, without_folders

if TYPE_CHECKING:
    from chromaserve.pipeline.hints import AnyHint

_AHEAD = 2  # results that wait for the caller
_FEW = 4096  # bytes of what is told of a result
_MANIFEST = "manifest.json"
_MEDIA_TYPES = {SUFFIXES[format]: MEDIA_TYPES[format] for format in SUFFIXES}


class Batch:
    """A task that colorizes a batch, in one request if all goes well; `next` gives the outcomes.

    What comes to nothing is sent again, without the photos that are done. A photo has one outcome,
    or with pages="all" one a page; how many those are is known at an answer's end.
    """

    def __init__(
        self,
        http: Http,
        photos: list[Numbered],
        options: Mapping[str, Any],
        limits: Limits,
        retries: Retries,
    ) -> None:
        """Start at once."""
        self._http = http
        self._photos = photos
        self._options = options
        self._hints: tuple[AnyHint, ...] = ()
        if hints := options.get("hints"):
            self._hints = numbered_hints(hints, [each.name for each in photos])
        self._limits = limits
        self._retries = retries
        self._apart = is_apart(options)
        self._counts = {} if self._apart else dict.fromkeys(range(len(photos)), 1)
        self._done: dict[tuple[int, int], Outcome] = {}  # by place and page; not handed out yet
        self._finished = self._held = 0
        self._next = (0, 1)
        self._ready: asyncio.Queue[Colorized | Exception | None] = asyncio.Queue(_AHEAD)
        self._task = asyncio.create_task(self._run())

    async def next(self) -> Colorized | None:
        """What became of the next photo, None after the last.

        Raises:
            ProblemError, Unreachable, AnswerTooLarge: the request as a whole comes to nothing.
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
        while todo := self._open(todo):
            before, passing = self._finished, dict[int, ProblemError]()
            failure: Exception | None = None
            try:
                passing = await self._request(todo)
            except OSError:  # a disk may fail in the middle of a photo
                if not await self._unreadable(todo):
                    raise
                continue
            except FAILURES as error:
                failure = error
                parts = self._smaller(todo, error)
                if parts:
                    for part in parts:
                        await self._colorize(part)
                    return
                if not may_pass(error):
                    await self._refused(todo, error)
            if not (todo := self._open(todo)):
                return
            if self._finished > before:
                attempts.progress()
            if not failure and not passing.keys() >= set(todo):
                failure = BadArchive("The answer says nothing of some photos.")
            errors = [failure] if failure else list(passing.values())
            pause = pause_s(self._http, attempts, *errors)
            if pause is None:
                if failure:
                    give_up(failure)
                for place, problem in passing.items():
                    await self._fail(place, problem)
                return
            await asyncio.sleep(pause)

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
                    await self._fail(place, error)
                    continue
                # By its place, to know it again: the ZIP leaves out what failed.
                files.append((f"{place}-{without_folders(photo.name)}", opened))
                sent.append(place)
            if not files:
                return {}
            options = {**self._options, "hints": hints_of(self._hints, sent)}
            async with answer(self._http, files, options, accept="application/zip") as response:
                manifest = await self._read(response, sent)
        return await self._problems(manifest["photos"])

    async def _problems(self, entries: Iterable[Mapping[str, Any]]) -> dict[int, ProblemError]:
        """Take what a manifest's entries say of failures; those that may pass are returned."""
        passing: dict[int, ProblemError] = {}
        counts: Counter[int] = Counter()
        for entry in entries:
            place = _place(entry["input"])
            counts[place] += 1
            if "problem" in entry:
                problem = problem_error(entry["problem"])
                if isinstance(problem, TooBusy):
                    passing[place] = problem
                else:
                    await self._finish(place, counts[place], problem)
        self._counts |= counts
        await self._hand_out()
        return passing

    async def _read(self, response: httpx.Response, sent: Container[int]) -> dict[str, Any]:
        """Take results of photos that were sent out of an answer as they come; its manifest."""
        reader = ArchiveReader(self._http.most_of_a_result)
        manifest: dict[str, Any] | None = None
        odd = 0
        version, request_id = model_version_of(response), response.headers.get("x-request-id")
        async for chunk in response.aiter_bytes():
            for name, content, told in reader.feed(chunk):
                if name == _MANIFEST:
                    manifest = manifest_of(content)
                    continue
                place, own = _place(name), name.partition("-")[2]
                if place not in sent:
                    odd += len(content) + _FEW
                    if odd > self._http.most_of_a_result:
                        raise too_large(self._http.most_of_a_result)
                    continue
                stem, _, suffix = own.rpartition(".")
                media_type = _MEDIA_TYPES.get(f".{suffix}", "application/octet-stream")
                page = int(told["page"].split()[0]) if self._apart and "page" in told else 1
                if not stem.endswith(page_ending(page)):
                    page = self._counts[place] = 1
                result = Result(content, media_type, own, version, {}, request_id, told)
                await self._finish(place, page, result)
        if manifest is None:
            raise BadArchive("The ZIP ended before its manifest.")
        return manifest

    def _smaller(self, todo: list[int], error: Exception) -> list[list[int]]:
        """The photos in smaller requests, where the service says that these are too large."""
        if not isinstance(error, ProblemError) or len(todo) == 1 or self._limits.together:
            return []
        limit, half = error.extensions.get("limit"), (len(todo) + 1) // 2
        if error.slug == "too-many-photos" and isinstance(limit, int) and limit > 0:
            self._limits.photos = min(self._limits.photos, limit)
            step = limit if limit < len(todo) else half  # pages count as photos
        elif error.slug == "body-too-large" or error.status == 413:
            step = half
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
        waiting = self._open(todo)
        if error.slug == "all-photos-failed":
            await self._problems(
                {"input": told["input"], "problem": told} for told in error.extensions["errors"]
            )
        elif (isinstance(error, BadPhoto) and len(waiting) == 1) or error.status >= 500:
            for place in waiting:
                await self._fail(place, error)
        else:
            raise error

    async def _unreadable(self, todo: list[int]) -> bool:
        """Take the errors of photos that cannot be read to their ends; whether there are some."""
        found = False
        for place in todo:
            photo = self._photos[place].photo
            try:
                if isinstance(photo, Source):
                    await asyncio.to_thread(photo.check)
            except OSError as error:
                found = True
                await self._fail(place, error)
        return found

    def _open(self, todo: list[int]) -> list[int]:
        return [place for place in todo if self._is_open(place)]

    def _is_open(self, place: int) -> bool:
        """Whether something of a photo is still to come."""
        if place not in self._counts:
            return True
        return any(self._is_wanted(place, n + 1) for n in range(self._counts[place]))

    def _is_wanted(self, place: int, page: int) -> bool:
        return (place, page) >= self._next and (place, page) not in self._done

    async def _fail(self, place: int, error: ProblemError | OSError) -> None:
        """Take an error for all of a photo that is still to come; for one page of unknown many."""
        there = [page for at, page in self._done if at == place]
        if self._next[0] == place:
            there.append(self._next[1] - 1)
        count = self._counts.setdefault(place, max(there, default=0) + 1)
        for n in range(count):
            await self._finish(place, n + 1, error)

    async def _finish(self, place: int, page: int, outcome: Outcome) -> None:
        """Note an outcome, and hand out what is next."""
        if self._is_wanted(place, page):
            self._done[place, page] = outcome
            self._finished += 1
            self._held += _size(outcome)
            await self._hand_out()
            if self._held > self._http.most_of_a_result:
                raise too_large(self._http.most_of_a_result)

    async def _hand_out(self) -> None:
        """Hand out outcomes that are next, as the caller takes them."""
        while self._next[0] < len(self._photos):
            place, page = self._next
            if self._next in self._done:
                position, _, name = self._photos[place]
                told = Colorized(position, name, self._done.pop(self._next))
                self._held -= _size(told.outcome)
                self._next = place, page + 1
                await self._ready.put(told)
            elif page > self._counts.get(place, page):
                self._next = place + 1, 1
            else:
                return


def _size(outcome: Outcome) -> int:
    """Bytes that it holds, about."""
    return _FEW + len(outcome.data) if isinstance(outcome, Result) else _FEW


def _place(name: str) -> int:
    """Of the photo that was sent by that name, -1 if there is none."""
    number = name.partition("-")[0]
    return int(number) if number.isdecimal() and len(number) < 10 else -1
