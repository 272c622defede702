"""Checks on a photo's header: format, size and depth, before any pixel is decoded."""

import re
import struct
from collections.abc import Callable
from io import BytesIO

from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from chromaserve.errors import DamagedPhoto, InvalidOptions, TooManyPixels, UnsupportedFormat
from chromaserve.photos.bmp import check_bmp
from chromaserve.photos.foreign import (
    JP2_BOXES,
    JP2_STREAM,
    read_gif,
    read_jpeg2000,
    read_pnm,
)
from chromaserve.photos.heif import Boxed, brand, read_heif
from chromaserve.photos.jpeg import plain_jpeg, read_jpeg
from chromaserve.photos.photo import Header
from chromaserve.photos.png_reading import SIGNATURE, pixels_alone
from chromaserve.photos.structure import Structure, Unreadable, read_png, read_webp
from chromaserve.photos.tiff_image import Tiff
from chromaserve.photos.tiff_reading import TIFF, read_tiff, refuse_raw

# Not by Image.open: its limit is a constant of the process, which may be another's; ours is a
# setting, checked below.
_READERS: dict[str, type[ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "TIFF": Tiff,
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
    "JPEG2000": Jpeg2KImageFile,
    "AVIF": AvifImageFile,
}
JPEG = b"\xff\xd8\xff"
_STRUCTURES: dict[str, Callable[[bytes], Structure]] = {
    "JPEG": read_jpeg,
    "PNG": read_png,
    "WEBP": read_webp,
    "GIF": read_gif,
    "JPEG2000": read_jpeg2000,
    "PNM": read_pnm,
}
_ADVICE = "Photos are JPEG, PNG, WebP, TIFF, HEIC, AVIF, BMP, GIF, JPEG 2000 or PNM files."
_SAY = {"WEBP": "WebP", "JPEG2000": "JPEG 2000"}

_LEAD, _MOST_LEAD = re.compile(rb"(\xef\xbb\xbf|\s)+"), 1_000
"""What programs put before a file that they take for text: white space, a mark of byte order."""
_RAW = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM")
"""First bytes of Fujifilm's, Olympus's, Panasonic's, Sigma's and Minolta's raw files."""

PIL_ERRORS = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, KeyError, IndexError),
    *(OverflowError, ZeroDivisionError, RuntimeError, struct.error),
)
"""What Pillow's parsers are seen to raise on hostile bytes."""


def plain(data: bytes) -> bytes:
    """A photo's file as decoders take it, mostly the very bytes.

    Raises:
        Unreadable: a JPEG without structure.
    """
    lead = _LEAD.match(data, 0, _MOST_LEAD)
    data = data[lead.end() :] if lead else data
    return plain_jpeg(data) if data.startswith(JPEG) else data


def sniff(data: bytes) -> str:
    """The image format by its first bytes; what the client declared is not looked at.

    Raises:
        DamagedPhoto: no bytes at all.
        UnsupportedFormat: it is none that is accepted.
    """
    if not data:
        raise DamagedPhoto(f"The photo is empty (0 bytes). {_ADVICE}")
    if data.startswith(JPEG):
        return "JPEG"
    if data.startswith(SIGNATURE):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if data.startswith((JP2_BOXES, JP2_STREAM)):
        return "JPEG2000"
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3] in b" \t\r\n#" and data[2:3]:
        return "PNM"
    if data.startswith(_RAW) or data[4:12] == b"ftypcrx " or data[8:11] == b"CR\2":
        refuse_raw()
    if data[:4] in TIFF:
        return "TIFF"
    # A bitmap's header size follows its magic; text may well begin with "BM".
    if data[:2] == b"BM" and data[14:15] in (b"\x0c", b"\x28", b"\x34", b"\x38", b"\x40", b"\x6c",
                                             b"\x7c"):  # fmt: skip
        return "BMP"
    if boxed := brand(data):
        return boxed
    raise UnsupportedFormat(f"This is not a photo in an accepted format. {_ADVICE}")


def inspect(data: bytes, *, max_pixels: int, max_side: int, page: int = 0) -> Header:
    """Read a photo's header and hold it against the limits, without decoding.

    Args:
        data: the file.
        max_pixels: of the photo.
        max_side: of it.
        page: of several in a TIFF, from 0.

    Raises:
        UnsupportedFormat: it is none that is accepted.
        UnsupportedSamples: pixels that cannot be used, such as signed numbers.
        DamagedPhoto: no bytes, or a header that cannot be read.
        TooManyPixels: more than `max_pixels`, or a side longer than `max_side`.
        InvalidOptions: there is no such page.
    """
    try:
        data = plain(data)
    except Unreadable as error:
        raise damaged("JPEG") from error
    kind = sniff(data)
    if page and kind != "TIFF":
        raise InvalidOptions(f"page is for TIFF, and this is a {_SAY.get(kind, kind)} file.")
    try:
        if kind in _STRUCTURES:
            found = _STRUCTURES[kind](data)
            check_size(found.width, found.height, max_pixels, max_side)
            return _header(kind, found)
        if kind == "TIFF":
            return _tiff_header(data, page, max_pixels, max_side)
        if kind in ("HEIC", "AVIF"):
            return _boxed_header(data, kind, max_pixels, max_side)
        check_bmp(data)
    except (Unreadable, struct.error, IndexError, OverflowError) as error:
        raise damaged(kind) from error
    with open_image(data, kind) as image:
        check_size(*image.size, max_pixels, max_side)
        return Header(kind, image.width, image.height, 8, image.has_transparency_data)


def _tiff_header(data: bytes, wanted: int, max_pixels: int, max_side: int) -> Header:
    found = read_tiff(data, wanted)
    page = found.page
    check_size(page.width, page.height, max_pixels, max_side)
    tile = page.tile[0] * page.tile[1] if page.tile else 0
    if tile > max_pixels:
        raise DamagedPhoto(f"The TIFF says that its tiles have {tile:,} pixels. Save it anew.")
    size = (page.width, page.height) if page.orientation < 5 else (page.height, page.width)
    # A palette may have transparency that Pillow finds.
    return Header(
        "TIFF",
        *size,
        page.depth,
        page.alpha,
        page=found.index,
        pages=found.pages,
        more_pages=found.more,
        tiff=page,
    )


def _boxed_header(data: bytes, kind: str, max_pixels: int, max_side: int) -> Header:
    found, boxed = read_heif(data, kind)
    check_size(*boxed.whole, max_pixels, max_side)
    return _header(kind, found, boxed)


def _header(kind: str, found: Structure, boxed: Boxed | None = None) -> Header:
    return Header(
        *(kind, found.width, found.height, found.bits, found.alpha, found.may_turn),
        pictures=found.pictures,
        depth=boxed.depth if boxed else found.depth,
        boxed=boxed,
    )


def open_image(data: bytes, kind: str, page: int = 0) -> ImageFile:
    """Open a photo with Pillow, its header read and its pixels not; DamagedPhoto if it cannot."""
    try:
        image = _READERS[kind](BytesIO(pixels_alone(data) if kind == "PNG" else data))
        if page:
            image.seek(page)
        return image
    except Image.DecompressionBombError as error:  # of a WebP or GIF, by the program's limit
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise TooManyPixels(
            f"Of a {_SAY.get(kind, kind)} file at most {limit:,} pixels are read. Shrink it.",
            limit=limit,
        ) from error
    except PIL_ERRORS as error:
        raise damaged(kind) from error


def damaged(kind: str) -> DamagedPhoto:
    """The error for a file of this format that cannot be read to its end."""
    return DamagedPhoto(
        f"The {_SAY.get(kind, kind)} file is damaged or incomplete. Check that it opens in a"
        " viewer."
    )


def in_part(kind: str, missing: float) -> DamagedPhoto:
    """The error for one of whose pixels this part is missing, where only a whole one is wanted."""
    part = max(1, round(100 * missing))
    return DamagedPhoto(
        f"The {_SAY.get(kind, kind)} file is damaged: about {part}% of its pixels are missing."
        " The rest is had by damaged=accept."
    )


def check_size(width: int, height: int, max_pixels: int, max_side: int) -> None:
    """Raise TooManyPixels, or DamagedPhoto where there are none."""
    if width < 1 or height < 1:
        raise DamagedPhoto(f"The photo's header says {width} × {height} pixels.")
    if width * height > max_pixels:
        raise TooManyPixels(
            f"The photo has {width * height:,} pixels ({width} × {height}); at most"
            f" {max_pixels:,} are accepted. Shrink it.",
            limit=max_pixels,
        )
    if max(width, height) > max_side:
        raise TooManyPixels(
            f"The photo is {width} × {height} pixels; at most {max_side:,} a side are accepted."
            " Shrink or cut it.",
            limit=max_side,
        )
