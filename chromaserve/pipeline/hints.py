"""Colour hints: places of a photo whose colour somebody knows."""

import re
import zlib
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

MAX_HINTS = 200
EXAMPLE = '[{"x": 410, "y": 300, "color": "#2e6b3a"}]'
_MAX_RADIUS = 100_000


class Hint(BaseModel):
    """A place in a photo, and the colour that it has: `Hint(x=410, y=300, color="#2e6b3a")`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    x: float = Field(ge=0, description="Pixels from the left edge of the upright photo.")
    y: float = Field(ge=0, description="Pixels from its top edge.")
    radius: float | None = Field(
        default=None,
        gt=0,
        le=_MAX_RADIUS,
        description="Pixels around that place which certainly have the colour. Default: 1% of the"
        " photo's longer side.",
    )
    color: str = Field(
        pattern=r"^#[0-9a-fA-F]{6}$",
        description="sRGB. Its hue and chroma count; lightness stays the photo's.",
        examples=["#2e6b3a"],
    )

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour's red, green and blue, 0..255."""
        red, green, blue = bytes.fromhex(self.color[1:])
        return red, green, blue


_LIST = TypeAdapter(Annotated[tuple[Hint, ...], Field(max_length=MAX_HINTS)])
_KEYS = ", ".join(Hint.model_fields)

SCHEMA: dict[str, Any] = {
    "type": "string",
    "contentMediaType": "application/json",
    "contentSchema": {"type": "array", "maxItems": MAX_HINTS, "items": Hint.model_json_schema()},
}
"""JSON schema of hints as a form field or query parameter."""


def parse_hints(text: str) -> tuple[Hint, ...]:
    """Hints from their JSON: a list of objects with x, y, color and perhaps radius.

    Raises:
        ValueError: with a sentence that names the hint, the first being number 1.
    """
    try:
        return _LIST.validate_json(text, strict=True)
    except ValidationError as error:
        raise ValueError(_sentence(error)) from None


def hints_noted(hints: tuple[Hint, ...]) -> str:
    """What a result says of its hints: how many, and a checksum; nothing where there are none."""
    if not hints:
        return ""
    return f"{len(hints)} hints {zlib.crc32(_LIST.dump_json(hints)):08x}"


def check_inside(hints: tuple[Hint, ...], width: int, height: int) -> None:
    """Raise ValueError, with a sentence, where a hint lies outside a photo of that size."""
    for number, hint in enumerate(hints, 1):
        if hint.x > width or hint.y > height:
            raise ValueError(
                f"hint {number} is at ({hint.x:g}, {hint.y:g}), outside the photo, which is"
                f" {width} × {height} pixels when upright. Leave it out or move it"
            )


def _sentence(error: ValidationError) -> str:
    """What is wrong with the first hint that cannot be used, and what to do about it."""
    fault = error.errors(include_url=False)[0]
    kind, where = fault["type"], fault["loc"]
    if kind == "too_long":
        return f"there are more than {MAX_HINTS}. Give the ones that matter most"
    if not where:
        return f"they must be a list in JSON, such as {EXAMPLE}"
    number = int(where[0]) + 1
    if len(where) == 1:
        return f"hint {number} must be an object with {_KEYS}, such as {EXAMPLE[1:-1]}"
    key = re.sub(r"[^\x20-\x7e]", "?", str(where[1]))[:50]
    if kind == "missing":
        return f"hint {number} has no {key}. Give it one: {EXAMPLE[1:-1]}"
    if kind == "extra_forbidden":
        return f"hint {number} has a key {key!r}, which means nothing. Keys are {_KEYS}"
    must = {
        "x": "a number of pixels from the left edge, 0 or more",
        "y": "a number of pixels from the top edge, 0 or more",
        "radius": f"a number of pixels above 0 and up to {_MAX_RADIUS}, or left out",
        "color": "six hexadecimal digits after a #, such as #2e6b3a",
    }[key]
    return f"{key} of hint {number} must be {must}"
