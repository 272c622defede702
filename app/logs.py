"""Logs, and the ids of the requests that they are about."""

import contextlib
import ctypes
import logging
import logging.config
import warnings
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import PIL

from .settings import Settings

REQUEST_ID_HEADER = "X-Request-ID"

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""Id of the request that the running code works for; "-" outside of one."""


NO_TRACE = "-"
trace_id: ContextVar[str] = ContextVar("trace_id", default=NO_TRACE)
"""Id of that request's trace, where there are traces."""


class _Identity(logging.Filter):
    """Gives each record the ids of its request and its trace, and the process that it is of."""

    worker: int | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        if (trace := trace_id.get()) != NO_TRACE:
            record.trace_id = trace
        record.__dict__.pop("color_message", None)  # uvicorn's, with a terminal's codes
        if self.worker is not None:
            record.worker = self.worker
        return True


def configure_logging(
    settings: Settings, *, traces: bool = False, worker: int | None = None
) -> None:
    """One line a record on standard error: ours, uvicorn's, and what libraries and Python warn of.

    Args:
        settings: what is logged, and how.
        traces: whether there are trace ids.
        worker: which of several this process is; 0: the one that looks after them.
    """
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    _Identity.worker = worker
    named = "" if worker is None else "worker %(worker)d "
    ids = "[%(request_id)s trace=%(trace_id)s]" if traces else "[%(request_id)s]"
    formatters: dict[str, dict[str, Any]] = {
        "line": {
            "()": logging.Formatter,
            "fmt": f"%(asctime)s %(levelname)-7s {named}%(name)s {ids}: %(message)s",
            "defaults": {"trace_id": NO_TRACE},
        },
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": "%(levelname)s %(name)s %(request_id)s %(message)s",
            "rename_fields": {"levelname": "level", "name": "logger"},
            "timestamp": "time",  # ISO 8601 in UTC: collectors do not know where the host is
        },
    }
    # What is said of damaged files would be as many lines as a file likes.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    _silence_libtiff()
    logging.captureWarnings(True)
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": formatters,
            "filters": {"identity": {"()": _Identity}},
            "handlers": {
                "stderr": {
                    "class": "logging.StreamHandler",
                    "formatter": settings.log_format,
                    "filters": ["identity"],
                }
            },
            "loggers": {
                name: {"handlers": ["stderr"], "level": level, "propagate": False}
                for name in ("chromaserve", "uvicorn", "opentelemetry")
            }
            | {"PIL": {"level": "CRITICAL"}},
            "root": {"handlers": ["stderr"], "level": max(level, logging.WARNING)},
        }
    )


def _silence_libtiff() -> None:
    """Have Pillow's own libtiff say nothing on standard error; errors count all the same."""
    for library in (Path(PIL.__file__).parent.parent / "pillow.libs").glob("libtiff*"):
        with contextlib.suppress(OSError, AttributeError):
            tiff = ctypes.CDLL(str(library))
            tiff.TIFFSetErrorHandler(None)
            tiff.TIFFSetWarningHandler(None)
