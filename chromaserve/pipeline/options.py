"""What may be chosen about the colours."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from chromaserve.color.proposals import MAX_PROPOSALS
from chromaserve.color.tiles import Look
from chromaserve.errors import InvalidOptions, invalid_options
from chromaserve.fitting import Fits
from chromaserve.photos.formats import ALSO_CALLED, Wanted
from chromaserve.photos.metadata import Keep
from chromaserve.photos.structure import MAX_PAGES
from chromaserve.pipeline.hints import EXAMPLE, SCHEMA, Hints, checked_hints, parse_hints
from chromaserve.pipeline.order import Damaged, Order, Pages, Recolour, Sure
from chromaserve.store.contract import Postprocess

if TYPE_CHECKING:
    from chromaserve.pipeline.models import LoadedModel

_A_VERSION = Fits(r"latest|[1-9][0-9]{0,8}", 'it is to be a number or "latest"')


def _from_json(given: Any) -> Any:  # noqa: ANN401 - whatever came
    """Hints from their JSON or objects; FastAPI hands a query parameter's values over as a list."""
    if isinstance(given, list) and given and all(isinstance(each, str) for each in given):
        if len(set(given)) > 1:
            raise PydanticCustomError("hints", "they are given twice, and differ")
        given = given[0]
    try:
        return parse_hints(given) if isinstance(given, str) else checked_hints(given)
    except ValueError as error:
        raise PydanticCustomError("hints", "{fault}", {"fault": str(error)}) from error


def _called(given: Any) -> Any:  # noqa: ANN401 - whatever came
    return ALSO_CALLED.get(given, given) if isinstance(given, str) else given


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
    postprocess: Postprocess | None = Field(
        default=None,
        description="How colours come to the photo's size. none: as they are, bilinearly; guided:"
        " drawn to edges by a guided filter; tv: flattened by total variation first; crf: spread"
        " among neighbours of like lightness first. Default: the model's own.",
        examples=["tv"],
    )
    look: Look = Field(
        default="auto",
        description="How the network looks at a photo. whole: once, squeezed to its square; auto:"
        " where faces are small, in up to 9 close-ups of them, too, and where a side is twice the"
        " other or more, in tiles as high as the photo, up to 25 with close-ups; tiles: any photo"
        " in up to 25, smaller ones where it has the pixels. Each costs the network as much as a"
        " photo.",
        examples=["tiles"],
    )
    hints: Annotated[
        Hints, BeforeValidator(_from_json), WithJsonSchema(SCHEMA, mode="validation")
    ] = Field(
        default=(),
        description="Colours that you know, at places of the one photo that is sent, or of several"
        " that of each hint's `photo`, its number from 0 or its file's name: a JSON list"
        " of up to 200 objects with x and y in pixels of the upright photo, or stroke or region as"
        " a list of such points, 2000 in all; color as #rrggbb and, if you like, radius. Each"
        " spreads to what belongs to its place, in a region to all that the line encloses.",
        examples=[EXAMPLE],
        json_schema_extra={"default": "[]"},
    )
    model: Annotated[str, _A_VERSION] | None = Field(
        default=None,
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
    format: Annotated[Wanted | None, BeforeValidator(_called)] = Field(
        default=None,
        description="Encoding of the result; same: the photo's own, or png where that is not"
        " written. 16-bit photos stay 16-bit in png and tiff; jpg is jpeg, tif is tiff. Default:"
        " png.",
    )
    quality: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="Of JPEG and WebP, 1 to 100; png and tiff lose nothing. Default: 95 for jpeg,"
        " 90 for webp.",
        examples=[90],
    )
    metadata: Keep = Field(
        default="keep",
        description="What goes along of the photo's EXIF, XMP, IPTC, texts and resolution. keep:"
        " all but places (GPS); all: places too; none: nothing.",
    )
    pages: Pages = Field(
        default="first",
        description="Of a TIFF with several. first: one photo, and the answer tells of how many;"
        " all: every page, as a TIFF of as many for format=tiff or same, else as an image each, as"
        " ZIP or JSON.",
    )
    page: int | None = Field(
        default=None,
        ge=1,
        le=MAX_PAGES,
        description="Of a TIFF with several: which one, from 1. Default: the first.",
        examples=[2],
    )
    damaged: Damaged = Field(
        default="refuse",
        description="Of a JPEG, PNG, WebP or TIFF of which pixels are missing. refuse: it is a"
        " problem; accept: the rest is colorized, and the answer warns.",
    )
    colour: Recolour = Field(
        default="recolour",
        description="Of a photo that has colours already, sepia and tints not counted. recolour: it"
        " gets new ones; keep: it is left as it is.",
    )

    proposal: int = Field(
        default=1,
        ge=1,
        le=MAX_PROPOSALS,
        description="Which colouring: 1 is the model's own; 2 to 8 are others that it thinks"
        " likely, each unlike those before.",
        examples=[2],
    )
    proposals: int = Field(
        default=1,
        ge=1,
        le=MAX_PROPOSALS,
        description="How many colourings of the one photo that is sent: 1 to so many, as ZIP or"
        " JSON.",
        examples=[5],
    )
    album: bool = Field(
        default=False,
        description="Whether the photos of this request, up to 64, are to agree: what is in several"
        " of them has the same colours in all, hints' among them. Photos of other scenes stay as"
        " they are.",
    )
    confidence: Sure | None = Field(
        default=None,
        description="How sure the colours are, 0 to 1, and up to three places where a hint would"
        " help most. figure: told beside the photo in colour; png: told beside a map, a grey PNG of"
        " the photo's size in its place. Default: not told.",
    )

    @classmethod
    def checked(cls, given: Mapping[str, Any]) -> Self:
        """Options from their names and values, as text or as what they are.

        Raises:
            InvalidOptions: an unknown name, or a value out of range.
        """
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise invalid_options(error.errors(include_url=False)) from error

    def order(self, model: "LoadedModel", format: Wanted | None = None) -> "Order":
        """What is wanted of the pipeline: the model's defaults where nothing was chosen.

        Args:
            model: that colorizes.
            format: of the result, where something else than these options decided it.

        Raises:
            InvalidOptions: the model cannot give what is chosen, or two options exclude each other.
        """
        described = model.description
        format = format or self.format or "png"
        if self.confidence == "png" and {format, self.format or "png"} != {"png"}:
            raise InvalidOptions("confidence=png makes a PNG. Leave format out.")
        calibrated = model.engine.has_distribution and described.confidence is not None
        if self.confidence and not calibrated:
            raise InvalidOptions(
                f"Model {model.version} does not tell how sure it is. Leave confidence out."
            )
        if self.page and self.pages == "all":
            raise InvalidOptions("page is one of them, and pages=all many. Send one of these.")
        if self.proposal > 1 and self.proposals > 1:
            raise InvalidOptions("proposal is one of them, and proposals many. Send one of these.")
        if max(self.proposal, self.proposals) > 1 and not model.engine.has_distribution:
            raise InvalidOptions(
                f"Model {model.version} gives one colouring a photo. Ask for proposal 1."
            )
        return Order(
            model,
            described.default_vividness if self.vividness is None else self.vividness,
            self.postprocess or described.postprocess,
            format,
            self.hints,
            self.quality,
            self.metadata,
            self.pages,
            self.page,
            self.damaged,
            self.colour,
            self.proposal,
            self.proposals,
            self.confidence,
            self.look,
        )
