"""`chromaserve verify`: a result has its photo's lightness; what it says of its making, signed."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chromaserve.command_line.exits import Complaint, Exit, complaints, printable, tell_warnings
from chromaserve.command_line.shared_options import Json

_SIGNED = {
    "trusted": "signed by {by}, as it is, by a certificate of those that you trust",
    "valid": "signed by {by}, as it is; whose certificate that is, --trust checks",
    "unknown": "signed by {by}, as it is, by a certificate of none that you trust",
    "broken": "its signature is broken: it was changed since",
    "unchecked": "it may be signed; pip install 'chromaserve[c2pa]' checks it",
}

if TYPE_CHECKING:
    from chromaserve.library.verified import Verified
    from chromaserve.photos.photo import Pixels


def verify(
    photo: Annotated[Path, typer.Argument(help="The grey photo.")],
    result: Annotated[Path, typer.Argument(help="What was made of it.")],
    grey: Annotated[
        Path | None,
        typer.Option(metavar="OUT.png", help="Write the result's lightness as a grey PNG."),
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option(
            metavar="CERTIFICATES.pem",
            help="Those whose word on a signature counts; by others, it is not enough.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that a result has the size and the lightness of its photo, pixel by pixel.

    What it says of how it was made is told too, and whether it is signed (C2PA). The status is 1
    where it is another photo, or was changed: by more than 0.3 L* on average or 1 anywhere, which
    JPEG and WebP may be by themselves, or after it was signed; with --trust also where nobody named
    there signed it.
    """
    with complaints():
        tell_warnings()
        if grey and grey.suffix.lower() != ".png":
            raise Complaint(f"{grey} has to be a .png")
        if grey and grey.exists():
            raise Complaint(f"{grey} is there already")
        from chromaserve.library.verified import verify as held_against

        told = held_against(photo, result, trust=trust)
        if grey:
            _write(grey, told.grey)
        if as_json:
            known = {key: value for key, value in asdict(told).items() if key != "grey"}
            print(json.dumps({"photo": str(photo), "result": str(result), **known}))
        else:
            print("\n".join(map(printable, _words(told, trust).splitlines())))
        state = told.signature and told.signature.state
        signed = state == "trusted" if trust else state != "broken"
        raise typer.Exit(Exit.DONE if told.same and signed else Exit.SOME_FAILED)


def _write(path: Path, grey: "Pixels") -> None:
    import cv2

    from chromaserve.library.files import write_whole

    done, data = cv2.imencode(".png", grey)
    if not done:
        raise RuntimeError(f"OpenCV could not encode {grey.shape} as PNG")
    write_whole(path, data.tobytes(), replace=False)


def _words(told: "Verified", trust: Path | None) -> str:
    made = f"\nmade by {told.made_by}" if told.made_by else "\nit says nothing of its making"
    if told.signature:
        state = "unknown" if trust and told.signature.state == "valid" else told.signature.state
        made += f"\n{_SIGNED[state].format(by=told.signature.signed_by)}"
    elif trust:
        made += "\nit is not signed"
    if told.greatest_at is None:
        (width, height), (other, another) = told.size, told.size_of_result
        return f"another photo: {other} × {another} pixels, not {width} × {height}{made}"
    verdict = "lightness untouched" if told.same else "lightness was changed"
    x, y = told.greatest_at
    return (
        f"{verdict}: L* differs by {told.mean:.3f} on average, by {told.greatest:.2f} at most"
        f" (at {x}, {y}); {100 * (told.within_1 or 0):.2f}% of the pixels by less than 1{made}"
    )
