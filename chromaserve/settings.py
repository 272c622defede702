"""Settings of the work on photos, read once from CHROMASERVE_* environment variables."""

import logging
import math
import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from chromaserve.fitting import Fits

log = logging.getLogger("chromaserve")

CGROUP = Path("/sys/fs/cgroup")
"""A container sees its own limits here (cgroup v2)."""
MIB = 1024 * 1024
MODEL_MB = 1000
"""Of memory that a process takes beside photos once it has worked, with the CPU engine on two cores
and the answers kept."""
_MEMORY_MB, _LEAST_MEMORY_MB = 3072, 512
UPLOAD_SHARE = 0.25
"""Part of the memory bound kept for encoded uploads; photos being worked on have the rest."""

_MOST = 2_000_000_000
Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Version = Annotated[str, Fits(r"latest|[0-9]{1,9}", 'it is to be a number or "latest"')]


class PipelineSettings(BaseSettings):
    """What models, engines and the pipeline go by; field `x` is the variable `CHROMASERVE_X`."""

    model_config = SettingsConfigDict(
        env_prefix="CHROMASERVE_", env_ignore_empty=True, frozen=True, protected_namespaces=()
    )

    model_root: Path | None = Field(
        default=None,
        description="Folder that holds colorizer/VERSION/; by default the bundled one.",
    )
    model_version: Version = Field(
        default="latest", description="Version that is loaded at the start and used by default."
    )
    max_loaded_models: Positive = Field(
        default=2, description="Versions in memory at once; with 1, requests cannot choose."
    )
    device: Literal["auto", "cpu", "gpu"] = Field(
        default="auto",
        description="gpu ends the start where there is none; auto falls back to the CPU.",
    )
    engine: Literal["auto", "savedmodel", "ncnn"] = Field(
        default="auto",
        description="savedmodel is TensorFlow; auto: that on a GPU, on a CPU ncnn where the version"
        " has its files.",
    )
    engine_threads: int = Field(
        default=0, ge=0, description="Threads that the model runs on, on a CPU; 0: one a core."
    )
    replicas: Positive | None = Field(
        default=None,
        description="Engines fed from one queue; by default one a GPU, or one on a CPU. On a CPU"
        " they share the threads.",
    )
    max_batch: Positive | None = Field(
        default=None,
        description="Photos in one batch; by default 32 on a GPU, on a CPU 8 by TensorFlow and 1 by"
        " ncnn, which runs as many photos beside each other as fill the cores.",
    )
    cache_mb: float = Field(
        default=64,
        ge=0,
        allow_inf_nan=False,
        description="MiB of the model's latest answers that are kept, beyond max_memory_mb, so that"
        " the same photo with other options does not run it again; 0: none.",
    )
    png_level: Literal["fast", "small"] = Field(
        default="fast",
        description="small makes PNGs somewhat smaller and takes many times as long.",
    )
    c2pa_certificate: Path | None = Field(
        default=None,
        description="PEM file of a certificate, and of those that vouch for it: results are signed"
        " as C2PA has it (Content Credentials).",
    )
    c2pa_key: Path | None = Field(default=None, description="PEM file of its private key.")
    photo_threads: int = Field(
        default=0, ge=0, description="Threads that decode and encode; 0: one a core."
    )
    max_queue: Positive = Field(default=256, description="Photos accepted and not yet answered.")
    max_upload_mb: float = Field(
        default=64, gt=0, allow_inf_nan=False, description="Bytes of one request body, in MiB."
    )
    max_uploads: Positive = Field(
        default=256,
        description="Request bodies that arrive at once; they are counted as they come.",
    )
    max_pixels: Positive = Field(
        default=50_000_000,
        description="Pixels of one photo, read from its header before it is decoded.",
    )
    max_side: Positive = Field(default=30_000, description="Longest side of one photo, in pixels.")
    max_memory_mb: float = Field(
        default=_MEMORY_MB,
        gt=0,
        allow_inf_nan=False,
        description="MiB held by uploads and photos at once; a quarter is for uploads, and the"
        " model is not counted. By default less in a container that has less, and 512 for each of"
        " the service's workers at least.",
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

    @model_validator(mode="before")
    @classmethod
    def _as_the_container_has_it(cls, given: object) -> object:
        """Leave out what Kubernetes sets for a Service of this name, CHROMASERVE_PORT=tcp://…; and
        let the memory bound by default be what a small container has beside the model."""
        if not isinstance(given, dict):
            return given
        links = {k for k, v in given.items() if isinstance(v, str) and v.startswith("tcp://")}
        for name in sorted(links):
            log.warning("CHROMASERVE_%s is ignored: Kubernetes set it", name.upper())
        kept = {k: v for k, v in given.items() if k not in links}
        if "max_memory_mb" not in kept:
            told = str(kept.get("workers", ""))  # the service's
            workers = int(told) if told.isdecimal() else 1
            limit = container_memory()
            room_mb = limit // MIB - workers * MODEL_MB if limit else _MEMORY_MB
            kept["max_memory_mb"] = max(workers * _LEAST_MEMORY_MB, min(_MEMORY_MB, room_mb))
        return kept

    @classmethod
    def unknown_variables(cls) -> list[str]:
        """Variables of the environment that look like settings and are none, misspelt perhaps."""
        known = {f"CHROMASERVE_{name}".upper() for name in cls.model_fields}
        return sorted(
            name
            for name in os.environ
            if name.startswith("CHROMASERVE_")
            and name not in known | {"CHROMASERVE_API_KEY", "CHROMASERVE_URL"}  # the command's
            and not re.search(r"_(PORT(_.+)?|SERVICE_(HOST|PORT.*))$", name)  # by Kubernetes
        )

    @field_validator("*")
    @classmethod
    def _within_reason(cls, value: object) -> object:
        """Clocks and the system's own numbers end not far beyond."""
        if isinstance(value, int | float) and value > _MOST:
            raise ValueError(f"it is to be at most {_MOST:,}")
        return value

    @model_validator(mode="after")
    def _room_for_uploads(self) -> Self:
        if 2 * self.max_upload_bytes > self.upload_memory_bytes:
            raise ValueError(
                f"max_memory_mb={self.max_memory_mb:g} must be at least eight times"
                f" max_upload_mb={self.max_upload_mb:g}: uploads have a quarter of it, and are"
                " in memory twice while they are taken apart"
            )
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
    def cache_bytes(self) -> int:
        """Bytes of the model's answers that are kept."""
        return int(self.cache_mb * MIB)

    @property
    def photo_memory_bytes(self) -> int:
        """Bytes that all photos being decoded, waiting or being encoded may take."""
        return int(self.max_memory_mb * MIB * (1 - UPLOAD_SHARE))


def usable_cores() -> int:
    """Cores that this process may use, by its affinity and its container's quota (cgroup v2)."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota = _of_container("cpu.max").split()
    if len(quota) == 2 and quota[0].isdecimal():
        cores = min(cores, max(1, math.ceil(int(quota[0]) / int(quota[1]))))
    return cores


def container_memory() -> int | None:
    """Bytes that this process's container may have (cgroup v2); None where there is no limit."""
    limit = _of_container("memory.max").strip()
    return int(limit) if limit.isdecimal() else None


def _of_container(name: str) -> str:
    for folder in (CGROUP, CGROUP / _own_group()):
        try:
            return (folder / name).read_text()
        except OSError:  # the root has no limits
            continue
    return ""


def _own_group() -> str:
    """This process's cgroup below the root; a container sees its own as the root."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return ""
    return next((line[3:].strip("/") for line in lines if line.startswith("0::")), "")
