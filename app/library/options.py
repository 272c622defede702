"""What a caller may choose about the colours, by keyword; the names are the API's."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from pydantic import ValidationError

from app.errors import InvalidOptions, invalid_options
from app.options import Head, Options
from app.pipeline import Order

if TYPE_CHECKING:
    from app.hints import Hint
    from app.images.encode import Format
    from app.models import LoadedModel
    from model_store.contract import Postprocess


class ColourOptions(TypedDict, total=False):
    """Options of `Colorizer`'s methods; what is left out, or None, is the model's default."""

    vividness: float | None
    """0, the safest colours, to 1, the liveliest."""
    head: Head | None
    """Short for vividness 0 ("regression") or 1 ("distribution")."""
    postprocess: "Postprocess | None"
    """How colours come to the photo's size: "guided", "tv", "crf" or "none"."""
    mirror: bool | None
    """Average with the mirror image's colours, for twice the work."""
    hints: "Iterable[Hint | Mapping[str, Any]] | str | None"
    """Colours that are known at places of the photo: `Hint`s, mappings of x, y, color and perhaps
    radius, or the JSON of a list of them."""


def order_for(model: "LoadedModel", encoding: "Format", options: ColourOptions) -> Order:
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
    if "hints" in given and not isinstance(given["hints"], str):
        given["hints"] = tuple(given["hints"])
    try:
        chosen = Options.model_validate(given | {"format": encoding})
    except ValidationError as error:
        raise invalid_options(error.errors()) from error
    vividness = chosen.asked_vividness
    if vividness is None:
        vividness = model.description.default_vividness
    postprocess = chosen.postprocess or model.description.postprocess
    return Order(model, vividness, chosen.mirror, postprocess, encoding, chosen.hints)
