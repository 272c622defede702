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
    """Photos that shared the batch; 0 where the model's answer was kept from before."""
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

    @property
    def cached(self) -> bool:
        """Whether the model's answer was kept from before."""
        return self.batch == 0

    def header(self) -> str:
        """The value of a Server-Timing header; inference's description is the batch size."""
        parts = []
        description = "cached" if self.cached else f"batch={self.batch}"
        for name, duration in self.milliseconds().items():
            told = f';desc="{description}"' if name == "inference" else ""
            parts.append(f"{name}{told};dur={duration}")
        return ", ".join(parts)


REQUEST_ID_HEADER = "X-Request-ID"

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""Id of the request that the running code works for; "-" outside of one."""


trace_id: ContextVar[str] = ContextVar("trace_id", default="-")
"""Id of that request's trace, where there are traces."""


class _Identity(logging.Filter):
    """Gives each record the ids of its request and its trace."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        record.trace_id = trace_id.get()
        return True


def configure_logging(settings: Settings, *, traces: bool = False) -> None:
    """One line a record on standard error, uvicorn's records too; with trace ids if there are."""
    level = settings.log_level.upper()
    ids = "[%(request_id)s trace=%(trace_id)s]" if traces else "[%(request_id)s]"
    fields = "%(asctime)s %(levelname)s %(name)s %(request_id)s %(message)s"
    formatters: dict[str, dict[str, Any]] = {
        "line": {"format": f"%(asctime)s %(levelname)-7s %(name)s {ids}: %(message)s"},
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": fields + (" %(trace_id)s" if traces else ""),
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
        },
    }
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
                for name in ("app", "model_store", "uvicorn", "opentelemetry")
            },
        }
    )
