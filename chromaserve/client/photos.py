"""Photos and options as they go into a request."""

import errno
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypedDict

from chromaserve.library.files import file_size
from chromaserve.photos.formats import ALSO_CALLED

if TYPE_CHECKING:
    from chromaserve.pipeline.hints import AnyHint

Photo = bytes | bytearray | memoryview | str | Path | BinaryIO
"""A file's bytes, its path, or the file opened for reading bytes."""


class Options(TypedDict, total=False):
    """Options of POST /colorize; what is left out has the model's or the service's default."""

    vividness: float | None
    postprocess: Literal["none", "guided", "tv", "crf"] | None
    model: int | str | None
    deadline_s: float | None
    format: Literal["png", "jpeg", "webp", "tiff", "same"] | None
    quality: int | None
    metadata: Literal["keep", "all", "none"] | None
    pages: Literal["first", "all"] | None
    page: int | None
    damaged: Literal["refuse", "accept"] | None
    colour: Literal["recolour", "keep"] | None
    look: Literal["auto", "whole", "tiles"] | None
    proposal: int | None
    confidence: Literal["figure", "png"] | None
    album: bool | None
    """Of `colorize_many` and `submit`: whether all photos, in one request, are to agree on their
    colours."""
    hints: "Iterable[AnyHint | Mapping[str, Any]] | str | None"
    """Colours that are known: `Hint`s, `Stroke`s and `Region`s, mappings with their members, or the
    JSON of a list of them. For one photo; of several photos, of a job or an album, each for its
    `photo`."""
    reference: "Photo | None"
    """A photo in colour, whose colours all get that look like it."""


class JobOptions(Options, total=False):
    """Options of a job."""

    proposals: int | None
    """Results of its one photo."""


_PIECE = 2**20
_MOST_BYTES = 4 * 2**30
"""Of a file; a service's own limit is lower, but is told only after much was sent."""


@dataclass(frozen=True)
class Source:
    """A photo that can be sent, and sent again."""

    name: str
    content: bytes | Path | BinaryIO
    size: int
    """Bytes."""

    def open(self, stack: ExitStack | AsyncExitStack) -> bytes | BinaryIO:
        """What httpx sends: bytes, or a file that it reads in pieces; the stack closes it.

        Raises:
            OSError: it cannot be read.
        """
        if isinstance(self.content, Path):
            file = self.content.open("rb")
            stack.callback(file.close)
            return file
        return self.content  # httpx seeks to a file's start

    def read(self) -> bytes:
        """All of its bytes.

        Raises:
            OSError: it cannot be read.
        """
        with ExitStack() as stack:
            opened = self.open(stack)
            return opened if isinstance(opened, bytes) else opened.read()

    def check(self) -> None:
        """See that it can be read to its end.

        Raises:
            OSError: it cannot.
        """
        with ExitStack() as stack:
            opened = self.open(stack)
            while not isinstance(opened, bytes) and opened.read(_PIECE):
                pass


def source(photo: Photo) -> Source:
    """A photo as something to send.

    Files are read when they are sent, in pieces. A pipe, and of an open file that cannot seek or
    that was read from already the rest, is read now.

    Raises:
        OSError: it cannot be read, or has more than 4 GiB.
        TypeError: it is something else.
    """
    if isinstance(photo, bytes | bytearray | memoryview):
        data = bytes(photo)
        return Source("photo", data, len(data))
    if isinstance(photo, str | Path):
        path = Path(photo)
        size = file_size(path)
        if size is None:
            with path.open("rb") as pipe:
                data = _read(pipe, str(path))
            return Source(path.name, data, len(data))
        if size > _MOST_BYTES:
            raise _too_large(str(path))
        return Source(path.name, path, size)
    if not hasattr(photo, "read"):
        raise TypeError(f"A photo is bytes, a path or a binary file, not {type(photo).__name__}.")
    name = getattr(photo, "name", None)
    name = Path(name).name if isinstance(name, str) else "photo"
    if photo.seekable() and photo.tell() == 0:
        size = photo.seek(0, 2)
        photo.seek(0)
        return Source(name, photo, size)
    data = _read(photo, name)
    return Source(name, data, len(data))


def _read(file: BinaryIO, name: str) -> bytes:
    """What is left of a file that may never end."""
    pieces, size = [], 0
    while piece := file.read(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > _MOST_BYTES:
            raise _too_large(name)
    return b"".join(pieces)


def _too_large(name: str) -> OSError:
    return OSError(errno.EFBIG, "too large for a photo", name)


def readied(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options for requests that may be sent again: a reference as a `Source`, read once.

    Raises:
        OSError, TypeError: as `source`.
    """
    reference = options.get("reference")
    if reference is None:
        return dict(options)
    sent = source(reference)
    # Several requests may send it at once, and all the same one, whatever becomes of its file.
    return {**options, "reference": replace(sent, content=sent.read())}


def check_proposals(options: Mapping[str, Any]) -> None:
    """See that each photo is to have one result.

    Raises:
        ValueError: they are to have several.
    """
    if options.get("proposals") not in (None, 1):
        raise ValueError(
            "proposals are results of a job: submit(…, proposals=3) gives three; at once"
            " proposal=2 gives the second, and so on"
        )


def parameters(options: Mapping[str, Any]) -> dict[str, str]:
    """Options as the query string has them, which the service checks before it takes the body."""
    told = {}
    for name, value in options.items():
        if value is not None and name != "hints":
            told[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return told


def fields(options: Mapping[str, Any]) -> dict[str, str]:
    """Options that go into the body, as they may be long: colour hints."""
    hints = options.get("hints")
    if hints is None:
        return {}
    told = hints if isinstance(hints, str) else json.dumps([_plain(hint) for hint in hints])
    return {"hints": told}


def numbered_hints(
    hints: "Iterable[AnyHint | Mapping[str, Any]] | str", names: Sequence[str]
) -> "tuple[AnyHint, ...]":
    """Hints that name their photos by number.

    Raises:
        ValueError: there is no such photo, or a hint is none.
    """
    from chromaserve.pipeline.hint_photos import of_photos
    from chromaserve.pipeline.hints import parse_hints

    return of_photos(parse_hints(fields({"hints": hints})["hints"]), names)


def hints_of(hints: "Sequence[AnyHint]", places: Sequence[int]) -> "list[AnyHint] | None":
    """Hints of the photos at some places, for a request that has these alone."""
    numbers: dict[object, int] = {place: number for number, place in enumerate(places)}
    numbers[None] = 0
    there = [hint for hint in hints if hint.photo in numbers]
    return [hint.model_copy(update={"photo": numbers[hint.photo]}) for hint in there] or None


def _plain(hint: "AnyHint | Mapping[str, Any]") -> dict[str, Any]:
    return dict(hint) if isinstance(hint, Mapping) else hint.model_dump(exclude_none=True)


def is_apart(options: Mapping[str, Any]) -> bool:
    """Whether each page of a photo's file has a result of its own."""
    wanted = options.get("format", "")
    return options.get("pages") == "all" and ALSO_CALLED.get(wanted, wanted) not in ("tiff", "same")
