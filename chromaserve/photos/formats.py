"""The formats of photos and results: names, suffixes of files, media types."""

from typing import Final, Literal

Format = Literal["png", "jpeg", "webp", "tiff"]
"""What results are encoded as."""
Wanted = Literal["png", "jpeg", "webp", "tiff", "same"]
"""What results may be asked for as; same: each in its photo's own format."""

SUFFIXES: Final[dict[Format, str]] = {
    "png": ".png",
    "jpeg": ".jpg",
    "webp": ".webp",
    "tiff": ".tif",
}
"""Of results."""
MEDIA_TYPES: Final[dict[Format, str]] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "tiff": "image/tiff",
}
WRITTEN: Final[dict[str, Format]] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".jpe": "jpeg",
    ".jfif": "jpeg",
    ".webp": "webp",
    ".tif": "tiff",
    ".tiff": "tiff",
}
"""By the suffixes that ask for them."""
_SAME: Final[dict[str, Format]] = {"PNG": "png", "JPEG": "jpeg", "WEBP": "webp", "TIFF": "tiff"}
"""By the formats of photos, as `Header` names them, that can be written too."""
_READ: Final = (
    *(".bmp", ".dib", ".gif", ".jp2", ".j2k", ".jpf", ".jpx", ".j2c"),
    *(".pbm", ".pgm", ".ppm", ".pnm"),
    *(".heic", ".heif", ".hif", ".avif"),
)
PHOTO_SUFFIXES: Final = (*WRITTEN, *_READ)
"""Of files that are taken for photos."""
OTHER_SUFFIXES: Final = (".jxl",)
"""Of pictures that are neither read nor written."""


ALSO_CALLED: Final = {"jpg": "jpeg", "tif": "tiff"}
"""Formats by the names that people have for them too."""


def is_photo_name(name: str) -> bool:
    """Whether a file is taken for a photo, by its name; hidden ones are not."""
    return not name.startswith(".") and name.lower().endswith(PHOTO_SUFFIXES)


def suffix_of(photo: str, wanted: Wanted) -> str:
    """The suffix of a photo's result; for "same" by the photo's name, whatever its bytes say."""
    if wanted != "same":
        return SUFFIXES[wanted]
    suffix = f".{photo.rpartition('.')[2].lower()}"
    return SUFFIXES[WRITTEN.get(suffix, "png")]


def written_as(wanted: Wanted, kind: str | None) -> Format:
    """The encoding of one result: as asked for, or its photo's own, png where that is not written.

    Args:
        wanted: the option.
        kind: the photo's format, as `Header` names it; None where that is not known.
    """
    return _SAME.get(kind or "", "png") if wanted == "same" else wanted
