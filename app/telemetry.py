"""Logs, request ids, and the Server-Timing header (W3C Server Timing): where the time went."""

import logging
import logging.config
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from app.settings import Settings


@dataclass(frozen=True)
class Timings:
    """Seconds that one photo spent in each stage."""

    admission_s: float
    """Waiting for room in memory."""
    decode_s: float
    queue_s: float
    """Waiting for the model."""
    inference_s: float
    batch: int
    """Photos that shared the batch."""
    encode_s: float
    """Upsampling, recombination and encoding."""
    total_s: float

    def seconds(self) -> dict[str, float]:
        """The stages by name."""
        return {
            "admission": self.admission_s,
            "decode": self.decode_s,
            "queue": self.queue_s,
            "inference": self.inference_s,
            "encode": self.encode_s,
            "total": self.total_s,
        }

    def milliseconds(self) -> dict[str, float]:
        """The stages in milliseconds, for people and manifests."""
        return {stage: round(1000 * each, 1) for stage, each in self.seconds().items()}

    def header(self) -> str:
        """The value of a Server-Timing header; inference's description is the batch size."""
        parts = []
        for name, duration in self.milliseconds().items():
            batch = f';desc="batch={self.batch}"' if name == "inference" else ""
            parts.append(f"{name}{batch};dur={duration}")
        return ", ".join(parts)


REQUEST_ID_HEADER = "X-Request-ID"

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""Id of the request that the running code works for; "-" outside of one."""


class _RequestId(logging.Filter):
    """Gives each record the id of its request."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True


_FORMATTERS: dict[str, dict[str, Any]] = {
    "line": {"format": "%(asctime)s %(levelname)-7s %(name)s [%(request_id)s]: %(message)s"},
    "json": {
        "()": "pythonjsonlogger.json.JsonFormatter",
        "fmt": "%(asctime)s %(levelname)s %(name)s %(request_id)s %(message)s",
        "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
    },
}


def configure_logging(settings: Settings) -> None:
    """One line a record on standard error, uvicorn's records too."""
    level = settings.log_level.upper()
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": _FORMATTERS,
            "filters": {"request_id": {"()": _RequestId}},
            "handlers": {
                "stderr": {
                    "class": "logging.StreamHandler",
                    "formatter": settings.log_format,
                    "filters": ["request_id"],
                }
            },
            "loggers": {
                name: {"handlers": ["stderr"], "level": level, "propagate": False}
                for name in ("app", "model_store", "uvicorn")
            },
        }
    )
