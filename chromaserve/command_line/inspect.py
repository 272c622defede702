"""`chromaserve inspect`: what a photo is, before it gets colours."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chromaserve.command_line.exits import (
    Complaint,
    Exit,
    by_options,
    complaints,
    printable,
    say,
    tell_warnings,
    without_name,
)
from chromaserve.command_line.shared_options import Json, MaxPixels
from chromaserve.command_line.streams import MOST_BYTES

if TYPE_CHECKING:
    from chromaserve.library.inspect import Inspected
    from chromaserve.settings import PipelineSettings

_SAY = {"WEBP": "WebP", "JPEG2000": "JPEG 2000"}


def inspect(
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO", help="Photos, or folders of them.")
    ],
    max_pixels: MaxPixels = None,
    as_json: Json = False,
) -> None:
    """Say what photos are, without colouring them: format, size, bits, profile, pages, whether they
    are in colour or damaged, and which metadata go along with a result.

    The status is 1 where some would be refused, 3 where all would.
    """
    with complaints():
        tell_warnings()
        from chromaserve.library.background import local_settings

        settings = local_settings(max_pixels=max_pixels)
        taken = refused = 0
        for path, one in _looked_at(photos, settings):
            bad = isinstance(one, Exception) or bool(one.problem or one.missing)
            refused, taken = refused + bad, taken + (not bad)
            if isinstance(one, Exception):
                if as_json:
                    told = {"input": str(path), "detail": without_name(one, path)}
                    print(json.dumps({**told, "problem": _kind(one)}))
                say(f"{path}: {without_name(one, path)}")
            elif as_json:
                print(json.dumps({"input": str(path), **asdict(one)}))
            else:
                print(printable(f"{path}: {_words(one)}"))
        if refused:
            raise typer.Exit(Exit.SOME_FAILED if taken else Exit.NOTHING_DONE)


def _looked_at(
    photos: list[Path], settings: "PipelineSettings"
) -> "Iterator[tuple[Path, Inspected | Exception]]":
    """Each photo of each file, or what is wrong with it or with a folder."""
    from chromaserve.errors import ServiceError
    from chromaserve.library.files import read_whole
    from chromaserve.library.inspect import inspect_photo

    for path in _named(photos):
        if isinstance(path, OSError):
            yield Path(path.filename), path
            continue
        try:
            for one in inspect_photo(read_whole(path, MOST_BYTES), settings):
                yield path, one
        except (ServiceError, OSError) as error:
            yield path, error


def _kind(error: Exception) -> str:
    from chromaserve.errors import slug_of

    return "unreadable" if isinstance(error, OSError) else slug_of(error)


def _named(photos: list[Path]) -> Iterator[Path | OSError]:
    from chromaserve.command_line.folders import photos_in

    for path in photos:
        if not path.is_dir():
            yield path
            continue
        unreadable: list[OSError] = []
        found = photos_in(path, unreadable.append)
        if not found and not unreadable:
            raise Complaint(f"there is no photo in {path}", Exit.NOTHING_DONE)
        yield from unreadable
        yield from found


def _words(one: "Inspected") -> str:
    parts = [_SAY.get(one.format, one.format)]
    if one.width:
        parts[0] += f", {one.width} × {one.height}, {one.bits} bits"
    if one.page > one.pages:
        parts.append(f"page {one.page}")
    elif one.pages > 1:
        parts.append(f"page {one.page} of {one.pages}")
    if one.pictures > 1:
        parts.append(f"the first of {one.pictures} pictures")
    if one.alpha:
        parts.append("with transparency")
    parts += [f"profile {one.profile}"] if one.profile else []
    parts += [f"turned by EXIF ({one.orientation})"] if one.orientation > 1 else []
    parts += [f"{one.dpi[0]:g} dpi"] if one.dpi else []
    said = {"colour": "in colour already", "grey": "grey", "toned": "grey with a tone"}
    parts += [said[one.colour]] if one.colour else []
    if one.missing:
        part = max(1, round(100 * one.missing))
        parts.append(f"damaged: about {part}% of the pixels are missing; --damaged accept takes it")
    if one.detail:
        parts.append(f"refused: {by_options(one.detail)}")
    else:
        parts.append(f"keeps {', '.join(one.kept)}" if one.kept else "has no metadata")
    if one.places:
        parts.append("says where it was taken, which --metadata all alone keeps")
    if one.lost:
        parts.append(f"too large or broken to go along: {', '.join(one.lost)}")
    return "; ".join(parts)
