"""Logs, and the Server-Timing header (W3C Server Timing) that tells where the time went."""

import logging
import logging.config
from dataclasses import dataclass

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

    def milliseconds(self) -> dict[str, float]:
        """The stages in milliseconds, for people and manifests."""
        return {
            "admission": round(1000 * self.admission_s, 1),
            "decode": round(1000 * self.decode_s, 1),
            "queue": round(1000 * self.queue_s, 1),
            "inference": round(1000 * self.inference_s, 1),
            "encode": round(1000 * self.encode_s, 1),
            "total": round(1000 * self.total_s, 1),
        }

    def header(self) -> str:
        """The value of a Server-Timing header; inference's description is the batch size."""
        parts = []
        for name, duration in self.milliseconds().items():
            batch = f';desc="batch={self.batch}"' if name == "inference" else ""
            parts.append(f"{name}{batch};dur={duration}")
        return ", ".join(parts)


def configure_logging(settings: Settings) -> None:
    """One line a record on standard error, uvicorn's records too."""
    level = settings.log_level.upper()
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "line": {"format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s"},
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "loggers": {
                name: {"handlers": ["stderr"], "level": level, "propagate": False}
                for name in ("app", "model_store", "uvicorn")
            },
        }
    )
