"""What a photo's file is, and what of it goes along with a result, without colouring it."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from PIL import ImageCms

from chromaserve.color.toned import Colour
from chromaserve.errors import ServiceError, detail_of, slug_of
from chromaserve.photos.decode import decode
from chromaserve.photos.foreign import info_of
from chromaserve.photos.header import PIL_ERRORS, inspect, open_image, plain
from chromaserve.photos.heic import heic_info
from chromaserve.photos.metadata import gather_tiff
from chromaserve.photos.photo import Header
from chromaserve.photos.tiff_reading import count_pages
from chromaserve.settings import PipelineSettings


@dataclass(frozen=True)
class Inspected:
    """One photo of a file."""

    format: str
    """By its first bytes: JPEG, PNG, WEBP, TIFF, HEIC, AVIF, BMP, GIF, JPEG2000 or PNM."""
    width: int | None
    """In pixels, upright; None where the page's header cannot be read, or refuses it."""
    height: int | None
    bits: int | None
    """A channel, of a result that keeps them all: 8 or 16; None as above."""
    page: int
    """From 1."""
    pages: int
    """Photos in the file that are taken, all by pages=all."""
    pictures: int
    """Of an animation or HEIC: the first alone is taken."""
    profile: str | None
    """The embedded colour profile's name; None where there is none that can be read."""
    alpha: bool = False
    """Whether something is transparent."""
    colour: Colour | None = None
    """Whether it is in colour, grey, or grey with a tone; None where it cannot be decoded."""
    missing: float = 0.0
    """Part of the pixels; damaged=accept takes the rest."""
    orientation: int = 1
    """By EXIF, as the file has it: 1 to 8."""
    dpi: tuple[float, float] | None = None
    kept: tuple[str, ...] = ()
    """Metadata that goes along: EXIF, XMP, IPTC, texts."""
    places: bool = False
    """Whether it says where it was taken, which metadata=all alone keeps."""
    lost: tuple[str, ...] = ()
    """Metadata that is too large or broken to go along."""
    problem: str | None = None
    """What refuses it, by the kinds of errors; None where it is taken."""
    detail: str | None = None
    """The same in a sentence."""


def inspect_photo(data: bytes, settings: PipelineSettings) -> Iterator[Inspected]:
    """Each photo of a file, in its pages' order; pixels are decoded, and no model is asked.

    Args:
        data: the file.
        settings: limits of a photo.

    Raises:
        ServiceError: its header cannot be read, or it is refused by that; of a page of several it
            is told with it.
    """
    pixels, side = settings.max_pixels, settings.max_side
    count, more = count_pages(data)
    for page in range(count + more):  # where others cannot be read, the next one is to tell
        known = ("TIFF", None, None, None, page + 1, count, 1, None)
        try:
            header = inspect(data, max_pixels=pixels, max_side=side, page=page)
        except ServiceError as error:
            if count + more == 1:
                raise
            yield Inspected(*known, problem=slug_of(error), detail=detail_of(error))
        else:
            yield _page(data, header, page + 1)


def _page(data: bytes, header: Header, page: int) -> Inspected:
    known = (
        *(header.format, header.width, header.height, header.bits, page),
        *(len(header.pages), header.pictures, _profile(data, header)),
    )
    try:
        photo = decode(data, header, accept_damage=True)
    except ServiceError as error:
        return Inspected(*known, problem=slug_of(error), detail=detail_of(error))
    of = photo.metadata
    has = {"EXIF": of.exif, "XMP": of.xmp, "IPTC": of.iptc, "texts": of.texts}
    width, height = photo.size
    return Inspected(
        *(known[0], width, height, *known[3:]),
        alpha=photo.alpha is not None,
        colour=photo.colour,
        missing=photo.missing,
        orientation=of.orientation,
        dpi=of.dpi,
        kept=tuple(name for name, there in has.items() if there),
        places=of.has_places,
        lost=of.lost,
    )


def _profile(data: bytes, header: Header) -> str | None:
    try:
        data = plain(data)
        if header.format == "TIFF":
            icc = gather_tiff(data, header.tiff.place)[1]
        elif header.format == "HEIC":
            icc = heic_info(data, header.boxed.boxes).get("icc_profile", b"")
        elif header.format == "PNM":
            return None
        else:
            with open_image(data, header.format) as image:
                image.info.update(info_of(data, header.format))
                icc = image.info.get("icc_profile", b"")
        if not icc:
            return None
        profile = ImageCms.ImageCmsProfile(BytesIO(icc)).profile
        return str(profile.profile_description or "").strip("\0 ") or None
    except (ServiceError, *PIL_ERRORS):
        return None
