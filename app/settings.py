"""Every setting of the service, read once from CHROMASERVE_* environment variables."""

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024
UPLOAD_SHARE = 0.25
"""Part of the memory bound kept for encoded uploads; photos being worked on have the rest."""

Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """The service's settings; field `x` is the environment variable `CHROMASERVE_X`."""

    model_config = SettingsConfigDict(
        env_prefix="CHROMASERVE_", frozen=True, protected_namespaces=()
    )

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info")
    log_format: Literal["line", "json"] = Field(
        default="line", description="One line, or one JSON object, a record."
    )
    otel: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="OpenTelemetry traces; auto: where OTEL_EXPORTER_OTLP_ENDPOINT is set.",
    )

    model_root: Path | None = Field(
        default=None, description="Model store; the bundled one by default."
    )
    model_version: str = Field(default="latest", pattern=r"^(latest|[0-9]{1,9})$")
    max_loaded_models: Positive = Field(default=2, description="Versions held in memory at once.")
    reload_s: float = Field(
        default=0,
        ge=0,
        description="Seconds between looks for a newer version on disk; 0: only when asked.",
    )
    device: Literal["auto", "cpu", "gpu"] = Field(
        default="auto", description="gpu fails without one."
    )
    engine: Literal["auto", "savedmodel", "ncnn"] = Field(
        default="auto", description="What runs the model; auto: the fastest that agrees with it."
    )
    engine_threads: int = Field(
        default=0, ge=0, description="Threads that the model runs on, on a CPU; 0: one a core."
    )
    engine_cache: Path | None = Field(
        default=None, description="Folder of converted models; the user's cache by default."
    )
    replicas: Positive | None = Field(
        default=None, description="Engines fed from one queue; default: one a GPU, or one."
    )
    gpu_xla: bool = Field(default=False, description="Compile the model by XLA, on a GPU.")
    gpu_half: bool = Field(default=False, description="Half precision where it is safe, on a GPU.")
    max_batch: Positive | None = Field(
        default=None, description="Default: 32 on a GPU, 8 on a CPU."
    )

    png_level: Literal["fast", "small"] = Field(
        default="fast", description="PNGs: written fast, or small in many times the time."
    )

    photo_threads: int = Field(default=0, ge=0, description="Decoding and encoding; 0: one a core.")
    max_queue: Positive = Field(default=256, description="Photos accepted and not yet answered.")
    max_photos: Positive = Field(default=64, description="Photos in one request.")
    max_upload_mb: float = Field(default=64, gt=0, description="Bytes of one request body, in MiB.")
    max_uploads: Positive = Field(default=32, description="Request bodies read or held at once.")
    max_pixels: Positive = Field(
        default=50_000_000, description="Pixels of one photo, from its header."
    )
    max_side: Positive = Field(default=30_000, description="Longest side of one photo, in pixels.")
    max_memory_mb: float = Field(
        default=3072,
        gt=0,
        description="MiB held by uploads and photos at once, the model not counted.",
    )

    max_wait_s: Seconds = Field(
        default=10,
        description="A request that would wait longer, by the present estimate, gets 503 at once.",
    )
    photo_timeout_s: Seconds = Field(
        default=120, description="Longest work on one photo; then 504."
    )
    upload_timeout_s: Seconds = Field(
        default=30, description="Longest silence of an uploading client."
    )
    send_timeout_s: Seconds = Field(
        default=60, description="Longest stall of a downloading client."
    )
    keep_alive_s: Positive = Field(default=5, description="How long idle connections stay open.")
    shutdown_timeout_s: Positive = Field(default=30, description="Time to finish after SIGTERM.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if 2 * self.max_upload_bytes > self.upload_memory_bytes:
            raise ValueError(
                f"max_memory_mb={self.max_memory_mb:g} must be at least eight times"
                f" max_upload_mb={self.max_upload_mb:g}: uploads have a quarter of it, and are"
                " in memory twice while they are taken apart"
            )
        if self.max_photos > self.max_queue:
            raise ValueError("max_photos must not exceed max_queue")
        return self

    @property
    def max_upload_bytes(self) -> int:
        """Limit of one request body in bytes."""
        return int(self.max_upload_mb * MIB)

    @property
    def upload_memory_bytes(self) -> int:
        """Bytes that all request bodies in memory may take."""
        return int(self.max_memory_mb * MIB * UPLOAD_SHARE)

    @property
    def photo_memory_bytes(self) -> int:
        """Bytes that all photos being decoded, waiting or being encoded may take."""
        return int(self.max_memory_mb * MIB * (1 - UPLOAD_SHARE))


def usable_cores() -> int:
    """Cores that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
