"""What is wanted for every photo of a request: what its options make with a model."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from chromaserve.color.close_ups import most_tiles
from chromaserve.color.tiles import Look, tiling
from chromaserve.photos.formats import Format, Wanted, written_as
from chromaserve.photos.metadata import Keep
from chromaserve.photos.photo import Float, Header
from chromaserve.pipeline.hints import AnyHint
from chromaserve.store.contract import Postprocess

if TYPE_CHECKING:
    from chromaserve.pipeline.models import LoadedModel
    from chromaserve.pipeline.reference import Reference

Pages = Literal["first", "all"]
Damaged = Literal["refuse", "accept"]
Recolour = Literal["recolour", "keep"]
Sure = Literal["figure", "png"]


@dataclass(frozen=True)
class Order:
    """What is wanted for every photo of a request."""

    model: "LoadedModel"
    vividness: float
    postprocess: Postprocess
    format: Wanted
    hints: tuple[AnyHint, ...] = ()
    """For the one photo that there is, or for those that they name by number."""
    quality: int | None = None
    metadata: Keep = "keep"
    pages: Pages = "first"
    page: int | None = None
    damaged: Damaged = "refuse"
    colour: Recolour = "recolour"
    proposal: int = 1
    proposals: int = 1
    """How many results its one photo has, where it is not 1."""
    confidence: Sure | None = None
    look: Look = "auto"
    reference: "Reference | None" = None
    """A photo whose colours all have that look like it."""
    album: tuple[Float | None, ...] = field(default=(), compare=False)
    """For each photo, where some are to agree, what that adds to its chroma: see `agreed`."""
    shift: Float | None = field(default=None, compare=False)
    """The same of this one photo."""

    def looks_at(self, header: object) -> int:
        """How often the network looks at a photo with this header; once where it has none.

        More often where there are small faces in it, which its header does not tell.
        """
        if not isinstance(header, Header):
            return 1
        tiles = tiling(header.width, header.height, self.look)
        return 1 + (tiles.count if tiles else 0)

    def most_looks_at(self, header: Header) -> int:
        """The same, with as many small faces in it as there may be."""
        return 1 + most_tiles(header.width, header.height, self.look)

    def nth(self, index: int) -> "Order":
        """What is wanted for the result at that place among a request's, from 0."""
        if self.proposals > 1:
            return replace(self, proposal=index + 1)
        hints = self.hints_of(index)
        if not self.album and len(hints) == len(self.hints):
            return self
        shift = self.album[index] if self.album else None
        return replace(self, hints=hints, album=(), shift=shift)

    def hints_of(self, index: int) -> tuple[AnyHint, ...]:
        """The hints of the photo at that place."""
        return tuple(hint for hint in self.hints if hint.photo in (None, index))

    def format_for(self, header: object) -> Format:
        """The encoding of one photo's result; of one that cannot be read, nobody asks."""
        return format_for(self.format, header)


def format_for(wanted: Wanted, header: object) -> Format:
    """The encoding of the result of a photo with this header, or with none that could be read."""
    return written_as(wanted, header.format if isinstance(header, Header) else None)
