"""Which representation to send, by the Accept header (RFC 9110, section 12.5.1).

Read here: python-mimeparse 2.0 refuses the whole header for one range that it can't read, and takes
seven seconds of the event loop for 60 kB of semicolons in quotes.
"""

from dataclasses import dataclass
from typing import Literal

from chromaserve.photos.formats import MEDIA_TYPES, Format, Wanted

from .errors import NotAcceptable
from .problems import PROBLEM_JSON

Container = Literal["image", "zip", "json"]
_CONTAINERS: dict[Container, str] = {"zip": "application/zip", "json": "application/json"}


@dataclass(frozen=True)
class Representation:
    """How the result is sent: bare or in a container, and each photo's encoding."""

    container: Container
    format: Wanted


def negotiate(
    accept: str | None, *, photos: int, asked: Wanted | None, own: Format = "png"
) -> Representation:
    """Choose what to send.

    Args:
        accept: the Accept header; None or empty accepts anything.
        photos: photos in the request; several never go out as a bare image.
        asked: the `format` option. Without it PNG is sent, unless Accept rules PNG out and names
            another of the encodings.
        own: what "same" is, for one photo.

    Raises:
        NotAcceptable: nothing on offer fits.
    """
    ranges = _parse(accept or "*/*")
    if [media_range for media_range, _ in ranges] == [PROBLEM_JSON]:
        ranges = _parse("*/*")  # clients made by openapi-generator name what has "json" in it
    best: tuple[float, Representation] | None = None
    formats: list[Format] = ["png", "jpeg", "webp", "tiff"]
    if asked:
        formats = [own if asked == "same" else asked]
    bare = formats[0]
    if not asked and not _quality(ranges, MEDIA_TYPES[bare]):
        bare = max(formats, key=lambda f: _quality(ranges, MEDIA_TYPES[f]))
    offers: list[tuple[str, Representation]] = [
        (media_type, Representation(container, asked or "png"))
        for container, media_type in _CONTAINERS.items()
    ]
    if photos == 1:
        offers.insert(0, (MEDIA_TYPES[bare], Representation("image", bare)))
    for media_type, representation in offers:
        quality = _quality(ranges, media_type)
        if quality > (best[0] if best else 0):
            best = quality, representation
    if best is None:
        images = [MEDIA_TYPES[f] for f in formats] if photos == 1 else []
        offered = ", ".join([*images, *_CONTAINERS.values()])
        raise NotAcceptable(
            f"Accept: {(accept or '')[:100]} rules out everything on offer for {photos}"
            f" photo{'s' if photos > 1 else ''}: {offered}. Accept one of these."
        )
    return best[1]


def _parse(accept: str) -> list[tuple[str, float]]:
    """Media ranges with their quality; a range that cannot be read is left out."""
    ranges = []
    for part in accept.lower().split(","):
        media_range, *parameters = (p.strip() for p in part.split(";"))
        quality = 1.0
        for name, _, value in (p.partition("=") for p in parameters):
            if name.strip() == "q":
                try:
                    quality = min(1.0, max(0.0, float(value)))
                except ValueError:
                    quality = 0.0
        if "/" in media_range:
            ranges.append((media_range, quality))
    return ranges


def _quality(ranges: list[tuple[str, float]], media_type: str) -> float:
    """Quality by the most specific range that matches, 0 if none does."""
    for wanted in (media_type, f"{media_type.split('/')[0]}/*", "*/*"):
        found = [quality for media_range, quality in ranges if media_range == wanted]
        if found:
            return max(found)
    return 0.0
