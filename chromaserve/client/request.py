"""One request to a service and its answer; which errors may pass when it is sent again."""

import importlib.metadata
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, BinaryIO, NoReturn

import httpx

from chromaserve.client.archive import BadArchive
from chromaserve.client.photos import Source, fields, parameters
from chromaserve.client.problems import ProblemError, TooBusy, Unreachable, problem_of

TIMEOUT = httpx.Timeout(connect=5, write=30, read=150, pool=None)
"""Seconds of silence in each phase. The service may take 120 s for a photo, after a wait."""
FAILURES = (httpx.TransportError, ProblemError, BadArchive)
"""What a request may end with."""

Named = tuple[str, bytes | BinaryIO]


def open_http(
    url: str,
    *,
    api_key: str | None,
    timeout: float | httpx.Timeout,
    verify: bool | ssl.SSLContext,
) -> httpx.AsyncClient:
    """Connections to the service at a URL, whose path is kept: it may be behind a root path."""
    headers = {"User-Agent": user_agent()}
    if api_key is not None:
        headers["Authorization"] = f"Bearer {api_key}"
    if "://" not in url:
        url = f"http://{url}"
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout, verify=verify)


def user_agent() -> str:
    """How the client names itself."""
    try:
        version = importlib.metadata.version("chromaserve")
    except importlib.metadata.PackageNotFoundError:  # run from a folder, not installed
        version = "0"
    return f"chromaserve/{version} httpx/{httpx.__version__}"


@asynccontextmanager
async def answer(
    http: httpx.AsyncClient, files: Sequence[Named], options: Mapping[str, Any], *, accept: str
) -> AsyncIterator[httpx.Response]:
    """Send photos to be colorized; the answer's body is there to be read.

    Args:
        http: to the service.
        files: the photos, by name.
        options: as POST /colorize takes them; `reference` is a `Source`.
        accept: media type of the answer.

    Raises:
        ProblemError: the answer is an error, or not of the accepted type: no service's.
        httpx.TransportError: there is none.
        OSError: the reference cannot be read.
    """
    told = dict(options)
    reference: Source | None = told.pop("reference", None)
    async with AsyncExitStack() as stack:
        parts = [("file", (sendable(name), content)) for name, content in files]
        if reference:
            parts.append(("reference", (sendable(reference.name), reference.open(stack))))
        response = await stack.enter_async_context(
            http.stream(
                "POST",
                "colorize",
                params=parameters(told),
                data=fields(told),
                files=parts,
                headers={"Accept": accept},
            )
        )
        media_type = response.headers.get("content-type", "")
        if not response.is_success or not media_type.startswith(accept.rstrip("*")):
            await response.aread()
            raise problem_of(response)
        yield response


def sendable(name: str) -> str:
    """A file name in UTF-8; those of a disk may have any bytes."""
    return name.encode("utf-8", "replace").decode("utf-8")


def may_pass(error: Exception) -> bool:
    """Whether the same request may succeed later.

    500, 502 and 504 count where a proxy says them, as one does for a replica that died; the
    service's own 504 means that the work took too long, and would again.
    """
    if isinstance(error, ProblemError):
        return isinstance(error, TooBusy) or (error.status in (500, 502, 504) and not error.slug)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return False
    return isinstance(error, httpx.TransportError | BadArchive)


def asked_pause_s(error: Exception) -> float | None:
    """What the service asked to wait before the next attempt."""
    return error.retry_after_s if isinstance(error, ProblemError) else None


def give_up(error: Exception) -> NoReturn:
    """Raise the client's own error for what the last attempt ended with.

    Raises:
        ProblemError: the answer.
        Unreachable: there was none, or not all of it.
    """
    if isinstance(error, ProblemError):
        raise error
    said = str(error) or type(error).__name__
    raise Unreachable(f"The service gave no complete answer: {said}") from error
