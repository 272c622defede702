"""The formats of photos and results: names, suffixes of files, media types."""

from typing import Final, Literal

Format = Literal["png", "jpeg", "webp"]
"""What results are encoded as."""

SUFFIXES: Final[dict[Format, str]] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
"""Of results."""
MEDIA_TYPES: Final[dict[Format, str]] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
}
WRITTEN: Final[dict[str, Format]] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".jpe": "jpeg",
    ".jfif": "jpeg",
    ".webp": "webp",
}
"""By the suffixes that ask for them."""
PHOTO_SUFFIXES: Final = (*WRITTEN, ".tif", ".tiff", ".bmp", ".dib")
"""Of files that are taken for photos."""
OTHER_SUFFIXES: Final = (".gif", ".avif", ".heic", ".jxl", ".jp2")
"""Of pictures that are neither read nor written."""


def is_photo_name(name: str) -> bool:
    """Whether a file is taken for a photo, by its name; hidden ones are not."""
    return not name.startswith(".") and name.lower().endswith(PHOTO_SUFFIXES)
