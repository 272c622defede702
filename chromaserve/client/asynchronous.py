"""The client for asyncio, which the blocking one is made of."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import ExitStack
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack
from urllib.parse import quote

import httpx

from chromaserve.client.batches import Limits, Numbered, UniqueNames, batches
from chromaserve.client.bounds import MAX_RESULT_MB, whole
from chromaserve.client.jobs import Address, AsyncJob, JobStatus, status_of, statuses_of, submitted
from chromaserve.client.many import Batch
from chromaserve.client.photos import (
    JobOptions,
    Options,
    Photo,
    check_proposals,
    is_apart,
    readied,
    source,
)
from chromaserve.client.problems import AnswerTooLarge, ProblemError, problem_of
from chromaserve.client.request import (
    TIMEOUT,
    answer,
    asked,
    open_http,
    until_done,
)
from chromaserve.client.results import Colorized, Result, ServiceInfo, info_of, result_of
from chromaserve.client.retries import Attempts, Retries

T = TypeVar("T")

_LOOK_S = 0.2  # between looks whether the service is ready


class AsyncClient:
    """A client of the service at a URL, for asyncio.

    Requests that get no answer, or are turned away because there is no room, are sent again: see
    `Retries`. An async context manager, which closes the connections.

    Example:
        async with AsyncClient("http://localhost:8000") as client:
            result = await client.colorize(Path("photo.jpg"), vividness=0.8)
            result.save("colour.png")
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float | httpx.Timeout = TIMEOUT,
        retries: Retries | int = Retries(),  # noqa: B008 - frozen
        verify: bool | ssl.SSLContext = True,
        max_result_mb: float = MAX_RESULT_MB,
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: where the service is, with the root path that a proxy may have given it; http://
                where it says nothing else.
            api_key: sent as a bearer token; None where the service asks for none.
            timeout: seconds of silence until a request counts as failed, in all phases or by phase.
            retries: bounds on sending again, or how many requests there may be for one thing.
            verify: check the server's certificate, by the known authorities or by a context.
            max_result_mb: MiB of a result, and of those that are held of a request. Larger ones are
                `AnswerTooLarge`, and so is anything else of more than 16.

        Raises:
            ValueError: retries below 1; a URL or a key that is none; max_result_mb not above 0.
        """
        self._http = open_http(url, max_result_mb, api_key=api_key, timeout=timeout, verify=verify)
        self._retries = Retries(retries) if isinstance(retries, int) else retries

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def colorize(self, photo: Photo, **options: Unpack[Options]) -> Result:
        """Colorize one photo.

        Args:
            photo: its file's bytes, path, or the file itself. Files are sent in pieces.
            options: as POST /colorize takes them. `deadline_s` counts from this call, attempts
                and pauses included.

        Raises:
            ProblemError: the service's answer is an error; see its subclasses.
            Unreachable: there was no answer.
            AnswerTooLarge: the result has more than `max_result_mb`.
            ValueError: proposals, or all pages of a file that has several: of a single photo.
            OSError: the photo or the reference cannot be read.
        """
        check_proposals(options)
        sent, chosen = source(photo), readied(options)
        deadline_s = chosen.pop("deadline_s", None)
        attempts = Attempts(self._retries, deadline_s)

        async def once() -> Result:
            told = {**chosen, "deadline_s": attempts.deadline_s}
            with ExitStack() as stack:
                files = [(sent.name, sent.open(stack))]
                async with answer(self._http, files, told, accept="image/*") as response:
                    return result_of(await whole(response, self._http.most_of_a_result))

        try:
            return await until_done(self._http, once, attempts)
        except ProblemError as error:
            if error.slug != "not-acceptable" or not is_apart(options):
                raise
            raise ValueError(
                "the file has several pages, and each would be a result: colorize_many gives them,"
                " format='tiff' all in one"
            ) from error

    async def colorize_many(
        self,
        photos: Iterable[Photo],
        *,
        per_request: int = Limits.photos,
        requests: int = Limits.requests,
        **options: Unpack[Options],
    ) -> AsyncIterator[Colorized]:
        """Colorize any number of photos, several in a request; what becomes of each, in order.

        A photo is handed out when it has come completely, while those after it are still in work.
        After one that failed, the rest of its request is held until the answer's end says why.
        With pages="all", formats "tiff" and "same" apart, each page of a TIFF is handed out, at the
        place of its photo and with its `page` told; what follows it in its request is held too.
        In memory are at most a few results a request, or a request's after a failure.

        Args:
            photos: taken as they are needed; see `colorize`.
            per_request: photos in one request at most; fewer where the service takes fewer.
            requests: in flight at once.
            options: for all photos; `deadline_s` is for each request. `album` sends all in one.

        Raises:
            ProblemError: a request as a whole is refused, for its options, its reference or its
                key, or because the service stays too busy. One photo's problem is its outcome.
            Unreachable: there was no answer.
            AnswerTooLarge: a result, or what is held, has more than that.
            ValueError: per_request or requests below 1; proposals, which are of one photo.
            TypeError: `photos` is one photo.
            OSError: the reference cannot be read.
            Exception: what `photos` raises, after what becomes of those before.
        """
        limits, names = Limits.of(options, per_request, requests), UniqueNames()
        chosen = readied(options)
        waiting = batches(photos, limits)
        running: deque[Batch] = deque()
        broken: Exception | None = None
        try:
            while True:
                try:
                    for numbered in islice(waiting, limits.requests - len(running)):
                        running.append(self.begin(numbered, chosen, limits))
                except Exception as error:  # of the photos, after those that came
                    broken = error
                if not running:
                    if broken:
                        raise broken
                    return
                while (each := await running[0].next()) is not None:
                    yield names.told_apart(each)
                running.popleft()
        finally:
            for batch in running:
                await batch.cancel()

    def begin(self, photos: list[Numbered], options: dict[str, Any], limits: Limits) -> Batch:
        """Start a request of `colorize_many`, its options `readied`; it must be read to its end or
        cancelled."""
        return Batch(self._http, photos, options, limits, self._retries)

    async def submit(
        self,
        photos: Iterable[Photo | Address],
        *,
        callback: str | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> AsyncJob:
        """Hand photos in, to be colorized when there is room; the service has them by then.

        Args:
            photos: all of them in one request; see `colorize`. Or addresses of all.
            callback: address that the service tells when the job has ended.
            idempotency_key: by default one of this call, so that a request that is sent again
                makes no second job.
            options: for all photos; `proposals` are for one, and `hints` name the photo.

        Raises:
            ProblemError, Unreachable: as `colorize`.
            ValueError: there is no photo; an idempotency key that is none.
            TypeError: `photos` is one photo.
            OSError: a photo cannot be read.
        """
        chosen = {**options, "callback": callback}
        status = await self._again(await submitted(self._http, photos, chosen, idempotency_key))
        return AsyncJob(self._http, self._again, status)

    async def job(self, id: str) -> AsyncJob:
        """A job that was submitted before, by its id.

        Raises:
            ProblemError, Unreachable: as `AsyncJob.refresh`.
        """
        path = f"jobs/{quote(id, safe='')}"
        status = await self._again(lambda: asked(self._http, "GET", path, status_of))
        return AsyncJob(self._http, self._again, status)

    async def jobs(self, limit: int = 100) -> list[JobStatus]:
        """How far the jobs of this API key are, the latest first, of so many at most.

        Raises:
            ProblemError, Unreachable: as `AsyncJob.refresh`; "job-not-found" without a key.
        """
        most = {"limit": limit}
        return await self._again(lambda: asked(self._http, "GET", "jobs", statuses_of, params=most))

    async def models(self) -> dict[str, Any]:
        """The versions on disk, the device and the load, as GET /models tells them.

        Raises:
            ProblemError, Unreachable: as `colorize`.
        """
        return await self._again(lambda: asked(self._http, "GET", "models", _members))

    async def info(self) -> ServiceInfo:
        """What runs the model and which versions there are.

        Raises:
            ProblemError, Unreachable: as `colorize`.
        """
        return info_of(await self.models())

    async def ready(self) -> bool:
        """Whether photos are taken now; False, too, where nothing answers. Asks once."""
        return await self._unready() is None

    async def _unready(self) -> Exception | None:
        """Why photos are not taken now; None where they are."""
        try:
            response = await self._http.get("readyz")
        except (httpx.TransportError, AnswerTooLarge) as error:
            return error
        return None if response.is_success else problem_of(response)

    async def wait_ready(self, timeout: float = 60.0) -> None:
        """Wait until photos are taken, for so many seconds at most.

        Raises:
            TimeoutError: they are not by then.
        """
        why: Exception | None = None
        try:
            async with asyncio.timeout(timeout):
                while why := await self._unready():
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError as error:
            said = f"{self._http.base_url} did not become ready in {timeout:g} s"
            raise TimeoutError(f"{said}: {why or 'no answer'}") from error

    async def _again(self, once: Callable[[], Awaitable[T]]) -> T:
        return await until_done(self._http, once, Attempts(self._retries))


def _members(told: object) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise TypeError("it is no object")
    return told
