"""The service's errors, and the one table that maps each to an HTTP status and problem title."""

# ruff: noqa: N818 - they read as facts, in code and in tracebacks

from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from app.root_path import reference
from model_store.errors import ModelNotFound, ModelStoreError

PROBLEM_JSON = "application/problem+json"
CLIENT_CLOSED = 499
"""Status of a request whose client has left: nobody reads it, but logs and metrics."""


class ServiceError(Exception):
    """An error with a sentence (`detail`) that tells the client what to do."""

    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, detail: str, **extra: Any) -> None:  # noqa: ANN401 - any JSON value
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class MalformedBody(ServiceError):
    """The request body is not what its Content-Type says."""


class UntrustedHost(ServiceError):
    """The Host header is not one of the service's own names."""


class OriginRefused(ServiceError):
    """The service does not answer pages of that origin (CORS)."""


class Unauthorized(ServiceError):
    """The service takes an API key, and the request has none that is known."""

    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": "Bearer"}


class NotAcceptable(ServiceError):
    """None of the representations on offer fits the Accept header."""


class UploadStalled(ServiceError):
    """The client stopped sending its body."""


class BodyTooLarge(ServiceError):
    """The request body exceeds the byte limit."""


class TooManyPhotos(ServiceError):
    """The request holds more photos than one request may."""


class TooManyPixels(ServiceError):
    """The photo's header announces more pixels than the limit."""


class UnsupportedBody(ServiceError):
    """The Content-Type of the request is not one that carries photos."""


class UnsupportedFormat(ServiceError):
    """The bytes are not in one of the accepted image formats."""


class UnsupportedSamples(ServiceError):
    """The format is accepted, but not this kind of pixel (floating point, 32 bits…)."""


class DamagedPhoto(ServiceError):
    """The photo is truncated, corrupt or empty."""


class NoPhoto(ServiceError):
    """The request holds no photo."""


class InvalidOptions(ServiceError):
    """An option is unknown, out of range or contradicts another."""


class InvalidTensor(ServiceError):
    """A tensor does not fit the model: its name, datatype, shape or values."""


class AllPhotosFailed(ServiceError):
    """Every photo of the request failed; `errors` has each one's problem."""


class NotReady(ServiceError):
    """The model is still loading, or the service is shutting down."""

    headers: ClassVar[dict[str, str]] = {"Retry-After": "5"}


class Busy(ServiceError):
    """There is no place left, or a photo would wait longer for its turn than the service allows."""


class WouldBeLate(Busy):
    """By the present estimate the request would not be done by its own deadline."""


class PhotoTimeout(ServiceError):
    """The work on one photo took longer than it may."""


class EngineFailed(ServiceError):
    """The model raised an error on this photo's batch."""


@dataclass(frozen=True)
class Kind:
    """How a type of error is told to clients."""

    status: int
    slug: str
    title: str


KINDS: dict[type[Exception], Kind] = {
    MalformedBody: Kind(400, "malformed-body", "Malformed request body"),
    UntrustedHost: Kind(400, "untrusted-host", "Unknown host"),
    OriginRefused: Kind(400, "origin-refused", "Origin not allowed"),
    Unauthorized: Kind(401, "unauthorized", "API key missing or unknown"),
    ModelNotFound: Kind(404, "model-not-found", "No such model version"),
    NotAcceptable: Kind(406, "not-acceptable", "Nothing acceptable to send"),
    UploadStalled: Kind(408, "upload-stalled", "Upload stalled"),
    BodyTooLarge: Kind(413, "body-too-large", "Request body too large"),
    TooManyPhotos: Kind(413, "too-many-photos", "Too many photos"),
    TooManyPixels: Kind(413, "too-many-pixels", "Photo has too many pixels"),
    UnsupportedBody: Kind(415, "unsupported-body", "Unsupported request body"),
    UnsupportedFormat: Kind(415, "unsupported-format", "Unsupported image format"),
    UnsupportedSamples: Kind(415, "unsupported-samples", "Unsupported kind of pixels"),
    DamagedPhoto: Kind(422, "damaged-photo", "Damaged photo"),
    NoPhoto: Kind(422, "no-photo", "No photo in the request"),
    InvalidOptions: Kind(422, "invalid-options", "Invalid options"),
    InvalidTensor: Kind(422, "invalid-tensor", "Tensor does not fit the model"),
    AllPhotosFailed: Kind(422, "all-photos-failed", "Every photo failed"),
    NotReady: Kind(503, "not-ready", "Not ready"),
    Busy: Kind(503, "busy", "Too busy"),
    WouldBeLate: Kind(503, "would-be-late", "Cannot be done in time"),
    PhotoTimeout: Kind(504, "photo-timeout", "Photo took too long"),
    EngineFailed: Kind(500, "engine-failed", "The model failed"),
    ModelStoreError: Kind(500, "model-unusable", "Model version unusable"),
    Exception: Kind(500, "internal-error", "Internal error"),
}
HTTP_KINDS = {
    404: Kind(404, "not-found", "Not found"),
    405: Kind(405, "method-not-allowed", "Method not allowed"),
}


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
                " are accepted. Shrink it and send it again.",
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


_UNKNOWN = "The service failed on this request. Please report it with the answer's X-Request-ID."


def problem(error: Exception, instance: str | None = None) -> Problem:
    """The error as problem details; errors that are not ours do not leak their text."""
    kind = kind_of(error)
    known = isinstance(error, ServiceError | ModelStoreError)
    detail = str(error) if known else _UNKNOWN
    extra = error.extra if isinstance(error, ServiceError) else {}
    return problem_of_kind(kind, detail, instance, extra)


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


def invalid_options(errors: Any) -> InvalidOptions:  # noqa: ANN401 - pydantic's error dicts
    """Pydantic's validation errors as one error of ours, a sentence for each option."""
    faults = [
        {"option": str(e["loc"][-1] if e["loc"] else ""), "message": str(e["msg"])} for e in errors
    ]
    said = "; ".join(f"{f['option']}: {f['message']}" for f in faults)
    return InvalidOptions(f"{said}. Correct this and send the request again.", errors=faults)
