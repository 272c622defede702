"""Files of photos and results: how they are named, read with a bound, and written whole."""

import errno
import hashlib
import os
import re
import secrets
import socket
import stat
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from mmap import ACCESS_READ, mmap
from pathlib import Path, PurePath
from typing import BinaryIO, TypeVar

from chromaserve.photos.formats import (
    OTHER_SUFFIXES,
    PHOTO_SUFFIXES,
    WRITTEN,
    Format,
    Wanted,
    suffix_of,
)
from chromaserve.photos.names import page_ending

_NOT_MADE = frozenset((*PHOTO_SUFFIXES, *OTHER_SUFFIXES)) - WRITTEN.keys()
_PART = re.compile(r"\.chromaserve-([0-9a-f]{12})-([0-9]+)-[0-9a-f]{16}\.part")

AnyPath = TypeVar("AnyPath", bound=PurePath)
Identity = tuple[int, int]
"""Of a file: its device, and its number there."""


def format_of(output: Path | None) -> Format:
    """The encoding that a file's name asks for: by its suffix, png where that says nothing.

    Raises:
        InvalidOptions: it asks for one that is not made.
    """
    suffix = output.suffix.lower() if output else ""
    if suffix in _NOT_MADE:
        from chromaserve.errors import InvalidOptions

        raise InvalidOptions(
            f"Results are PNG, JPEG, WebP or TIFF files, not {suffix}. Name it .png, .jpg, .webp or"
            " .tif, or choose the format."
        )
    return WRITTEN.get(suffix, "png")


def format_named(output: Path) -> "Format | None":
    """The encoding that a file's suffix is for, None where it is for none that is made."""
    return WRITTEN.get(output.suffix.lower())


def check_several(photos: object) -> None:
    """See that these are photos, not one, whose letters, bytes or lines would pass for several.

    Raises:
        TypeError: they are one photo.
    """
    one = isinstance(photos, str | bytes | bytearray | memoryview | PurePath)
    if one or hasattr(photos, "read"):
        raise TypeError("photos is a list of photos, or another iterable, and not one of them")


def pages_apart(photo: bytes | str | Path, damaged: str | None) -> Sequence[int | None]:
    """The pages of a photo's file that are to have a result each; None: it has one photo.

    Where others cannot be read, and that isn't accepted, the next one is among them, to fail.

    Args:
        photo: a file's bytes or path; of a file its directories alone are read.
        damaged: as the option.
    """
    from chromaserve.photos.tiff_reading import count_pages

    if isinstance(photo, bytes):
        count, more = count_pages(photo)
    elif not Path(photo).is_file():
        return [None]  # a pipe is read once
    else:
        try:
            with Path(photo).open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as view:
                count, more = count_pages(view)
        except (OSError, ValueError):  # which is told when it is read; it may be empty
            return [None]
    if count == 1 and not more:
        return [None]
    return range(1, count + (more and damaged != "accept") + 1)


def of_page(output: AnyPath, number: int | None) -> AnyPath:
    """Where a page's result goes: NAME-page-2.png for NAME.png; the same place for None."""
    if number is None:
        return output
    return output.with_stem(f"{output.stem}{page_ending(number)}")


def beside(photo: Path, encoding: Wanted) -> Path:
    """Where a photo's result goes by default: NAME-colour.png beside it."""
    return photo.with_name(f"{photo.stem}-colour{suffix_of(photo.name, encoding)}")


def identity(path: Path) -> Identity | None:
    """What two names of one file have in common, whatever the links, folders and case of letters.

    None where there is no file.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def file_size(path: Path, limit: int | None = None) -> int | None:
    """Bytes of a photo's file; None for a pipe, which does not tell.

    Raises:
        BodyTooLarge: more than `limit`.
        OSError: it cannot be read, or is a device, which may never end.
    """
    status = path.stat()
    if stat.S_ISFIFO(status.st_mode):
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "neither a file nor a pipe", str(path))
    if limit is not None and status.st_size > limit:
        raise _too_large(limit)
    return status.st_size


def read_pipe(pipe: BinaryIO, limit: int) -> bytes:
    """All that comes out of a pipe.

    Raises:
        BodyTooLarge: more than `limit` bytes; no more than that are read.
    """
    data = pipe.read(limit + 1)
    if len(data) > limit:
        raise _too_large(limit)
    return data


def read_whole(path: Path, limit: int) -> bytes:
    """A photo's file, or all that comes out of a pipe.

    Raises:
        BodyTooLarge: more than `limit` bytes.
        OSError: as `file_size`.
    """
    size = file_size(path, limit)
    with path.open("rb") as file:
        return read_pipe(file, limit) if size is None else file.read(size)


def _too_large(limit: int) -> Exception:
    from chromaserve.errors import BodyTooLarge

    return BodyTooLarge(f"The file has more than {limit:,} bytes. Is it a photo?")


def write_whole(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write a file under a hidden name and rename it, so that it is complete or not there.

    That holds for a loss of power, too.

    Folders are made. A device or a pipe is written to as it is.

    Args:
        path: of the file.
        data: all of it.
        replace: a file that is there already; an empty one, as a loss of power leaves, always is.

    Raises:
        FileExistsError: it is there, and not to be replaced.
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    hidden = path.with_name(part_name())
    try:
        hidden.write_bytes(data)
        give_name(hidden, path, replace=replace)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        hidden.unlink(missing_ok=True)


def give_name(file: Path, path: Path, *, replace: bool) -> None:
    """Have a whole file at a path on the same drive; it may keep the name that it had, too.

    Its bytes are on the drive before: a loss of power would else leave the name without them.

    Raises:
        FileExistsError: a file is there, and not to be replaced.
        OSError: it cannot be written.
    """
    with file.open("rb+") as written:
        os.fsync(written.fileno())
    if replace or not _linked(file, path):
        file.replace(path)


def _linked(file: Path, path: Path) -> bool:
    """Whether the file has its name now; False where it may replace what has that name.

    A link is made in one step and takes no other file's place; some file systems have none.
    """
    try:
        path.hardlink_to(file)
    except OSError:
        if not os.path.lexists(path) or (path.is_file() and not path.stat().st_size):
            return False
        raise FileExistsError(errno.EEXIST, "it is there already", str(path)) from None
    return True


def part_name() -> str:
    """A hidden name for a file that is being written: no other one, nor a user's, is called so.

    It has this machine and process in it, and nothing of the file's own name, which may be as long
    as names can be.
    """
    return f".chromaserve-{_machine()}-{os.getpid()}-{secrets.token_hex(8)}.part"


def is_left_over(name: str) -> bool:
    """Whether a file has such a name, by a process of this machine that is no longer alive."""
    part = _PART.fullmatch(name)
    return part is not None and part[1] == _machine() and not _alive(int(part[2]))


def sweep(folder: Path) -> None:
    """Remove what processes of this machine left in a folder when they were killed."""
    for part in folder.glob(".chromaserve-*.part"):
        if is_left_over(part.name):
            with suppress(OSError):
                part.unlink()


@cache
def _machine() -> str:
    """Something that no other machine has, nor a container, whose processes have other numbers."""
    known = [socket.gethostname()]
    with suppress(OSError):
        known.append(Path("/etc/machine-id").read_text())
    with suppress(OSError):
        known.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 - it is no path
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:12]


def _alive(process: int) -> bool:
    if os.name != "posix":
        return True  # where asking would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
