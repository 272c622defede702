"""Result files: how they are named, and how they are written whole or not at all."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chromaserve.photos.encode import Format

_FORMATS: dict[str, "Format"] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".jpe": "jpeg",
    ".jfif": "jpeg",
    ".webp": "webp",
}
SUFFIXES: dict["Format", str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
_NOT_MADE = frozenset((".tif", ".tiff", ".bmp", ".dib", ".gif", ".avif", ".heic", ".jxl", ".jp2"))


def format_of(output: Path | None) -> "Format":
    """The encoding that a file's name asks for: by its suffix, png where that says nothing.

    Raises:
        InvalidOptions: it asks for one that is not made.
    """
    suffix = output.suffix.lower() if output else ""
    if suffix in _NOT_MADE:
        from chromaserve.errors import InvalidOptions

        raise InvalidOptions(
            f"Results are PNG, JPEG or WebP files, not {suffix}. Name it .png, .jpg or .webp, or"
            " choose the format."
        )
    return _FORMATS.get(suffix, "png")


def beside(photo: Path, encoding: "Format") -> Path:
    """Where a photo's result goes by default: NAME-colour.png beside it."""
    return photo.with_name(f"{photo.stem}-colour{SUFFIXES[encoding]}")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under a hidden name and rename it, so that it is complete or not there.

    Folders are made. A device or a pipe is written to as it is.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    # Without the file's own name, which may be as long as names can be.
    hidden = path.with_name(f".{secrets.token_hex(8)}.{os.getpid()}.part")
    try:
        hidden.write_bytes(data)
        hidden.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        hidden.unlink(missing_ok=True)


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
