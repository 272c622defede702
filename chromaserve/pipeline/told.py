"""What is told of a photo beside its result: colours that it had, its page, what was missing."""

from dataclasses import dataclass
from typing import Any

from chromaserve.color.toned import Colour
from chromaserve.photos.photo import Header, Photo
from chromaserve.pipeline.assess import Assessed
from chromaserve.pipeline.memory import Share
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.timings import Timings


@dataclass(frozen=True)
class Told:
    """Of one photo."""

    colour: Colour
    """What it was: in colour, grey, or grey with a tone."""
    kept: bool = False
    """Whether its own colours were kept."""
    pages: int = 1
    """Photos in its file."""
    number: int | None = 1
    """Which of them it is; None: all are in the result."""
    chosen: bool = False
    """Whether that was asked for."""
    others: int = 0
    """Further pictures of its file, which are never taken."""
    missing: float = 0.0
    """Part of its pixels."""
    lost: tuple[str, ...] = ()
    """Metadata that did not go along, in words."""
    more_pages: bool = False
    """Whether its file has others, which cannot be read."""
    assessed: Assessed | None = None
    """How sure its colours are, where that is wanted."""

    def members(self) -> dict[str, Any]:
        """As manifests and the command have it."""
        found: dict[str, Any] = {"colour": self.colour}
        if self.kept:
            found["kept"] = True
        if self.page:
            found["page"] = self.page
        if self.warnings:
            found["warnings"] = self.warnings
        if self.assessed:
            found["confidence"] = self.assessed.figure
            found["hint_places"] = [{"x": x, "y": y} for x, y in self.assessed.places]
        return found

    @property
    def page(self) -> str:
        """Such as "1 of 3"; empty where there is one."""
        there = self.pages + self.others
        if there == 1:
            return ""
        return f"{self.number or f'1-{there}'} of {there}"

    @property
    def warnings(self) -> list[str]:
        """Sentences on what is not as it should be."""
        found = []
        if self.missing:
            part = max(1, round(100 * self.missing))
            found.append(f"The file is damaged: about {part}% of the pixels are missing.")
        if self.lost:
            found.append(f"Too large or broken to go along: {', '.join(self.lost)}.")
        if self.more_pages:
            found.append(f"The file is damaged: pages after number {self.pages} cannot be read.")
        if self.pages > 1 and not self.chosen:
            found.append(f"This is page 1 of {self.pages}; pages=all gives all of them.")
        if self.others:
            found.append(f"This is the first of {1 + self.others} pictures; no others are taken.")
        return found


@dataclass(frozen=True)
class Made:
    """How a result came to be."""

    size: tuple[int, int]
    """Width and height."""
    told: Told
    timings: Timings
    share: Share
    """Of memory, still held."""


def told_of(photo: Photo, header: Header, order: Order, assessed: Assessed | None = None) -> Told:
    """What is told of a decoded photo."""
    several = len(header.pages) > 1
    whole = several and order.pages == "all" and order.format_for(header) == "tiff"
    return Told(
        photo.colour,
        photo.colours is not None,
        len(header.pages),
        None if whole else header.pages.index(header.page) + 1,
        order.pages == "all" or order.page is not None,
        header.pictures - 1,
        photo.missing,
        photo.metadata.lost,
        header.more_pages,
        assessed,
    )
