"""Every setting of the service, read once from CHROMASERVE_* environment variables."""

import re
from base64 import b64decode
from ipaddress import ip_network
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
from pydantic_settings import NoDecode

from chromaserve.fitting import Fits
from chromaserve.settings import PipelineSettings, Positive, Seconds, usable_cores

Item = TypeVar("Item")

_MIN_LENGTH = 16
_MAX_LENGTH = 256
_SECRET_BYTES = 24, 64
# What a header can carry, less the comma, which separates keys in the environment.
_KEY = re.compile(rf"[!-+\--~]{{{_MIN_LENGTH},{_MAX_LENGTH}}}")


def check_key(key: str) -> str:
    """The key, if it can be one.

    Raises:
        ValueError: it is too short, too long or not visible ASCII; the message does not show it.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(
            f"a key has {_MIN_LENGTH} to {_MAX_LENGTH} visible ASCII characters, no comma among"
            " them; `openssl rand -hex 32` makes one"
        )
    return key


def _split(value: object) -> object:
    """Comma separated text as a list without blanks; None where there is nothing."""
    if not isinstance(value, str):
        return value
    return [item for each in value.split(",") if (item := each.strip())] or None


def _usable(key: SecretStr) -> SecretStr:
    check_key(key.get_secret_value())
    return key


def _signs(secret: SecretStr) -> SecretStr:
    try:
        key = b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not _SECRET_BYTES[0] <= len(key) <= _SECRET_BYTES[1]:
        raise ValueError(
            "it is to be 24 to 64 bytes in base64; `openssl rand -base64 32` makes some"
        )
    return secret


def _proxy(value: str) -> str:
    if value != "*":
        ip_network(value)  # of what is none uvicorn says nothing, and believes nobody
    return value


Listed = Annotated[tuple[Item, ...], NoDecode, BeforeValidator(_split)]
ApiKey = Annotated[SecretStr, AfterValidator(_usable)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_signs)]
Address = Annotated[
    str,
    Fits(
        r"https?://[^/*\s\\@?#]+(/[^*\s\\?#]*)?",
        "an address is https://bucket.example.org, or one with a path, without * and ?",
    ),
]
# In small letters, as browsers send them.
Origin = Annotated[
    str,
    StringConstraints(to_lower=True),
    Fits(
        r"\*|https?://[^/*\s]+", "an origin is https://app.example.org, without a path behind, or *"
    ),
]
HostName = Annotated[
    str,
    Fits(
        r"\*|(\*\.)?[^*/:\s]+|\[[0-9a-fA-F:.]+\]",
        "a host name is app.example.org, without https:// and port, or *.example.org for all below",
    ),
]
Proxy = Annotated[str, AfterValidator(_proxy)]
RootPath = Annotated[
    str, Fits(r"(/[A-Za-z0-9._~-]+)+", "a path is /colour: it begins with / and does not end so")
]


class Settings(PipelineSettings):
    """The service's settings; field `x` is the environment variable `CHROMASERVE_X`."""

    host: str = Field(
        default="127.0.0.1", description="Address to listen on; 0.0.0.0: all, as in the container."
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one."
    )
    workers: Positive = Field(
        default=1,
        description="Processes that serve from the one port, each with a model of its own. What is"
        " bounded here is divided among them, and so are cores and GPUs.",
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
    admin_keys: Listed[ApiKey] | None = Field(
        default=None,
        description="Keys that may also have models reloaded. In the file such a line begins with"
        " `admin `.",
    )
    rate_limit: int = Field(
        default=0,
        ge=0,
        description="Requests a minute that one API key, or without keys one address (IPv6: network"
        " of 64 bits), may send of those that want work; more get 429. 0: any number.",
    )
    daily_limit: int = Field(default=0, ge=0, description="The same a day.")
    cors_origins: Listed[Origin] | None = Field(
        default=None, description="Origins whose pages may ask, comma separated; *: all."
    )
    trusted_hosts: Listed[HostName] | None = Field(
        default=None, description="Host names that requests must name one of; *.example.org too."
    )
    root_path: RootPath | None = Field(
        default=None, description="Path that a proxy serves the service under, and strips."
    )
    forwarded_allow_ips: Listed[Proxy] | None = Field(
        default=None,
        description="Addresses or networks of proxies whose X-Forwarded-* are believed, comma"
        " separated; *: all.",
    )

    reload_s: float = Field(
        default=0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds between looks for a newer version on disk; 0: only by"
        " POST /models/reload.",
    )
    max_photos: Positive = Field(
        default=64, description="Photos in one request; not more than the queue holds."
    )

    jobs: Path | None = Field(
        default=None,
        description="Folder for jobs, on a disk of this machine; processes that have the same one"
        " share the work. None: there are no jobs.",
    )
    jobs_database: SecretStr | None = Field(
        default=None,
        description="PostgreSQL server for the queue of jobs, postgresql://…, where machines share"
        " it, and the folder too. Needs the extra postgresql. None: SQLite, in the folder.",
    )
    jobs_photos: Positive = Field(default=1000, description="Photos in one job.")
    jobs_mb: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        default=4096,
        description="MiB on disk of all jobs' photos and results, those to come included; a job"
        " that does not fit gets 507.",
    )
    jobs_keep_s: Seconds = Field(
        default=86_400, description="How long a job and its results are kept after its end."
    )
    jobs_addresses: Listed[Address] | None = Field(
        default=None,
        description="Addresses that photos of jobs may come from, results go to and callbacks be"
        " sent to: origins, or paths on them with all below, comma separated. No other is asked.",
    )
    jobs_secret: WebhookSecret | None = Field(
        default=None,
        description="What callbacks are signed with (Standard Webhooks): whsec_ and 24 to 64 bytes"
        " in base64.",
    )

    max_connections: Positive = Field(
        default=1024,
        description="Connections at once, fewer where the system allows fewer files. Another one"
        " takes the place of the one that has been without a request for longest.",
    )
    head_timeout_s: Seconds = Field(
        default=10, description="Longest time that the head of a request may take; then 408."
    )
    upload_timeout_s: Seconds = Field(
        default=30, description="Longest silence of a client that is uploading; then 408."
    )
    min_upload_kb_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        default=4,
        description="KiB a second that an upload has to come with, on the average and after"
        " upload_timeout_s; then 408. Where there is no room for another upload, the slowest of"
        " those below sixteen times as much gives way.",
    )
    send_timeout_s: Seconds = Field(
        default=60,
        description="Longest time in which a client that is downloading takes no 64 KiB; then it is"
        " cut off.",
    )
    engine_timeout_s: Seconds = Field(
        default=60,
        description="Longest time of one batch in the model, and never more than photo_timeout_s;"
        " then the model is loaded anew.",
    )
    keep_alive_s: Positive = Field(default=5, description="How long idle connections stay open.")
    shutdown_timeout_s: Positive = Field(
        default=30, description="Time to finish accepted photos after SIGTERM."
    )

    @model_validator(mode="after")
    def _photos_fit_the_queue(self) -> Self:
        if self.max_photos > self.max_queue:
            raise ValueError("max_photos must not exceed max_queue")
        return self

    @model_validator(mode="after")
    def _jobs_have_a_folder(self) -> Self:
        for name in ("jobs_database", "jobs_addresses", "jobs_secret"):
            if self.jobs is None and getattr(self, name) is not None:
                raise ValueError(f"{name} needs jobs, a folder: without it there are no jobs")
        return self

    @model_validator(mode="after")
    def _every_worker_has_room_for_uploads(self) -> Self:
        if self.workers > 1 and 2 * self.max_upload_bytes * self.workers > self.upload_memory_bytes:
            raise ValueError(
                f"max_memory_mb={self.max_memory_mb:g} is divided among {self.workers} workers, and"
                f" must be at least {8 * self.workers} times max_upload_mb={self.max_upload_mb:g}"
            )
        return self

    def for_worker(self, number: int) -> Self:
        """What one of the workers has of the machine and its limits.

        Its queue holds one request of `max_photos` in any case, however many the workers are.

        Args:
            number: from 1.
        """

        def part(whole: int) -> int:
            return max(1, whole // self.workers + (number <= whole % self.workers))

        cores = usable_cores()
        return self.model_copy(
            update={
                "max_memory_mb": self.max_memory_mb / self.workers,
                "cache_mb": self.cache_mb / self.workers,
                "max_queue": max(self.max_photos, part(self.max_queue)),
                "max_uploads": part(self.max_uploads),
                "max_connections": part(self.max_connections),
                "engine_threads": part(self.engine_threads or cores),
                "photo_threads": part(self.photo_threads or cores),
                "replicas": self.replicas and part(self.replicas),
            }
        )

    @property
    def wants_keys(self) -> bool:
        """Whether requests need an API key."""
        return bool(self.api_keys or self.admin_keys or self.api_keys_file)
