"""`chromaserve verify`: that a result has its photo's lightness, and what it says of its making."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chromaserve.command_line.colorize import MOST_BYTES
from chromaserve.command_line.exits import Complaint, Exit, complaints, printable, tell_warnings
from chromaserve.command_line.shared_options import Json

if TYPE_CHECKING:
    from chromaserve.photos.photo import Photo

_MEAN, _GREATEST = 0.3, 1.0
"""Of L* between a photo of 8 bits and its result in a format that loses nothing."""


def verify(
    photo: Annotated[Path, typer.Argument(help="The grey photo.")],
    result: Annotated[Path, typer.Argument(help="What was made of it.")],
    grey: Annotated[
        Path | None,
        typer.Option(metavar="OUT.png", help="Write the result's lightness as a grey PNG."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that a result has the size and the lightness of its photo, pixel by pixel.

    What it says of how it was made is told too. The status is 1 where it is another photo, or was
    changed: by more than 0.3 L* on average or 1 anywhere, which JPEG and WebP may be by themselves.
    """
    with complaints():
        tell_warnings()
        if grey and grey.suffix.lower() != ".png":
            raise Complaint(f"{grey} has to be a .png")
        one, other = _read(photo), _read(result)
        told = _compared(one, other)
        told["made_by"] = _made_by(other)
        if grey:
            _write(grey, other, one)
        if as_json:
            print(json.dumps({"photo": str(photo), "result": str(result), **told}))
        else:
            print("\n".join(map(printable, _words(told).splitlines())))
        raise typer.Exit(Exit.DONE if told["same"] else Exit.SOME_FAILED)


def _read(path: Path) -> "Photo":
    from chromaserve.library.background import local_settings
    from chromaserve.library.files import file_size
    from chromaserve.photos.decode import decode
    from chromaserve.photos.header import inspect

    settings = local_settings()
    file_size(path, MOST_BYTES)
    data = path.read_bytes()
    header = inspect(data, max_pixels=settings.max_pixels, max_side=settings.max_side)
    return decode(data, header)


def _compared(one: "Photo", other: "Photo") -> dict[str, Any]:
    import numpy as np

    from chromaserve.color.lab import srgb_to_L
    from chromaserve.photos.photo import strips

    if one.size != other.size:
        return {"same": False, "size": list(one.size), "size_of_result": list(other.size)}
    rows, columns = one.grey.shape
    total, greatest, place, alike = 0.0, 0.0, (0, 0), 0
    for start, stop in strips(rows, columns):
        apart = abs(srgb_to_L(one.grey[start:stop]) - srgb_to_L(other.grey[start:stop]))
        total += float(apart.sum(dtype=np.float64))
        alike += int(np.count_nonzero(apart < _GREATEST))
        if apart.max() > greatest:
            greatest = float(apart.max())
            row, column = divmod(int(apart.argmax()), columns)
            place = column, start + row
    mean = total / (rows * columns)
    return {
        "same": mean <= _MEAN and greatest <= _GREATEST,
        "mean": round(mean, 4),
        "greatest": round(greatest, 4),
        "greatest_at": list(place),
        "within_1": round(alike / (rows * columns), 6),
    }


def _made_by(result: "Photo") -> str | None:
    from chromaserve.photos.ifd import SOFTWARE

    exif = result.metadata.exif
    return (exif.text(SOFTWARE) if exif else "") or None


def _write(path: Path, result: "Photo", photo: "Photo") -> None:
    """The result's greys, in as many bits as the photo has."""
    import cv2
    import numpy as np

    from chromaserve.library.files import write_whole

    grey = result.grey
    if photo.dtype is np.uint8 and grey.dtype == np.uint16:
        grey = np.rint(grey / 257).astype(np.uint8)
    done, data = cv2.imencode(".png", grey)
    if not done:
        raise RuntimeError(f"OpenCV could not encode {grey.shape} as PNG")
    write_whole(path, data.tobytes(), replace=False)


def _words(told: dict[str, Any]) -> str:
    made = f"\nmade by {told['made_by']}" if told["made_by"] else "\nit says nothing of its making"
    if "size" in told:
        (width, height), (other, another) = told["size"], told["size_of_result"]
        return f"another photo: {other} × {another} pixels, not {width} × {height}{made}"
    verdict = "lightness untouched" if told["same"] else "lightness was changed"
    x, y = told["greatest_at"]
    return (
        f"{verdict}: L* differs by {told['mean']:.3f} on average, by {told['greatest']:.2f} at most"
        f" (at {x}, {y}); {100 * told['within_1']:.2f}% of the pixels by less than 1{made}"
    )
