"""What a client may choose about the colours, as query parameters or form fields."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from app.errors import InvalidOptions, invalid_options
from app.hints import EXAMPLE, MAX_HINTS, SCHEMA, Hint, parse_hints
from app.images.encode import Format
from model_store.contract import Postprocess

Head = Literal["regression", "distribution"]
_VIVIDNESS: dict[Head, float] = {"regression": 0.0, "distribution": 1.0}


def _from_json(given: Any) -> Any:  # noqa: ANN401 - whatever came
    """Hints from their JSON; FastAPI hands over a query parameter's values as a list."""
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], str):
        given = given[0]
    if not isinstance(given, str):
        return given
    try:
        return parse_hints(given)
    except ValueError as error:
        raise PydanticCustomError("hints", "{fault}", {"fault": str(error)}) from error


class Options(BaseModel):
    """Options of one request; what is left out has the model's or the service's default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vividness: float | None = Field(
        default=None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="0: the safest colours; 1: the liveliest. Default: the model's own.",
        examples=[0.4],
    )
    head: Head | None = Field(
        default=None, description="Short for vividness 0 (regression) or 1 (distribution)."
    )
    postprocess: Postprocess | None = Field(
        default=None,
        description="How colours come to the photo's size. none: as they are, bilinearly; guided:"
        " drawn to edges by a guided filter; tv: flattened by total variation first; crf: spread"
        " among neighbours of like lightness first. Default: the model's own.",
        examples=["tv"],
    )
    mirror: bool = Field(
        default=False,
        description="Colours averaged over the photo and its mirror image: alike for both, hardly"
        " truer, and twice the model's work.",
    )
    hints: Annotated[
        tuple[Hint, ...], BeforeValidator(_from_json), WithJsonSchema(SCHEMA, mode="validation")
    ] = Field(
        default=(),
        max_length=MAX_HINTS,
        description="Colours that you know, at places of the one photo that is sent: a JSON list"
        " of up to 200 objects with x and y in pixels of the upright photo, color as #rrggbb and,"
        " if you like, radius. Each spreads to what belongs to its place.",
        examples=[EXAMPLE],
        json_schema_extra={"default": "[]"},
    )
    model: str | None = Field(
        default=None,
        pattern=r"^(latest|[1-9][0-9]{0,8})$",
        description='Model version: a number or "latest". Default: the one that the service has.',
        examples=["latest"],
    )
    deadline_s: float | None = Field(
        default=None,
        gt=0,
        le=3600,
        allow_inf_nan=False,
        description="Seconds in which all of the request's photos must be done. Refused at once"
        " where the service's present estimate is longer; what is not done by then is given up."
        " Default: none.",
        examples=[20],
    )
    format: Format | None = Field(
        default=None,
        description="Encoding of the result; 16-bit photos stay 16-bit in png alone. Default: png.",
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if None not in (self.head, self.vividness) and self.vividness != self.asked_vividness:
            raise ValueError(
                f"head={self.head} is vividness={self.asked_vividness:g}, but"
                f" vividness={self.vividness:g} was asked for too. Leave one of them out"
            )
        return self

    @property
    def asked_vividness(self) -> float | None:
        """Vividness by either option, None where neither is given."""
        return self.vividness if self.head is None else _VIVIDNESS[self.head]


def merge(query: list[tuple[str, str]], form: list[tuple[str, str]]) -> Options:
    """Options from the query string and the form together.

    Raises:
        InvalidOptions: an unknown name, a value out of range, or two values for one option.
    """
    given: dict[str, str] = {}
    for name, value in (*query, *form):
        if given.setdefault(name, value) != value:
            raise InvalidOptions(
                f"{name[:50]} is given as {given[name][:50]!r} and as {value[:50]!r}."
                " Send one of them."
            )
    unknown = [name for name in given if name not in Options.model_fields]
    if unknown:
        raise InvalidOptions(
            f"There is no option {unknown[0][:50]!r}. Options are"
            f" {', '.join(Options.model_fields)}; photos go into the field `file`."
        )
    try:
        return Options.model_validate(given)
    except ValidationError as error:
        raise invalid_options(error.errors()) from error


def check_photos(options: Options, photos: int) -> None:
    """Raise InvalidOptions where the options are not for so many photos."""
    if options.hints and photos > 1:
        raise InvalidOptions(
            f"hints are for one photo, and {photos} came. Send each photo with its own hints."
        )
