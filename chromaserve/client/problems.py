"""What can go wrong for a client: no answer, or an answer that is a problem (RFC 9457)."""

# ruff: noqa: N818 - they read as facts, in code and in tracebacks

import json
from collections.abc import Mapping
from typing import Any

import httpx

from chromaserve.client.retries import retry_after_s

PROBLEM_JSON = "application/problem+json"
_MEMBERS = frozenset({"type", "title", "status", "detail", "instance"})
_SHOWN = 200  # characters of an answer that is no problem details


class ClientError(Exception):
    """Whatever a client raises of its own."""


class Unreachable(ClientError):
    """The service gave no answer, in all attempts; `__cause__` is what httpx said last."""

    sent = True
    """Whether the request, or some of it, may have come there."""


class AnswerTooLarge(ClientError):
    """The answer, or one result in it, is larger than what the client takes; or it has no end."""


class ProblemError(ClientError):
    """The service answered with a problem: its members as RFC 9457 names them.

    An error answer that is no problem details, such as a proxy's page, has type "about:blank".
    """

    def __init__(
        self,
        problem: Mapping[str, Any],
        *,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.type = str(problem.get("type", "about:blank"))
        self.title = str(problem.get("title", "Error"))
        self.status = int(problem.get("status", 500))
        self.detail = str(problem.get("detail", ""))
        self.instance: str | None = problem.get("instance")
        self.extensions = {k: v for k, v in problem.items() if k not in _MEMBERS}
        """Members beyond the standard's, such as the `limit` that was exceeded."""
        self.request_id = request_id
        """By which the service's log can be searched."""
        self.retry_after_s = retry_after
        """Seconds that the service asked to wait; None where it did not."""
        super().__init__(f"{self.status} {self.title}: {self.detail}".removesuffix(": "))

    @property
    def slug(self) -> str:
        """The kind's name, such as "damaged-photo"; empty for an answer from elsewhere."""
        return self.type.rpartition("/problems/")[2] if "/problems/" in self.type else ""


class Unauthorized(ProblemError):
    """The API key is missing or wrong."""


class TooBusy(ProblemError):
    """The service cannot take the request now: the same request may pass later."""


class BadPhoto(ProblemError):
    """The photo cannot be colorized: damaged, too large, of a kind that is not read."""


class BadOptions(ProblemError):
    """An option, or a job's address or idempotency key, is wrong; or there is no such model."""


_BY_SLUG: dict[str, type[ProblemError]] = {
    **dict.fromkeys(
        (
            "body-too-large",
            "damaged-photo",
            "no-photo",
            "too-many-pixels",
            "unsupported-format",
            "unsupported-samples",
        ),
        BadPhoto,
    ),
    **dict.fromkeys(
        ("address-refused", "idempotency-key-reused", "invalid-options", "model-not-found"),
        BadOptions,
    ),
}
_BY_STATUS: dict[int, type[ProblemError]] = {
    401: Unauthorized,
    413: BadPhoto,  # a proxy's limit, too
    429: TooBusy,
    503: TooBusy,
}


def problem_error(
    problem: Mapping[str, Any],
    *,
    request_id: str | None = None,
    retry_after: float | None = None,
) -> ProblemError:
    """The error for problem details, of the type that a caller can tell apart."""
    error = ProblemError(problem, request_id=request_id, retry_after=retry_after)
    kind = _BY_SLUG.get(error.slug) or _BY_STATUS.get(error.status)
    if kind is None:
        return error
    return kind(problem, request_id=request_id, retry_after=retry_after)


def problem_of(response: httpx.Response) -> ProblemError:
    """The error of an answer, read as a whole, that is not a success."""
    return problem_error(
        _details(response) | {"status": response.status_code},
        request_id=response.headers.get("x-request-id"),
        retry_after=retry_after_s(
            response.headers.get("retry-after"), response.headers.get("date")
        ),
    )


def parsed(data: bytes | bytearray | str) -> Any:  # noqa: ANN401 - JSON
    """What JSON says.

    Raises:
        ValueError: it is none, or deeper than Python goes.
    """
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("the JSON is too deep") from error


def _details(response: httpx.Response) -> dict[str, Any]:
    if response.headers.get("content-type", "").startswith(PROBLEM_JSON):
        try:
            told = parsed(response.content)
        except ValueError:
            told = None
        if isinstance(told, dict):
            return told
    text = " ".join(response.text[:_SHOWN].split())
    if "location" in response.headers:
        text = f"The service may be at {response.headers['location']}."
    return {"title": response.reason_phrase or "Error", "detail": text}
