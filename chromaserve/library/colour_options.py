"""What a caller may choose about the colours, by keyword; the names are the API's."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from chromaserve.errors import InvalidOptions
from chromaserve.pipeline.options import Options
from chromaserve.pipeline.order import Order

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from chromaserve.color.tiles import Look
    from chromaserve.photos.formats import Wanted
    from chromaserve.photos.metadata import Keep
    from chromaserve.pipeline.hints import AnyHint
    from chromaserve.pipeline.models import LoadedModel
    from chromaserve.pipeline.order import Damaged, Pages, Recolour, Sure
    from chromaserve.store.contract import Postprocess


class ColourOptions(TypedDict, total=False):
    """Options of `Colorizer`'s methods; what is left out, or None, is the model's default."""

    vividness: float | None
    """0, the safest colours, to 1, the liveliest."""
    postprocess: "Postprocess | None"
    """How colours come to the photo's size: "guided", "tv", "crf" or "none"."""
    hints: "Iterable[AnyHint | Mapping[str, Any]] | str | None"
    """Colours that are known: `Hint`s at places of the photo, `Stroke`s and `Region`s, mappings
    with their members, or the JSON of a list of them. Of several photos each is for its `photo`,
    a number from 0 or a file's name; of a film each has its `frame`, from 0, or its `time`."""
    quality: int | None
    """Of JPEG and WebP, 1 to 100."""
    metadata: "Keep | None"
    """What goes along: "keep", all but places, the default; "all"; "none"."""
    pages: "Pages | None"
    """Of a TIFF: "first", the default, or "all", for TIFF results; see `Colorizer.pages`."""
    page: int | None
    """Of a TIFF: which page, from 1."""
    damaged: "Damaged | None"
    """Whether photos are taken of which pixels are missing: "refuse", the default, or "accept"."""
    colour: "Recolour | None"
    """Of photos that have colours already: "recolour", the default, or "keep" them."""
    look: "Look | None"
    """How the network looks at a photo: "auto", the default, "whole" or "tiles"."""
    proposal: int | None
    """Which colouring: 1, the default, is the model's own, 2 to 8 are others that are likely."""
    album: bool | None
    """Of `Colorizer.colorize_many`: whether the photos, up to 64, are to agree, so that what is in
    several of them has the same colours in all."""
    reference: "bytes | str | Path | Image.Image | NDArray[np.uint8] | NDArray[np.uint16] | None"
    """A photo in colour, of any kind that is colorized: all that look like it get its colours."""
    confidence: "Sure | None"
    """"png": a map of how sure the colours are in place of the result; see `Colorizer.confidence`,
    which tells the figure too."""


def order_for(model: "LoadedModel", encoding: "Wanted", options: ColourOptions) -> Order:
    """What is wanted of the pipeline.

    Raises:
        InvalidOptions: an option is unknown or out of range.
    """
    unknown = options.keys() - ColourOptions.__annotations__.keys()
    if unknown:
        raise InvalidOptions(
            f"There is no option {min(unknown)!r}. Options are"
            f" {', '.join(ColourOptions.__annotations__)}."
        )
    given: dict[str, Any] = {k: v for k, v in options.items() if v is not None}
    given.pop("reference", None)  # a photo: `Flow` sees to it
    return Options.checked(given | {"format": encoding}).order(model)
