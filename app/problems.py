"""Errors as responses: problem details (RFC 9457) for whatever leaves a route."""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from chromaserve.errors import (
    BodyTooLarge,
    Busy,
    CannotSign,
    DamagedPhoto,
    EngineFailed,
    InvalidOptions,
    NotReady,
    PhotoTimeout,
    ServiceError,
    TooManyPixels,
    UnsupportedFormat,
    UnsupportedSamples,
    WouldBeLate,
    detail_of,
    invalid_options,
)
from chromaserve.store.errors import ModelNotFound, ModelStoreError

from .errors import (
    AddressFailed,
    AddressRefused,
    AllPhotosFailed,
    Forbidden,
    HeadTimeout,
    HeadTooLarge,
    IdempotencyKeyReused,
    InvalidTensor,
    JobNotEnded,
    JobNotFound,
    JobsAway,
    JobsFull,
    JobsOff,
    MalformedBody,
    MalformedRequest,
    MethodNotAllowed,
    NoPhoto,
    NoResult,
    NoSuchPart,
    NotAcceptable,
    NotFound,
    OriginRefused,
    PhotoAbandoned,
    RateLimited,
    TooManyConnections,
    TooManyPhotos,
    Unauthorized,
    UnsupportedBody,
    UnsupportedTransfer,
    UntrustedHost,
    UploadStalled,
)
from .jobs.database import DatabaseFault
from .logs import REQUEST_ID_HEADER, request_id
from .methods import taken_at
from .root_path import reference

log = logging.getLogger("chromaserve.http")

PROBLEM_JSON = "application/problem+json"
CLIENT_CLOSED = 499
"""Status of a request whose client has left: nobody reads it, but logs and metrics."""
_hidden: set[str] = set()
_FOLDERS = re.compile(r"(?<![\w./<])/(?:[^\s/:;,'\"]+/)+")
PROBLEM_KEY = "chromaserve.problem"
"""Where in its ASGI scope a request's problem is noted, by slug, for whoever counts them."""


@dataclass(frozen=True)
class Kind:
    """How a type of error is told to clients."""

    status: int
    slug: str
    title: str
    headers: Mapping[str, str] = field(default_factory=dict)


_SOON = {"Retry-After": "2"}
_BEARER = {"WWW-Authenticate": "Bearer"}

KINDS: dict[type[Exception], Kind] = {
    MalformedBody: Kind(400, "malformed-body", "Malformed request body"),
    MalformedRequest: Kind(400, "malformed-request", "Malformed request"),
    UntrustedHost: Kind(400, "untrusted-host", "Unknown host"),
    OriginRefused: Kind(400, "origin-refused", "Origin not allowed"),
    Unauthorized: Kind(401, "unauthorized", "API key missing or unknown", _BEARER),
    Forbidden: Kind(403, "forbidden", "API key not for this"),
    ModelNotFound: Kind(404, "model-not-found", "No such model version"),
    JobsOff: Kind(404, "jobs-off", "No jobs here"),
    JobNotFound: Kind(404, "job-not-found", "No such job"),
    NoResult: Kind(404, "no-result", "No such result"),
    NotFound: Kind(404, "not-found", "Not found"),
    MethodNotAllowed: Kind(405, "method-not-allowed", "Method not allowed"),
    NotAcceptable: Kind(406, "not-acceptable", "Nothing acceptable to send"),
    HeadTimeout: Kind(408, "head-timeout", "Request head took too long"),
    UploadStalled: Kind(408, "upload-stalled", "Upload stalled"),
    JobNotEnded: Kind(409, "job-not-ended", "Not done yet", _SOON),
    BodyTooLarge: Kind(413, "body-too-large", "Request body too large"),
    TooManyPhotos: Kind(413, "too-many-photos", "Too many photos"),
    TooManyPixels: Kind(413, "too-many-pixels", "Photo has too many pixels"),
    UnsupportedBody: Kind(415, "unsupported-body", "Unsupported request body"),
    NoSuchPart: Kind(416, "no-such-part", "No such part of the file"),
    UnsupportedFormat: Kind(415, "unsupported-format", "Unsupported image format"),
    UnsupportedSamples: Kind(415, "unsupported-samples", "Unsupported kind of pixels"),
    DamagedPhoto: Kind(422, "damaged-photo", "Damaged photo"),
    NoPhoto: Kind(422, "no-photo", "No photo in the request"),
    InvalidOptions: Kind(422, "invalid-options", "Invalid options"),
    InvalidTensor: Kind(422, "invalid-tensor", "Tensor does not fit the model"),
    AllPhotosFailed: Kind(422, "all-photos-failed", "Every photo failed"),
    AddressRefused: Kind(422, "address-refused", "Address not allowed"),
    IdempotencyKeyReused: Kind(422, "idempotency-key-reused", "Idempotency-Key used before"),
    RateLimited: Kind(429, "rate-limited", "Asked too often"),
    HeadTooLarge: Kind(431, "head-too-large", "Request head too large"),
    UnsupportedTransfer: Kind(501, "unsupported-transfer", "Unsupported transfer coding"),
    NotReady: Kind(503, "not-ready", "Not ready", {"Retry-After": "5"}),
    JobsAway: Kind(503, "jobs-away", "Jobs out of reach", {"Retry-After": "5"}),
    CannotSign: Kind(503, "cannot-sign", "Results cannot be signed", {"Retry-After": "60"}),
    TooManyConnections: Kind(503, "too-many-connections", "Too many connections", _SOON),
    Busy: Kind(503, "busy", "Too busy"),
    WouldBeLate: Kind(503, "would-be-late", "Cannot be done in time"),
    AddressFailed: Kind(502, "address-failed", "Address failed"),
    PhotoTimeout: Kind(504, "photo-timeout", "Photo took too long"),
    EngineFailed: Kind(500, "engine-failed", "The model failed"),
    ModelStoreError: Kind(500, "model-unusable", "Model version unusable"),
    PhotoAbandoned: Kind(500, "photo-abandoned", "Photo given up"),
    JobsFull: Kind(507, "jobs-full", "No room for jobs", {"Retry-After": "60"}),
    Exception: Kind(500, "internal-error", "Internal error"),
}
HTTP_KINDS = {404: KINDS[NotFound], 405: KINDS[MethodNotAllowed], 413: KINDS[BodyTooLarge]}
OTHER = Kind(400, "http-error", "Error")
MEANINGS = {
    **{kind.slug: (error.__doc__ or "").split("\n\n")[0] for error, kind in KINDS.items()},
    KINDS[Exception].slug: "The service failed.",
    OTHER.slug: "Another error of HTTP, by its status.",
}
"""What each kind of problem means, by its slug."""


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "type": "/problems/too-many-pixels",
                "title": "Photo has too many pixels",
                "status": 413,
                "detail": "The photo has 400,000,000 pixels (20000 × 20000); at most 50,000,000"
                " are accepted. Shrink it.",
                "instance": "/colorize",
            }
        },
    )

    type: str = Field(description="Stable reference of the kind of problem.")
    title: str
    status: int
    detail: str = Field(description="What happened and what to do about it.")
    instance: str | None = Field(default=None, description="Path of the request.")


def kind_of(error: Exception) -> Kind:
    """The entry of `KINDS` for the error's most specific type."""
    return next(KINDS[t] for t in type(error).__mro__ if t in KINDS)


def problem(error: Exception, instance: str | None = None) -> Problem:
    """The error as problem details; errors that are not ours do not leak their text."""
    extra = error.extra if isinstance(error, ServiceError) else {}
    return problem_of_kind(kind_of(error), _told(error), instance, extra)


def _told(error: Exception) -> str:
    detail = detail_of(error)
    return without_folders(detail) if isinstance(error, ModelStoreError) else detail


def hide(folder: Path) -> None:
    """Have no answer tell where this folder lies."""
    _hidden.update((f"{folder}/", f"{folder.resolve()}/"))


def without_folders(text: str) -> str:
    """A sentence for strangers: names of files stay, where they lie is for the log alone."""
    for folder in sorted(_hidden, key=len, reverse=True):
        text = text.replace(folder, "")
    return _FOLDERS.sub("", text)


def problem_of_kind(
    kind: Kind, detail: str, instance: str | None, extra: dict[str, Any]
) -> Problem:
    """Problem details of a kind; `extra` are members beyond the standard's."""
    if instance and "/v2/" in instance + "/":
        extra = {**extra, "error": detail}  # where the Open Inference Protocol looks for it
    return Problem(
        type=reference(f"/problems/{kind.slug}"),
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=instance,
        **extra,
    )


class ProblemResponse(JSONResponse):
    """Problem details as a response, which notes in the scope what the problem was."""

    media_type = PROBLEM_JSON

    def __init__(self, body: Problem, headers: dict[str, str] | None = None) -> None:
        super().__init__(body.model_dump(exclude_none=True), body.status, headers)
        self._slug = body.type.rpartition("/")[2]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        scope[PROBLEM_KEY] = self._slug
        await super().__call__(scope, receive, send)


def error_response(error: Exception, instance: str | None = None) -> ProblemResponse:
    """The response that tells a client of the error."""
    return ProblemResponse(problem(error, instance), dict(kind_of(error).headers))


def install(app: FastAPI, retry_after_s: Callable[[], int]) -> None:
    """Make every error that leaves a route, the framework's too, a problem response.

    retry_after_s is asked what to tell a client for whom there is no room now.
    """

    # Coroutines, as Starlette has threads for functions: a refusal would wait for one.
    async def on_error(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, ModelStoreError) and not isinstance(error, ModelNotFound):
            log.error("%s", error)
        response = error_response(error, request.url.path)
        if isinstance(error, Busy):
            response.headers["Retry-After"] = str(retry_after_s())
        return response

    async def on_unknown_error(request: Request, error: Exception) -> JSONResponse:
        response = error_response(error, request.url.path)
        # This one is sent from outside all middleware.
        response.headers[REQUEST_ID_HEADER] = request_id.get()
        return response

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = HTTP_KINDS.get(error.status_code) or replace(OTHER, status=error.status_code)
        docs = f"See {reference('/docs')} for what"
        detail = {
            404: f"There is nothing at {request.url.path}. {docs} there is.",
            405: f"{request.url.path} does not take {request.method}. {docs} it takes.",
        }.get(error.status_code, str(error.detail))
        headers = dict(error.headers or {})
        asks = request.method == "OPTIONS"
        if error.status_code == 405 or (asks and request.url.path.endswith("*")):
            headers["Allow"] = ", ".join(taken_at(request))  # the framework names one route's
            if asks:
                return Response(status_code=204, headers=headers)
        return ProblemResponse(problem_of_kind(kind, detail, request.url.path, {}), headers)

    async def on_invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return error_response(invalid_options(error.errors()), request.url.path)

    async def on_away(request: Request, error: Exception) -> JSONResponse:
        log.error("the queue of jobs cannot be asked: %s", error)
        return error_response(
            JobsAway("The queue of jobs cannot be asked now. Come again shortly."), request.url.path
        )

    app.add_exception_handler(DatabaseFault, on_away)
    for known in (ServiceError, ModelStoreError):
        app.add_exception_handler(known, on_error)
    app.add_exception_handler(Exception, on_unknown_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
