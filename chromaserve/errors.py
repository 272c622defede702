"""What can go wrong with a photo, an option or the work on it, each with a sentence."""

# ruff: noqa: N818 - they read as facts, in code and in tracebacks

import re
import traceback
from typing import Any

from chromaserve.store.errors import ModelNotFound, ModelStoreError


class ServiceError(Exception):
    """An error with a sentence (`detail`) that tells the caller what to do."""

    def __init__(self, detail: str, **extra: Any) -> None:  # noqa: ANN401 - any JSON value
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class BodyTooLarge(ServiceError):
    """The request body exceeds the byte limit."""


class TooManyPixels(ServiceError):
    """The photo's header announces more pixels than the limit."""


class UnsupportedFormat(ServiceError):
    """The bytes are not in one of the accepted image formats."""


class UnsupportedSamples(ServiceError):
    """The format is accepted, but not this kind of pixel (signed numbers, 32 bits…)."""


class DamagedPhoto(ServiceError):
    """The photo is truncated, corrupt or empty."""


class InvalidOptions(ServiceError):
    """An option is unknown, out of range or contradicts another."""


class NotReady(ServiceError):
    """The model is still loading, or the service is shutting down."""


class CannotSign(NotReady):
    """Results are signed, and the certificate no longer can: none is given without."""


class Busy(ServiceError):
    """There is no place left, or a photo would wait longer for its turn than the service allows."""


class WouldBeLate(Busy):
    """By the present estimate the request would not be done by its own deadline."""


class PhotoTimeout(ServiceError):
    """The work on one photo took longer than it may."""


class EngineFailed(ServiceError):
    """The model raised an error on this photo's batch."""


_MOST_FAULTS = 10
_UNKNOWN = "The service failed on this request. Please report it with the answer's X-Request-ID."


def slug_of(error: Exception) -> str:
    """What kind of error it is, in small letters: "damaged-photo", "internal-error"."""
    if isinstance(error, ModelStoreError) and not isinstance(error, ModelNotFound):
        return "model-unusable"
    if not isinstance(error, ServiceError | ModelNotFound):
        return "internal-error"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(error).__name__).lower()


def detail_of(error: Exception) -> str:
    """The error in a sentence; errors that are not ours do not leak their text."""
    return str(error) if isinstance(error, ServiceError | ModelStoreError) else _UNKNOWN


def invalid_options(errors: Any) -> InvalidOptions:  # noqa: ANN401 - pydantic's error dicts
    """Pydantic's validation errors as one error of ours, a sentence for each of the first ones."""
    faults = []
    for error in errors[:_MOST_FAULTS]:
        unknown = error["type"] == "extra_forbidden"
        option = str(error["loc"][-1] if error["loc"] else "")[:50]
        message = "There is no such option" if unknown else str(error["msg"])
        faults.append({"option": option, "message": message})
    said = "; ".join(f"{f['option']}: {f['message']}" for f in faults)
    return InvalidOptions(f"{said}. Correct this.", errors=faults)


def caused_by(error: BaseException | None, kind: type[Exception]) -> BaseException | None:
    """The first of that kind among an error and what led to it; None without one."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


def without_locals(error: Exception) -> Exception:
    """The error, of whose calls nothing is held any more, for whoever has just caught it to keep.

    Its traceback has their variables: a photo's bytes, and often the error itself, so that both
    would stay in memory until garbage is collected.
    """
    cause: BaseException | None = error
    while cause:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__cause__ or cause.__context__
    return error
