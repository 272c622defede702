"""Colour hints: places, strokes and regions of a photo whose colour somebody knows."""

import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

MAX_HINTS = 200
MAX_POINTS = 2000
"""Of all hints together."""
EXAMPLE = '[{"x": 410, "y": 300, "color": "#2e6b3a"}]'
_MAX_RADIUS = 100_000

Coordinate = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Point = tuple[Coordinate, Coordinate]
"""Pixels from the left and from the top edge of the upright photo."""
Colour = Annotated[
    str,
    Field(
        pattern=r"^#[0-9a-fA-F]{6}$",
        description="sRGB. Its hue and chroma count; lightness stays the photo's.",
        examples=["#2e6b3a"],
    ),
]
WhichPhoto = Annotated[
    Annotated[int, Field(ge=0)] | Annotated[str, Field(min_length=1, max_length=1000)] | None,
    Field(
        description="Of several photos: which one, by its number from 0 or its file's name."
        " Default: the only one.",
    ),
]


WhichFrame = SkipJsonSchema[Annotated[int, Field(ge=0)] | None]
"""Of a film: the frame that it was made on, from 0. The service takes none."""
WhichTime = SkipJsonSchema[Annotated[float, Field(ge=0)] | None]
"""The second at which that is seen, in its place."""


class _Coloured(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour's red, green and blue, 0..255."""
        red, green, blue = bytes.fromhex(self.color[1:])  # type: ignore[attr-defined]
        return red, green, blue


class Hint(_Coloured):
    """A place in a photo, and the colour that it has: `Hint(x=410, y=300, color="#2e6b3a")`."""

    x: float = Field(ge=0, description="Pixels from the left edge of the upright photo.")
    y: float = Field(ge=0, description="Pixels from its top edge.")
    radius: float | None = Field(
        default=None,
        gt=0,
        le=_MAX_RADIUS,
        description="Pixels around that place which certainly have the colour. Default: 1% of the"
        " photo's longer side.",
    )
    color: Colour
    photo: WhichPhoto = None
    frame: WhichFrame = None
    time: WhichTime = None

    @property
    def points(self) -> tuple[Point, ...]:
        """The place."""
        return ((self.x, self.y),)


class Stroke(_Coloured):
    """A line over what has a colour: `Stroke(stroke=[(9, 5), (40, 7)], color="#2e6b3a")`."""

    stroke: tuple[Point, ...] = Field(
        min_length=1,
        max_length=MAX_POINTS,
        description="Its corners, x and y in pixels of the upright photo.",
    )
    radius: float | None = Field(
        default=None,
        gt=0,
        le=_MAX_RADIUS,
        description="Half its width in pixels. Default: 1% of the photo's longer side.",
    )
    color: Colour
    photo: WhichPhoto = None
    frame: WhichFrame = None
    time: WhichTime = None

    @property
    def points(self) -> tuple[Point, ...]:
        """Its corners."""
        return self.stroke


class Region(_Coloured):
    """What a closed line encloses, and the colour that all of it has."""

    region: tuple[Point, ...] = Field(
        min_length=3,
        max_length=MAX_POINTS,
        description="The line's corners, x and y in pixels of the upright photo; the last one joins"
        " the first. Where it crosses itself the even-odd rule tells what is inside.",
    )
    color: Colour
    photo: WhichPhoto = None
    frame: WhichFrame = None
    time: WhichTime = None

    @property
    def points(self) -> tuple[Point, ...]:
        """Its corners."""
        return self.region


_KINDS: dict[str, type[Hint | Stroke | Region]] = {
    "point": Hint,
    "stroke": Stroke,
    "region": Region,
}
_EXAMPLES = {
    "point": EXAMPLE[1:-1],
    "stroke": '{"stroke": [[40, 60], [90, 75]], "color": "#2e6b3a"}',
    "region": '{"region": [[10, 10], [200, 12], [120, 180]], "color": "#2e6b3a"}',
}


def _kind(given: Any) -> str | None:  # noqa: ANN401 - whatever came
    for name, kind in _KINDS.items():
        if isinstance(given, kind):
            return name
    if not isinstance(given, Mapping):
        return None
    return next((name for name in ("stroke", "region") if name in given), "point")


AnyHint = Annotated[
    Annotated[Hint, Tag("point")]
    | Annotated[Stroke, Tag("stroke")]
    | Annotated[Region, Tag("region")],
    Discriminator(_kind),
]


def _few_points(hints: tuple[Hint | Stroke | Region, ...]) -> tuple[Hint | Stroke | Region, ...]:
    count = sum(len(hint.points) for hint in hints)
    if count > MAX_POINTS:
        raise PydanticCustomError(
            "points",
            "they have {count} points, and may have {most} together. Draw strokes and regions with"
            " fewer",
            {"count": count, "most": MAX_POINTS},
        )
    return hints


Hints = Annotated[tuple[AnyHint, ...], Field(max_length=MAX_HINTS), AfterValidator(_few_points)]
_LIST: TypeAdapter[tuple[Hint | Stroke | Region, ...]] = TypeAdapter(Hints)

SCHEMA: dict[str, Any] = {
    "type": "string",
    "contentMediaType": "application/json",
    "contentSchema": {
        "type": "array",
        "maxItems": MAX_HINTS,
        "items": {"anyOf": [kind.model_json_schema() for kind in _KINDS.values()]},
    },
}
"""JSON schema of hints as a form field or query parameter."""


def parse_hints(text: str) -> tuple[Hint | Stroke | Region, ...]:
    """Hints from their JSON: a list of objects with a place, a stroke or a region, and a color.

    Raises:
        ValueError: with a sentence that names the hint, the first being number 1.
    """
    try:
        return _LIST.validate_json(text, strict=True)
    except ValidationError as error:
        raise ValueError(_sentence(error)) from None


def checked_hints(given: object) -> tuple[Hint | Stroke | Region, ...]:
    """Hints that are given as objects, or as mappings with their members.

    Raises:
        ValueError: as `parse_hints`.
    """
    # One hint is iterable, too: by its members.
    if isinstance(given, _Coloured | Mapping) or not isinstance(given, Iterable):
        raise ValueError(f"they must be a list, such as {EXAMPLE}")
    try:
        return _LIST.validate_python(tuple(given))
    except ValidationError as error:
        raise ValueError(_sentence(error)) from None


def hints_noted(hints: tuple[Hint | Stroke | Region, ...]) -> str:
    """What a result says of its hints: how many, and a checksum; nothing where there are none."""
    if not hints:
        return ""
    alone = _LIST.dump_json(hints, exclude={"__all__": {"photo", "frame", "time"}})
    return f"{len(hints)} hints {zlib.crc32(alone):08x}"


def _sentence(error: ValidationError) -> str:
    """What is wrong with the first hint that cannot be used, and what to do about it."""
    fault = error.errors(include_url=False)[0]
    code, where = fault["type"], fault["loc"]
    if code == "points":
        return fault["msg"]
    if not where:
        if code == "too_long":
            return f"there are more than {MAX_HINTS}. Give the ones that matter most"
        return f"they must be a list in JSON, such as {EXAMPLE}"
    number = int(where[0]) + 1
    if len(where) == 1:
        keys = ", ".join(Hint.model_fields)
        return f"hint {number} must be an object with {keys}, such as {EXAMPLE[1:-1]}"
    kind = str(where[1])
    keys, example = ", ".join(_KINDS[kind].model_fields), _EXAMPLES[kind]
    if len(where) == 2:
        return f"hint {number} must be an object with {keys}, such as {example}"
    key = re.sub(r"[^\x20-\x7e]", "?", str(where[2]))[:50]
    if code == "missing" and len(where) == 3:
        return f"hint {number} has no {key}. Give it one: {example}"
    if code == "extra_forbidden":
        return f"hint {number} has a key {key!r}, which means nothing. Keys are {keys}"
    must = {
        "x": "a number of pixels from the left edge, 0 or more",
        "y": "a number of pixels from the top edge, 0 or more",
        "radius": f"a number of pixels above 0 and up to {_MAX_RADIUS}, or left out",
        "color": "six hexadecimal digits after a #, such as #2e6b3a",
        "photo": "a number from 0 or a file's name, or left out",
        "frame": "a frame's number, from 0, or left out",
        "time": "a number of seconds, 0 or more, or left out",
        "stroke": f"1 to {MAX_POINTS} points [x, y] in pixels, 0 or more, such as in {example}",
        "region": f"3 to {MAX_POINTS} points [x, y] in pixels, 0 or more, such as in {example}",
    }.get(key, f"one of {keys}")
    return f"{key} of hint {number} must be {must}"
