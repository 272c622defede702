"""Result files: how they are named, and how they are written whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.images.encode import Format

_FORMATS: dict[str, "Format"] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".jpe": "jpeg",
    ".webp": "webp",
}
SUFFIXES: dict["Format", str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}


def format_of(output: Path | None) -> "Format":
    """The encoding that a file's name asks for: by its suffix, png where that says nothing."""
    return _FORMATS.get(output.suffix.lower(), "png") if output else "png"


def beside(photo: Path, encoding: "Format") -> Path:
    """Where a photo's result goes by default: NAME-colour.png beside it."""
    return photo.with_name(f"{photo.stem}-colour{SUFFIXES[encoding]}")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under a hidden name and rename it, so that it is complete or not there.

    What a killed run left of the same file is removed. Folders are made.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        hidden.write_bytes(data)
        hidden.replace(path)
    except BaseException:
        hidden.unlink(missing_ok=True)
        raise


def sweep(folder: Path) -> None:
    """Remove the hidden files that writers left in a folder which are no longer alive."""
    for part in folder.glob(".*.part"):
        writer = part.name.split(".")[-2]
        if writer.isdecimal() and not _alive(int(writer)):
            with suppress(OSError):
                part.unlink()


def _alive(process: int) -> bool:
    if os.name != "posix":
        return True  # where asking would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
