"""Jobs of a service: photos that are handed in now, and fetched when they are done."""

import asyncio
import base64
import math
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import httpx

from chromaserve.client.bounds import MOST_OF_AN_EVENT, lines, too_large, whole
from chromaserve.client.photos import Photo, Source, parameters, readied, source
from chromaserve.client.photos import fields as form_fields
from chromaserve.client.problems import ProblemError, parsed, problem_error
from chromaserve.client.request import Http, asked, check, sendable, sendable_key
from chromaserve.client.results import Colorized, Result
from chromaserve.library.files import check_several

T = TypeVar("T")

_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.2, 2.0  # pauses between looks
_LOOK_S = 1.0  # that a look has, however little time is left
_SILENCE = httpx.Timeout(10, read=60, pool=None)
"""A service that works says so every 15 s."""

Again = Callable[[Callable[[], Awaitable[T]]], Awaitable[T]]
"""Does something, again where it may pass."""


@dataclass(frozen=True)
class Address:
    """A photo of a job by where it is; the service has a list of what it asks."""

    url: str
    """It is fetched from there by GET."""
    out: str | None = None
    """Its result is sent there by PUT, such as a presigned address of an object store."""
    name: str | None = None


@dataclass(frozen=True)
class JobStatus:
    """How far a job is."""

    id: str
    state: Literal["waiting", "working", "done", "cancelled"]
    photos: int
    """Results that it is to have."""
    done: int
    failed: int
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    expires: datetime | None = None
    """When the job and its results are forgotten."""
    place: int | None = None
    """In the queue, from 1; None once it has ended."""
    ahead: int | None = None
    """Photos of other jobs that go before its last one."""
    time_left_s: float | None = None
    """By the service's estimate; None while none is known."""


def status_of(told: Mapping[str, Any]) -> JobStatus:
    """A status from its JSON; what else a newer service tells is left out."""
    known = {each.name: told[each.name] for each in fields(JobStatus) if each.name in told}
    for name in ("created", "started", "ended", "expires"):
        if known.get(name):
            known[name] = datetime.fromisoformat(known[name])
    return JobStatus(**known)


def statuses_of(told: Mapping[str, Any]) -> list[JobStatus]:
    """Those of a list of jobs, from its JSON."""
    return [status_of(each) for each in told["jobs"]]


class AsyncJob:
    """A job of a service, for asyncio; `AsyncClient.submit` makes one."""

    def __init__(self, http: Http, again: Again[Any], status: JobStatus) -> None:
        self._http = http
        self._again = again
        self._path = f"jobs/{quote(status.id, safe='')}"
        self.status = status
        """As it was last heard of."""

    @property
    def id(self) -> str:
        """What the service knows it by."""
        return self.status.id

    async def refresh(self) -> JobStatus:
        """Ask how far it is.

        Raises:
            ProblemError: there is no such job, or it has expired.
            Unreachable: there was no answer.
        """
        self.status = await self._again(lambda: asked(self._http, "GET", self._path, status_of))
        return self.status

    async def wait(self, timeout: float | None = None) -> JobStatus:
        """Wait until it has ended, for so many seconds at most.

        Raises:
            TimeoutError: it has not by then.
            ProblemError, Unreachable: as `refresh`.
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        pause_s, left_s = _FIRST_LOOK_S, timeout or 0.0
        late = TimeoutError(f"Job {self.id} has not ended in {timeout} s.")
        while True:
            try:  # a service that is away is asked again and again by `refresh`
                async with asyncio.timeout(None if timeout is None else max(left_s, _LOOK_S)):
                    if (await self.refresh()).ended is not None:
                        return self.status
            except TimeoutError:
                raise late from None
            left_s = end - time.monotonic()
            if left_s <= 0:
                raise late
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(1.5 * pause_s, _LONGEST_LOOK_S)

    async def cancel(self) -> JobStatus:
        """Have no more of it done; what is done stays.

        Raises:
            ProblemError, Unreachable: as `refresh`.
        """
        self.status = await self._again(lambda: asked(self._http, "DELETE", self._path, status_of))
        return self.status

    async def results(self) -> AsyncGenerator[Colorized, None]:
        """What becomes of each photo, as soon as it is known, until the job has ended.

        A result that was sent to an address of its own has no data here.

        Raises:
            ProblemError, Unreachable: as `refresh`.
            AnswerTooLarge: a result has more than the client's `max_result_mb`, an event than 1.
        """
        last = "0"
        while True:

            async def opened(last: str = last) -> httpx.Response:
                request = self._http.build_request(
                    "GET",
                    f"{self._path}/events",
                    headers={"Last-Event-ID": last},
                    timeout=_SILENCE,
                )
                response = await self._http.send(request, stream=True)
                await check(response, "text/event-stream")
                return response

            response = await self._again(opened)
            try:
                async for kind, number, data in _events(response):
                    if kind == "photo":
                        last = number
                        yield await self._outcome(parsed(data))
                    else:
                        self.status = status_of(parsed(data))
                    if kind == "end":
                        return
            except httpx.RequestError:
                pass  # from there on again
            finally:
                await response.aclose()
            await asyncio.sleep(_FIRST_LOOK_S)

    async def _outcome(self, entry: Mapping[str, Any]) -> Colorized:
        name, position = entry.get("input") or "photo", entry["index"]
        if "problem" in entry:
            return Colorized(position, name, problem_error(entry["problem"]))

        async def fetched() -> bytes:
            async with self._http.stream("GET", f"{self._path}/results/{position}") as response:
                await check(response, entry["media_type"])
                return (await whole(response, self._http.most_of_a_result)).content

        try:
            data = await self._again(fetched)
        except ProblemError as error:
            if error.slug != "no-result":
                raise
            if not error.extensions.get("sent"):
                return Colorized(position, name, error)
            data = b""
        shown = ("colour", "kept", "page", "warnings", "confidence", "hint_places")
        about = {key: entry[key] for key in shown if key in entry}
        version = entry.get("model_version", 0)
        result = Result(data, entry["media_type"], entry["output"], version, told=about)
        return Colorized(position, name, result)


async def submitted(
    http: Http,
    photos: Iterable[Photo | Address],
    options: Mapping[str, Any],
    key: str | None,
) -> Callable[[], Awaitable[JobStatus]]:
    """What sends a job, and may be called again: the same key is the same job.

    Raises:
        ValueError: there is no photo, some are addresses and some are not, or the key is none.
        TypeError: `photos` is one photo.
        OSError: a photo cannot be read.
    """
    check_several(photos)
    given = list(photos)
    addresses = [each for each in given if isinstance(each, Address)]
    if not given or len(addresses) not in (0, len(given)):
        raise ValueError("A job has photos, or addresses of photos, and one at least.")
    own = str(uuid.uuid4()) if key is None else sendable_key(key, "the idempotency key")
    headers = {"Idempotency-Key": own}
    options = readied(options)
    reference: Source | None = options.pop("reference", None)
    if addresses:
        members = [{k: v for k, v in vars(each).items() if v is not None} for each in addresses]
        body = {**parameters(options), **form_fields(options), "photos": members}
        if reference:
            body["reference"] = base64.b64encode(reference.read()).decode()
        return lambda: asked(http, "POST", "jobs", status_of, json=body, headers=headers)
    sources = [source(each) for each in given if not isinstance(each, Address)]

    async def once() -> JobStatus:
        with ExitStack() as stack:
            parts = [("file", each) for each in sources]
            if reference:
                parts.append(("reference", reference))
            files = [(field, (sendable(each.name), each.open(stack))) for field, each in parts]
            return await asked(
                http,
                "POST",
                "jobs",
                status_of,
                params=parameters(options),
                data=form_fields(options),
                files=files,
                headers=headers,
            )

    return once


async def _events(response: httpx.Response) -> AsyncIterator[tuple[str, str, str]]:
    """Kind, id and data of each server-sent event."""
    kind, number, data = "message", "", ""
    async for line in lines(response):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield kind, number, data
            kind, data = "message", ""
        elif name == "event":
            kind = value
        elif name == "id":
            number = value
        elif name == "data":
            data += value
            if len(data) > MOST_OF_AN_EVENT:
                raise too_large(MOST_OF_AN_EVENT)
