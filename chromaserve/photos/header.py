"""Checks on a photo's header: format, size and depth, before any pixel is decoded."""

import struct
from collections.abc import Callable
from io import BytesIO

from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from chromaserve.errors import DamagedPhoto, TooManyPixels, UnsupportedFormat, UnsupportedSamples
from chromaserve.photos.photo import Header
from chromaserve.photos.structure import (
    Structure,
    Unreadable,
    check_tiff,
    read_jpeg,
    read_png,
    read_webp,
)

# Not by Image.open: its limit is a constant of the process, which may be another's; ours is a
# setting, checked below.
_READERS: dict[str, type[ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "TIFF": TiffImageFile,
    "BMP": BmpImageFile,
}
ACCEPTED = tuple(_READERS)
_STRUCTURES: dict[str, Callable[[bytes], Structure]] = {
    "JPEG": read_jpeg,
    "PNG": read_png,
    "WEBP": read_webp,
}
_ADVICE = "Send a JPEG, PNG, WebP, TIFF or BMP photo."
_SAY = {"WEBP": "WebP"}

PIL_ERRORS = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, KeyError, IndexError),
    *(OverflowError, ZeroDivisionError, NotImplementedError, struct.error),
)
"""What Pillow's parsers are seen to raise on hostile bytes."""

_TIFF_BITS, _TIFF_PLANAR, _TIFF_SAMPLE_FORMAT = 258, 284, 339
_TIFF_TILE_WIDTH, _TIFF_TILE_LENGTH = 322, 323
_TIFF_FLOAT = 3


def sniff(data: bytes) -> str:
    """The image format by its first bytes; what the client declared is not looked at.

    Raises:
        DamagedPhoto: no bytes at all.
        UnsupportedFormat: not one of `ACCEPTED`.
    """
    if not data:
        raise DamagedPhoto(f"The photo is empty: 0 bytes arrived. {_ADVICE}")
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    # A bitmap's header size follows its magic; text may well begin with "BM".
    if data[:2] == b"BM" and data[14:15] in (b"\x0c", b"\x28", b"\x34", b"\x38", b"\x40", b"\x6c",
                                             b"\x7c"):  # fmt: skip
        return "BMP"
    raise UnsupportedFormat(f"This is not a photo in an accepted format. {_ADVICE}")


def inspect(data: bytes, *, max_pixels: int, max_side: int) -> Header:
    """Read a photo's header and hold it against the limits, without decoding.

    Raises:
        UnsupportedFormat: not one of `ACCEPTED`.
        UnsupportedSamples: pixels that cannot be used, such as floating point.
        DamagedPhoto: no bytes, or a header that cannot be read.
        TooManyPixels: more than `max_pixels`, or a side longer than `max_side`.
    """
    kind = sniff(data)
    try:
        if kind in _STRUCTURES:
            found = _STRUCTURES[kind](data)
            check_size(found.width, found.height, max_pixels, max_side)
            return Header(kind, found.width, found.height, found.bits, found.alpha, found.may_turn)
        if kind == "TIFF":
            check_tiff(data)
    except (Unreadable, struct.error, IndexError) as error:
        raise damaged(kind) from error
    with open_image(data, kind) as image:
        check_size(*image.size, max_pixels, max_side)
        bits = 16 if _sixteen_bits(image) else 8
        if kind == "TIFF":
            _check_tiff(image, bits, max_pixels)
        alpha = image.has_transparency_data or image.mode == "RGBX"
        return Header(kind, image.width, image.height, bits, alpha, may_turn=False)


def open_image(data: bytes, kind: str) -> ImageFile:
    """Open a photo with Pillow, its header read and its pixels not; DamagedPhoto if it cannot."""
    try:
        return _READERS[kind](BytesIO(data))
    except PIL_ERRORS as error:
        raise damaged(kind) from error


def damaged(kind: str) -> DamagedPhoto:
    """The error for a file of this format that cannot be read to its end."""
    return DamagedPhoto(
        f"The {_SAY.get(kind, kind)} file is damaged or incomplete. Check that it opens in a"
        " viewer, and send it again."
    )


def check_size(width: int, height: int, max_pixels: int, max_side: int) -> None:
    """Raise TooManyPixels, or DamagedPhoto where there are none."""
    if width < 1 or height < 1:
        raise DamagedPhoto(f"The photo's header says {width} × {height} pixels. Send another file.")
    if width * height > max_pixels:
        raise TooManyPixels(
            f"The photo has {width * height:,} pixels ({width} × {height}); at most"
            f" {max_pixels:,} are accepted. Shrink it and send it again.",
            limit=max_pixels,
        )
    if max(width, height) > max_side:
        raise TooManyPixels(
            f"The photo is {width} × {height} pixels; at most {max_side:,} a side are accepted."
            " Shrink or cut it and send it again.",
            limit=max_side,
        )


def _tag(image: ImageFile, number: int) -> tuple[int, ...]:
    try:
        value = image.tag_v2.get(number, ())  # type: ignore[attr-defined]
        return tuple(map(int, value if isinstance(value, tuple) else (value,)))
    except PIL_ERRORS as error:
        raise damaged("TIFF") from error


def _sixteen_bits(image: ImageFile) -> bool:
    if image.format == "TIFF":
        return max(_tag(image, _TIFF_BITS), default=1) > 8
    return image.mode.startswith("I;16")


def _check_tiff(image: ImageFile, bits: int, max_pixels: int) -> None:
    said = _tag(image, _TIFF_BITS)
    if _TIFF_FLOAT in _tag(image, _TIFF_SAMPLE_FORMAT) or image.mode in ("F", "I", "LAB", "HSV"):
        raise UnsupportedSamples(
            f"The TIFF has {max(said, default=1)}-bit samples of a kind that is not accepted."
            " Save it as 8 or 16 bits a channel, grey or RGB."
        )
    if bits == 16 and not image.mode.startswith("I;16"):
        odd = set(said) != {16} or image.mode not in ("RGB", "RGBA", "RGBX")
        if odd or _tag(image, _TIFF_PLANAR) == (2,):
            raise UnsupportedSamples(
                "The TIFF's layout (separate planes, or CMYK in 16 bits) is not accepted. Save it"
                " as interleaved RGB, or with 8 bits a channel."
            )
    tile = (*_tag(image, _TIFF_TILE_WIDTH), 1)[0] * (*_tag(image, _TIFF_TILE_LENGTH), 1)[0]
    if tile > max_pixels:
        raise DamagedPhoto(f"The TIFF says that its tiles have {tile:,} pixels. Save it anew.")
