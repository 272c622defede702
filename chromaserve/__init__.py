"""Colorize photos, here or on a server: what other programs import.

Names are imported when they are first used: a client needs no model.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chromaserve.client import (
        Address,
        AnswerTooLarge,
        AsyncClient,
        AsyncJob,
        BadOptions,
        BadPhoto,
        Client,
        ClientError,
        Colorized,
        Job,
        JobStatus,
        ProblemError,
        Result,
        Retries,
        ServiceInfo,
        TooBusy,
        Unauthorized,
        Unreachable,
    )
    from chromaserve.errors import (
        BodyTooLarge,
        DamagedPhoto,
        EngineFailed,
        InvalidOptions,
        PhotoTimeout,
        ServiceError,
        TooManyPixels,
        UnsupportedFormat,
        UnsupportedSamples,
    )
    from chromaserve.library.colorizer import Colorizer
    from chromaserve.library.confidence import Confidence
    from chromaserve.library.verified import Verified, verify
    from chromaserve.pipeline.hints import Hint, Region, Stroke
    from chromaserve.store.errors import ModelNotFound, ModelStoreError
    from chromaserve.video import (
        FilmReport,
        FrameReport,
        TruncatedFrame,
        colorize_film,
        colorize_frames,
    )

__all__ = [
    "Address",
    "AnswerTooLarge",
    "AsyncClient",
    "AsyncJob",
    "BadOptions",
    "BadPhoto",
    "BodyTooLarge",
    "Client",
    "ClientError",
    "Colorized",
    "Colorizer",
    "Confidence",
    "DamagedPhoto",
    "EngineFailed",
    "FilmReport",
    "FrameReport",
    "Hint",
    "InvalidOptions",
    "Job",
    "JobStatus",
    "ModelNotFound",
    "ModelStoreError",
    "PhotoTimeout",
    "ProblemError",
    "Region",
    "Result",
    "Retries",
    "ServiceError",
    "ServiceInfo",
    "Stroke",
    "TooBusy",
    "TooManyPixels",
    "TruncatedFrame",
    "Unauthorized",
    "Unreachable",
    "UnsupportedFormat",
    "UnsupportedSamples",
    "Verified",
    "colorize_film",
    "colorize_frames",
    "verify",
]

_HOMES = {
    "Colorizer": "chromaserve.library.colorizer",
    "Confidence": "chromaserve.library.confidence",
    **dict.fromkeys(("Verified", "verify"), "chromaserve.library.verified"),
    **dict.fromkeys(("Hint", "Region", "Stroke"), "chromaserve.pipeline.hints"),
    **dict.fromkeys(
        ("FilmReport", "FrameReport", "TruncatedFrame", "colorize_film", "colorize_frames"),
        "chromaserve.video",
    ),
    **dict.fromkeys(("ModelNotFound", "ModelStoreError"), "chromaserve.store.errors"),
    **dict.fromkeys(
        (
            *("BodyTooLarge", "DamagedPhoto", "EngineFailed", "InvalidOptions", "PhotoTimeout"),
            *("ServiceError", "TooManyPixels", "UnsupportedFormat", "UnsupportedSamples"),
        ),
        "chromaserve.errors",
    ),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for (PEP 562)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name, "chromaserve.client")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return __all__
