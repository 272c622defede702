"""One request to a service and its answer; which errors may pass when it is sent again."""

import asyncio
import importlib.metadata
import re
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, BinaryIO, NoReturn, TypeVar

import h11
import httpx

from chromaserve.client.archive import BadArchive
from chromaserve.client.bounds import MOST_TOLD, whole
from chromaserve.client.photos import Source, fields, parameters
from chromaserve.client.problems import (
    PROBLEM_JSON,
    ProblemError,
    TooBusy,
    Unreachable,
    parsed,
    problem_of,
)
from chromaserve.client.retries import Attempts
from chromaserve.errors import caused_by

TIMEOUT = httpx.Timeout(connect=5, write=30, read=150, pool=None)
"""Seconds of silence in each phase. The service may take 120 s for a photo, after a wait."""
FAILURES = (httpx.RequestError, h11.LocalProtocolError, ProblemError, BadArchive)
"""What a request may end with; of h11, which httpx lets through, where a file's length changes."""
_OF_PROXIES = (500, 502, 504, *range(520, 525))
"""What proxies say where what is behind them does not answer, beside 503; 52x is Cloudflare's."""
_LAST_PORT = 65535
_VISIBLE = re.compile("[!-~]([ -~]*[!-~])?")

Named = tuple[str, bytes | BinaryIO]
T = TypeVar("T")


class Http(httpx.AsyncClient):
    """Connections to a service, whose answers are bounded unless they are streamed."""

    answered = False
    """Whether the service itself has ever answered, if only that it is busy."""
    most_of_a_result = 0
    """Bytes that are taken."""

    async def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        **more: Any,  # noqa: ANN401 - httpx's
    ) -> httpx.Response:
        """As httpx does; of an answer that is not streamed at most `MOST_TOLD` are taken.

        Raises:
            AnswerTooLarge: it has more, and is no error, whose rest is left out.
        """
        response = await super().send(request, stream=True, **more)
        if stream:
            return response
        return await whole(response, MOST_TOLD, cut=not response.is_success)


def open_http(
    url: str,
    max_result_mb: float,
    *,
    api_key: str | None,
    timeout: float | httpx.Timeout,
    verify: bool | ssl.SSLContext,
) -> Http:
    """Connections to the service at a URL, whose path is kept: it may be behind a root path.

    Raises:
        ValueError: the URL is none of a service, or the key has what no header carries; or there
            is no room for a result.
    """
    if not max_result_mb > 0:
        raise ValueError("max_result_mb must be above 0")
    headers = {"User-Agent": user_agent()}
    if api_key is not None:
        headers["Authorization"] = f"Bearer {sendable_key(api_key, 'the API key')}"
    try:
        address = httpx.URL(url if "://" in url else f"http://{url}")
    except httpx.InvalidURL as error:
        raise ValueError(f"{url!r} is no address of a service: {error}") from error
    known = address.scheme in ("http", "https") and address.host
    if not known or (address.port or 0) > _LAST_PORT:
        raise ValueError(f"{url!r} is no address of a service: it is http(s)://HOST, with a port")
    http = Http(base_url=address, headers=headers, timeout=timeout, verify=verify)

    http.most_of_a_result = int(min(max_result_mb * 2**20, sys.maxsize))

    async def note(response: httpx.Response) -> None:
        media_type = response.headers.get("content-type", "")
        http.answered |= response.is_success or media_type.startswith(PROBLEM_JSON)

    http.event_hooks = {"response": [note]}
    return http


def sendable_key(key: str, what: str) -> str:
    """The key, of whichever kind, if a header can carry it.

    Raises:
        ValueError: it cannot; the message does not show it.
    """
    if not _VISIBLE.fullmatch(key):
        raise ValueError(f"{what} is empty, or has characters beside visible ASCII")
    return key


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
        await check(response, accept.rstrip("*"))
        yield response


async def check(response: httpx.Response, media_type: str) -> None:
    """Raise ProblemError for what is not of that type: an error, or no service's."""
    is_it = response.headers.get("content-type", "").startswith(media_type)
    if not (response.is_success and is_it):
        raise problem_of(await whole(response, MOST_TOLD, cut=True))


async def asked(
    http: Http,
    method: str,
    path: str,
    read: Callable[[Any], T],
    **more: Any,  # noqa: ANN401 - httpx's
) -> T:
    """What is read out of the JSON that a request is answered with.

    Raises:
        ProblemError: it is answered with something else.
        httpx.TransportError: it is not answered.
    """
    response = await http.request(method, path, **more)
    try:
        return read(parsed(response.raise_for_status().content))
    except (httpx.HTTPStatusError, ValueError, KeyError, TypeError) as error:
        raise problem_of(response) from error


async def until_done(http: Http, once: Callable[[], Awaitable[T]], attempts: Attempts) -> T:
    """What a request comes to, sent again while that may help and there are attempts.

    Raises:
        ProblemError, Unreachable: as `give_up`.
    """
    sent = False
    while True:
        try:
            return await once()
        except FAILURES as error:
            sent |= _connected(error)
            pause = pause_s(http, attempts, error) if may_pass(error) else None
            if pause is None:
                give_up(error, sent)
        await asyncio.sleep(pause)


def sendable(name: str) -> str:
    """A file name in UTF-8; those of a disk may have any bytes."""
    return name.encode("utf-8", "replace").decode("utf-8")


def pause_s(http: Http, attempts: Attempts, *errors: Exception) -> float | None:
    """Seconds until what ended with these is sent again; None where it is not."""
    asked = [each.retry_after_s for each in errors if isinstance(each, ProblemError)]
    asked_s = max((each for each in asked if each is not None), default=None)
    return attempts.pause_s(asked_s, away=http.answered and any(map(_is_away, errors)))


def may_pass(error: Exception) -> bool:
    """Whether the same request may succeed later.

    500, 502 and 504 count where a proxy says them, as one does for a replica that died; the
    service's own 504 means that the work took too long, and would again. 408 is of an upload that
    stalled, or gave way to others.
    """
    if isinstance(error, ProblemError):
        proxys = error.status in _OF_PROXIES and not error.slug
        return isinstance(error, TooBusy) or error.status == 408 or proxys
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return False
    return not _of_tls(error)


def _is_away(error: Exception) -> bool:
    """Whether nobody took the request: the service begins, ends, or is not there; or its queue."""
    if isinstance(error, ProblemError):
        by_proxy = error.status in (502, 503, 521) and not error.slug
        return by_proxy or error.slug in ("not-ready", "jobs-away")
    return not _connected(error)


def _connected(error: Exception) -> bool:
    """Whether there was a connection before it came to nothing."""
    return not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)


def give_up(error: Exception, sent: bool = True) -> NoReturn:
    """Raise the client's own error for what the last attempt ended with.

    Args:
        error: that of the last attempt.
        sent: whether some attempt was connected.

    Raises:
        ProblemError: the answer.
        Unreachable: there was none, or not all of it.
    """
    if isinstance(error, ProblemError):
        raise error
    unreachable = Unreachable(f"The service gave no complete answer: {_said(error)}")
    unreachable.sent = sent
    raise unreachable from error


def _said(error: Exception) -> str:
    said = str(error) or type(error).__name__
    if isinstance(error, httpx.ProxyError):
        return f"the proxy that the environment names said {said}"
    if isinstance(error, h11.LocalProtocolError):
        return f"a photo changed while it was sent ({said})"
    if caused_by(error, socket.gaierror):
        return f"its name is not known ({said})"
    return _of_tls(error) or said


def _of_tls(error: Exception) -> str:
    """What will not pass of a connection by TLS; empty for all else."""
    cause = caused_by(error, ssl.SSLError)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not accepted ({cause.verify_message.rstrip('.')}); SSL_CERT_FILE"
            " names the file of another authority"
        )
    if isinstance(cause, ssl.SSLError) and cause.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return "what answers there does not speak TLS; perhaps http:// is meant"
    return ""
