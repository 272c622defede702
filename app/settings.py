"""Every setting of the service, read once from CHROMASERVE_* environment variables."""

import os
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.access.keys import check_key

MIB = 1024 * 1024
UPLOAD_SHARE = 0.25
"""Part of the memory bound kept for encoded uploads; photos being worked on have the rest."""

Item = TypeVar("Item")


def _split(value: object) -> object:
    """Comma separated text as a list without blanks; None where there is nothing."""
    if not isinstance(value, str):
        return value
    return [item for each in value.split(",") if (item := each.strip())] or None


def _usable(key: SecretStr) -> SecretStr:
    check_key(key.get_secret_value())
    return key


Listed = Annotated[tuple[Item, ...], NoDecode, BeforeValidator(_split)]
ApiKey = Annotated[SecretStr, AfterValidator(_usable)]
# In small letters, as browsers send them.
Origin = Annotated[str, StringConstraints(pattern=r"^(\*|https?://[^/*\s]+)$", to_lower=True)]
HostName = Annotated[str, Field(pattern=r"^(\*|(\*\.)?[^*/:\s]+|\[[0-9a-fA-F:.]+\])$")]
RootPath = Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)+$")]
Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """The service's settings; field `x` is the environment variable `CHROMASERVE_X`."""

    model_config = SettingsConfigDict(
        env_prefix="CHROMASERVE_", env_ignore_empty=True, frozen=True, protected_namespaces=()
    )

    host: str = Field(
        default="127.0.0.1", description="Address to listen on; 0.0.0.0: all, as in the container."
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="What is logged: records of this level and above."
    )
    log_format: Literal["line", "json"] = Field(
        default="line",
        description="A record is a line, for people, or a JSON object, for log collectors.",
    )
    otel: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="OpenTelemetry traces; auto: where OTEL_EXPORTER_OTLP_ENDPOINT is set and the"
        " extra otel is installed.",
    )

    api_keys: Listed[ApiKey] | None = Field(
        default=None, description="Keys that requests must have one of, comma separated."
    )
    api_keys_file: Path | None = Field(
        default=None, description="File of such keys, one a line; read again when it changes."
    )
    cors_origins: Listed[Origin] | None = Field(
        default=None, description="Origins whose pages may ask, comma separated; *: all."
    )
    trusted_hosts: Listed[HostName] | None = Field(
        default=None, description="Host names that requests must name one of; *.example.org too."
    )
    root_path: RootPath | None = Field(
        default=None, description="Path that a proxy serves the service under, and strips."
    )
    forwarded_allow_ips: str | None = Field(
        default=None, description="Proxies whose X-Forwarded-* are believed; *: all."
    )

    model_root: Path | None = Field(
        default=None,
        description="Folder that holds colorizer/VERSION/; by default the bundled one.",
    )
    model_version: str = Field(
        default="latest",
        pattern=r"^(latest|[0-9]{1,9})$",
        description="Version that is loaded at the start and used by default.",
    )
    max_loaded_models: Positive = Field(
        default=2, description="Versions in memory at once; with 1, requests cannot choose."
    )
    reload_s: float = Field(
        default=0,
        ge=0,
        description="Seconds between looks for a newer version on disk; 0: only by"
        " POST /models/reload.",
    )
    device: Literal["auto", "cpu", "gpu"] = Field(
        default="auto",
        description="gpu ends the start where there is none; auto falls back to the CPU.",
    )
    engine: Literal["auto", "savedmodel", "ncnn"] = Field(
        default="auto",
        description="savedmodel is TensorFlow; auto: TensorFlow on a GPU, on a CPU the faster one.",
    )
    engine_threads: int = Field(
        default=0, ge=0, description="Threads that the model runs on, on a CPU; 0: one a core."
    )
    engine_cache: Path | None = Field(
        default=None,
        description="Folder of models converted for ncnn, 77 MB each; by default chromaserve in the"
        " user's cache folder.",
    )
    replicas: Positive | None = Field(
        default=None,
        description="Engines fed from one queue; by default one a GPU, or one on a CPU. On a CPU"
        " they share the threads.",
    )
    gpu_xla: bool = Field(default=False, description="On a GPU: compile the model by XLA.")
    gpu_half: bool = Field(
        default=False, description="Half precision where TensorFlow calls it safe."
    )
    max_batch: Positive | None = Field(
        default=None, description="Photos in one batch; by default 32 on a GPU, 8 on a CPU."
    )

    cache_mb: float = Field(
        default=64,
        ge=0,
        description="MiB of the model's latest answers that are kept, beyond max_memory_mb, so that"
        " the same photo with other options does not run it again; 0: none.",
    )
    png_level: Literal["fast", "small"] = Field(
        default="fast",
        description="small makes PNGs somewhat smaller and takes many times as long.",
    )

    photo_threads: int = Field(
        default=0, ge=0, description="Threads that decode and encode; 0: one a core."
    )
    max_queue: Positive = Field(default=256, description="Photos accepted and not yet answered.")
    max_photos: Positive = Field(
        default=64, description="Photos in one request; not more than the queue holds."
    )
    max_upload_mb: float = Field(default=64, gt=0, description="Bytes of one request body, in MiB.")
    max_uploads: Positive = Field(default=32, description="Request bodies read or held at once.")
    max_pixels: Positive = Field(
        default=50_000_000,
        description="Pixels of one photo, read from its header before it is decoded.",
    )
    max_side: Positive = Field(default=30_000, description="Longest side of one photo, in pixels.")
    max_memory_mb: float = Field(
        default=3072,
        gt=0,
        description="MiB held by uploads and photos at once; a quarter is for uploads, and the"
        " model is not counted.",
    )

    max_wait_s: Seconds = Field(
        default=10,
        description="A request whose first photo would wait longer for its turn, by the present"
        " estimate, gets 503 and Retry-After before its body is read; also the longest wait of an"
        " upload for room.",
    )
    photo_timeout_s: Seconds = Field(
        default=120, description="Longest work on one photo; then 504."
    )
    upload_timeout_s: Seconds = Field(
        default=30, description="Longest silence of a client that is uploading; then 408."
    )
    send_timeout_s: Seconds = Field(
        default=60, description="Longest stall of a client that is downloading; then it is cut off."
    )
    keep_alive_s: Positive = Field(default=5, description="How long idle connections stay open.")
    shutdown_timeout_s: Positive = Field(
        default=30, description="Time to finish accepted photos after SIGTERM."
    )

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
    def wants_keys(self) -> bool:
        """Whether requests need an API key."""
        return bool(self.api_keys or self.api_keys_file)

    @property
    def keys(self) -> tuple[str, ...]:
        """The API keys of the environment."""
        return tuple(key.get_secret_value() for key in self.api_keys or ())

    @property
    def max_upload_bytes(self) -> int:
        """Limit of one request body in bytes."""
        return int(self.max_upload_mb * MIB)

    @property
    def upload_memory_bytes(self) -> int:
        """Bytes that all request bodies in memory may take."""
        return int(self.max_memory_mb * MIB * UPLOAD_SHARE)

    @property
    def cache_bytes(self) -> int:
        """Bytes of the model's answers that are kept."""
        return int(self.cache_mb * MIB)

    @property
    def photo_memory_bytes(self) -> int:
        """Bytes that all photos being decoded, waiting or being encoded may take."""
        return int(self.max_memory_mb * MIB * (1 - UPLOAD_SHARE))


def usable_cores() -> int:
    """Cores that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
