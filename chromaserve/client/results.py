"""What a service's successful answers hold."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

import httpx

from chromaserve.client.problems import ProblemError
from chromaserve.library.files import format_named, write_whole
from chromaserve.photos.names import plain_name

if TYPE_CHECKING:
    from PIL import Image

_STAGE = re.compile(r"([\w-]+)((?:\s*;\s*\w+=(?:\"[^\"]*\"|[^;,]*))*)")
_DURATION = re.compile(r";\s*dur=([0-9.]+)")
_FILENAME = re.compile(r"filename\*=UTF-8''([^;]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Result:
    """A photo in colour, encoded."""

    data: bytes = field(repr=False)
    media_type: str
    """Such as "image/png"."""
    name: str
    """File name: that of the photo, with the extension of the media type."""
    model_version: int
    timings: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds by stage on the service (Server-Timing); empty for one of many photos."""
    request_id: str | None = None
    """By which the service's log can be searched."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What else is known of the photo: its `colour`, and perhaps `kept`, `page`, `warnings`,
    `confidence` with `hint_places`."""

    def __post_init__(self) -> None:
        """Have a name that leads nowhere else, whatever the service says."""
        object.__setattr__(self, "name", plain_name(self.name))

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image().size

    def image(self) -> "Image.Image":
        """The result as a Pillow image; its pixels are decoded when they are used."""
        from PIL import Image

        return Image.open(BytesIO(self.data))

    def save(self, path: str | Path) -> Path:
        """Write the file, whole or not at all; its path.

        Args:
            path: of the file, or of a folder, where it gets its own name: one that is there, or,
                where nothing is, a path without an extension of results (.png, .jpg, .webp, .tif
                and the like), which is made: "Box 3.2" is a folder.

        Raises:
            OSError: it cannot be written.
        """
        target = Path(path)
        if not format_named(target) and not target.exists():
            target.mkdir(parents=True, exist_ok=True)  # several results would become one file
        if target.is_dir():
            target /= self.name
        write_whole(target, self.data)
        return target


Outcome = Result | ProblemError | OSError
"""Of one photo among many: the result, its problem, or why it could not be read here."""


class Colorized(NamedTuple):
    """What became of one photo among many."""

    position: int
    """Its place in what was given, from 0."""
    name: str
    """Its own file name."""
    outcome: Outcome


@dataclass(frozen=True)
class ServiceInfo:
    """What a service says of itself at /models."""

    engine: str | None
    """What runs the model; None while it loads."""
    device: str | None
    """Where it runs; None while the model loads."""
    model_version: int | None
    """The version that requests get which name none."""
    versions: tuple[int, ...]
    """Those that can be asked for."""
    max_batch: int | None


def result_of(response: httpx.Response) -> Result:
    """The result in an answer, read as a whole, that is one image."""
    headers = response.headers
    found = _FILENAME.search(headers.get("content-disposition", ""))
    return Result(
        response.content,
        headers.get("content-type", "").partition(";")[0],
        unquote(found[1]) if found else "photo",
        model_version_of(response),
        stages(headers.get("server-timing", "")),
        headers.get("x-request-id"),
        _told(headers),
    )


def _told(headers: httpx.Headers) -> dict[str, Any]:
    colour, _, kept = headers.get("x-photo-colour", "").partition("; ")
    found: dict[str, Any] = {"colour": colour} if colour else {}
    if kept:
        found["kept"] = True
    if "x-photo-page" in headers:
        found["page"] = headers["x-photo-page"]
    if "x-photo-warning" in headers:
        found["warnings"] = [headers["x-photo-warning"]]
    if "x-photo-confidence" in headers:
        found["confidence"] = float(headers["x-photo-confidence"])
        places = [each.split(",") for each in headers.get("x-hint-places", "").split()]
        found["hint_places"] = [{"x": float(x), "y": float(y)} for x, y in places]
    return found


def model_version_of(response: httpx.Response) -> int:
    """The version that made the answer, 0 where it is not said."""
    told = response.headers.get("x-model-version", "")
    return int(told) if told.isdecimal() else 0


def stages(header: str) -> dict[str, float]:
    """Milliseconds by name from a Server-Timing header (W3C); those without any are left out."""
    found = {}
    for name, parameters in _STAGE.findall(header):
        duration = _DURATION.search(parameters)
        if duration:
            found[name] = float(duration[1])
    return found


def info_of(models: Mapping[str, Any]) -> ServiceInfo:
    """The answer of /models in short."""
    rows = models["models"]
    return ServiceInfo(
        engine=models["engine"],
        device=models["device"],
        model_version=next((row["version"] for row in rows if row["default"]), None),
        versions=tuple(row["version"] for row in rows if row["problem"] is None),
        max_batch=models["max_batch"],
    )
