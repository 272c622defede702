"""Options that several commands have, as Typer declares them."""

from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from chromaserve.command_line.exits import Complaint
from chromaserve.photos.formats import ALSO_CALLED, Wanted

# Written out, as the modules that have them take long to import; a test holds them together.
PostprocessName = Literal["none", "guided", "tv", "crf"]
FormatName = Literal["png", "jpeg", "jpg", "webp", "tiff", "tif", "same"]
KeepName = Literal["keep", "all", "none"]

Vividness = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="0: the safest colours; 1: the liveliest; by default the model's own."
    ),
]
Postprocess = Annotated[
    PostprocessName | None,
    typer.Option(help="How colours come to the photo's size; by default the model's own way."),
]
Hints = Annotated[
    str | None,
    typer.Option(
        metavar="JSON|@FILE",
        help='Colours that you know, for one photo: [{"x": 410, "y": 300, "color": "#2e6b3a"}];'
        " with stroke or region in the place of x and y a list of points; for photos of an album"
        " or a job each with photo, a file's name.",
    ),
]
Format = Annotated[
    FormatName | None,
    typer.Option(
        help="Of the results; same: each photo's own; by default as OUT is named, or png."
    ),
]
Quality = Annotated[
    int | None,
    typer.Option(min=1, max=100, help="Of JPEG (95) and WebP (90)."),
]
Metadata = Annotated[
    KeepName | None,
    typer.Option(
        help="What goes along of EXIF, XMP, IPTC and resolution: all but places (keep, the"
        " default), all, or none."
    ),
]
Pages = Annotated[
    Literal["first", "all"] | None,
    typer.Option(
        help="Of a TIFF with several: the first, which is the default, or all: into one TIFF, or in"
        " other formats each as NAME-page-2.png and so on."
    ),
]
Damaged = Annotated[
    Literal["refuse", "accept"] | None,
    typer.Option(
        help="Of a JPEG, PNG, WebP or TIFF of which pixels are missing: refuse, the default; accept"
        " takes the rest."
    ),
]
Colour = Annotated[
    Literal["recolour", "keep"] | None,
    typer.Option(
        help="Of photos that have colours already, sepia and tints not counted: new ones are"
        " recolour, the default."
    ),
]
Look = Annotated[
    Literal["auto", "whole", "tiles"] | None,
    typer.Option(
        help="How the network looks at photos: whole; in tiles too, up to 25; auto, the default: in"
        " close-ups of small faces, and in tiles where a side is twice the other or more."
    ),
]
Reference = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A photo in colour: what looks like it gets its colours.",
        show_default=False,
    ),
]
Proposals = Annotated[
    int,
    typer.Option(
        min=1,
        max=8,
        metavar="COUNT",
        help="Colourings of each photo: the model's own, then others that it thinks likely, as"
        " NAME-colour-2.png and so on.",
    ),
]
AlbumFlag = Annotated[
    bool,
    typer.Option(
        "--album",
        help="Let the photos, up to 64, agree: what is in several of them has the same colours.",
    ),
]
Confidence = Annotated[
    bool,
    typer.Option(
        "--confidence",
        help="Beside each result, a map of how sure its colours are, NAME-colour-confidence.png;"
        " the figure, and where a hint would help most, are told.",
    ),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="COUNT",
        help="Largest photo; by default CHROMASERVE_MAX_PIXELS, or 200 million.",
    ),
]
Model = Annotated[
    str | None, typer.Option(metavar="VERSION", help='A number or "latest", the default.')
]
Url = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Let the service there do it, instead of a model here."),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        metavar="KEY", envvar="CHROMASERVE_API_KEY", help="For a service that asks for one."
    ),
]
Patience = Annotated[
    float | None,
    typer.Option(
        "--patience",
        min=0,
        metavar="SECONDS",
        help="How long a service that has answered may be away, while it is started anew perhaps;"
        " by default 60.",
        show_default=False,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Tell of nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]


def as_written(format: FormatName | None) -> Wanted | None:
    """The format that a name of it is for."""
    return cast("Wanted | None", ALSO_CALLED.get(format or "", format))


def read_hints(given: str | None) -> str | None:
    """The hints' JSON, from a file where @FILE is given.

    Raises:
        Complaint: the file cannot be read.
    """
    if given is None or not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text("utf-8-sig")  # as Windows' editors write it
    except (OSError, ValueError) as error:
        raise Complaint(f"the hints cannot be read: {error}") from error
