"""The client for code that waits: the asynchronous one, run by a thread of its own."""

import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from threading import Lock
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from chromaserve.client.asynchronous import AsyncClient
from chromaserve.client.batches import Limits, Numbered, UniqueNames, batches
from chromaserve.client.bounds import MAX_RESULT_MB
from chromaserve.client.jobs import Address, AsyncJob, JobStatus
from chromaserve.client.many import Batch
from chromaserve.client.photos import JobOptions, Options, Photo, readied
from chromaserve.client.request import TIMEOUT
from chromaserve.client.results import Colorized, Result, ServiceInfo
from chromaserve.client.retries import Retries
from chromaserve.loop_thread import LoopThread

T = TypeVar("T")


class Client:
    """A client of the service at a URL; any thread may use it.

    Requests that get no answer, or are turned away because there is no room, are sent again: see
    `Retries`. A context manager, which closes the connections.

    Example:
        with Client("http://localhost:8000") as client:
            client.colorize(Path("photo.jpg"), vividness=0.8).save("colour.png")
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
        """Connect to nothing yet; see `AsyncClient` for the arguments."""
        self._client = AsyncClient(
            url,
            api_key=api_key,
            timeout=timeout,
            retries=retries,
            verify=verify,
            max_result_mb=max_result_mb,
        )
        self._lock = Lock()
        self._loop: LoopThread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread."""
        with self._lock:
            if self._loop is None:
                self._loop = LoopThread("Client")  # so that it says that it is closed
            with suppress(RuntimeError):  # it is already, or is another process's
                self._loop.start(self._client.aclose()).result()
            self._loop.close()

    def colorize(self, photo: Photo, **options: Unpack[Options]) -> Result:
        """Colorize one photo: `AsyncClient.colorize`, whose arguments and errors are these."""
        return self._wait(lambda: self._client.colorize(photo, **options))

    def colorize_many(
        self,
        photos: Iterable[Photo],
        *,
        per_request: int = Limits.photos,
        requests: int = Limits.requests,
        **options: Unpack[Options],
    ) -> Iterator[Colorized]:
        """Colorize any number of photos, several in a request; what becomes of each, in order.

        As `AsyncClient.colorize_many`, whose arguments and errors are these. The photos are taken
        in the caller's thread.
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
                        running.append(self._begun(numbered, chosen, limits))
                except Exception as error:  # of the photos, after those that came
                    broken = error
                if not running:
                    if broken:
                        raise broken
                    return
                while (each := self._wait(running[0].next)) is not None:
                    yield names.told_apart(each)
                running.popleft()
        finally:
            with suppress(RuntimeError):  # closed meanwhile: nothing runs any more
                for batch in running:
                    self._wait(batch.cancel)

    def submit(
        self,
        photos: Iterable[Photo | Address],
        *,
        callback: str | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> "Job":
        """Hand photos in, to be colorized when there is room: `AsyncClient.submit`."""
        return Job(
            self,
            self._wait(
                lambda: self._client.submit(
                    photos, callback=callback, idempotency_key=idempotency_key, **options
                )
            ),
        )

    def job(self, id: str) -> "Job":
        """A job that was submitted before: `AsyncClient.job`."""
        return Job(self, self._wait(lambda: self._client.job(id)))

    def jobs(self, limit: int = 100) -> list[JobStatus]:
        """How far the jobs of this API key are, the latest first: `AsyncClient.jobs`."""
        return self._wait(lambda: self._client.jobs(limit))

    def models(self) -> dict[str, Any]:
        """The versions on disk, the device and the load: `AsyncClient.models`."""
        return self._wait(self._client.models)

    def info(self) -> ServiceInfo:
        """What runs the model and which versions there are: `AsyncClient.info`."""
        return self._wait(self._client.info)

    def ready(self) -> bool:
        """Whether photos are taken now; False, too, where nothing answers. Asks once."""
        return self._wait(self._client.ready)

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Wait until photos are taken: `AsyncClient.wait_ready`, which raises TimeoutError."""
        return self._wait(lambda: self._client.wait_ready(timeout))

    def _begun(self, photos: list[Numbered], options: dict[str, Any], limits: Limits) -> Batch:
        async def begin() -> Batch:
            return self._client.begin(photos, options, limits)

        return self._wait(begin)

    def _wait(self, call: Callable[[], Awaitable[T]]) -> T:
        async def waited() -> T:
            return await call()

        with self._lock:
            if self._loop is None:
                self._loop = LoopThread("Client")
        future = self._loop.start(waited())
        try:
            return future.result()
        except BaseException:  # the caller may be interrupted
            future.cancel()
            raise


class Job:
    """A job of a service; `Client.submit` makes one."""

    def __init__(self, client: Client, job: AsyncJob) -> None:
        self._wait = client._wait
        self._job = job

    @property
    def id(self) -> str:
        """What the service knows it by."""
        return self._job.id

    @property
    def status(self) -> JobStatus:
        """As it was last heard of."""
        return self._job.status

    def refresh(self) -> JobStatus:
        """Ask how far it is: `AsyncJob.refresh`, whose errors are these."""
        return self._wait(self._job.refresh)

    def wait(self, timeout: float | None = None) -> JobStatus:
        """Wait until it has ended: `AsyncJob.wait`, which raises TimeoutError."""
        return self._wait(lambda: self._job.wait(timeout))

    def cancel(self) -> JobStatus:
        """Have no more of it done; what is done stays: `AsyncJob.cancel`."""
        return self._wait(self._job.cancel)

    def results(self) -> Iterator[Colorized]:
        """What becomes of each photo, as soon as it is known: `AsyncJob.results`."""
        coming = self._job.results()
        try:
            while (each := self._wait(lambda: anext(coming, None))) is not None:
                yield each
        finally:
            with suppress(RuntimeError):  # closed meanwhile
                self._wait(coming.aclose)
