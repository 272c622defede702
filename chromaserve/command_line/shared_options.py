"""Options that several commands have, as Typer declares them."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from chromaserve.command_line.exits import Complaint

# Written out, as the modules that have them take long to import; a test holds them together.
PostprocessName = Literal["none", "guided", "tv", "crf"]
FormatName = Literal["png", "jpeg", "webp"]

Vividness = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="0: the safest colours; 1: the liveliest."),
]
Postprocess = Annotated[
    PostprocessName | None,
    typer.Option(help="How colours come to the photo's size; by default the model's own way."),
]
Hints = Annotated[
    str | None,
    typer.Option(
        metavar="JSON|@FILE",
        help='Colours that you know, for one photo: [{"x": 410, "y": 300, "color": "#2e6b3a"}]',
    ),
]
Format = Annotated[
    FormatName | None,
    typer.Option(help="Of the results; by default as OUT is named, or png."),
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
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Tell of nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]


def read_hints(given: str | None) -> str | None:
    """The hints' JSON, from a file where @FILE is given.

    Raises:
        Complaint: the file cannot be read.
    """
    if given is None or not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text("utf-8")
    except (OSError, ValueError) as error:
        raise Complaint(f"the hints cannot be read: {error}") from error
