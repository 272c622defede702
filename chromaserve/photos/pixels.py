"""Decoded pixels of any kind as strips of numbers, with alpha, and what the numbers mean."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from PIL.ImageFile import ImageFile

from chromaserve.errors import DamagedPhoto, UnsupportedSamples
from chromaserve.photos.damage import Repaired, greyed, repaired, seems_cut
from chromaserve.photos.foreign import info_of
from chromaserve.photos.header import PIL_ERRORS, damaged, in_part, open_image, plain
from chromaserve.photos.heic import heic_info, heic_strips
from chromaserve.photos.metadata import NOTHING, Metadata, gather, gather_tiff
from chromaserve.photos.photo import Header, Pixels, Strips, widened
from chromaserve.photos.pillow_pixels import image_pixels, on_clear_ground
from chromaserve.photos.png_reading import colour_chunks, pixels_alone
from chromaserve.photos.pnm import Pnm
from chromaserve.photos.profile_reading import profile_of, profile_of_cicp, profile_of_png
from chromaserve.photos.profiles import SRGB, Profile
from chromaserve.photos.tiff_coded import check_coded
from chromaserve.photos.tiff_page import Page
from chromaserve.photos.tiff_samples import Samples

# Its complaints about damaged files are our 422s.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_NOT_IN_PART = (
    "Of a TIFF with a palette, CMYK, YCbCr, or compression by JPEG or fax, what is"
    " whole cannot be taken alone."
)


@dataclass
class Source:
    """A photo's pixels, as long as it is not closed."""

    rows: int
    columns: int
    strips: Strips
    profile: Profile = SRGB
    is_upright: bool = True
    """Whether no EXIF orientation is to be undone."""
    metadata: Metadata = NOTHING
    missing: Callable[[], float] = lambda: 0.0
    """Part of the pixels, known after the last strip."""
    close: Callable[[], None] = lambda: None


def open_source(data: bytes, header: Header, *, accept_damage: bool = False) -> Source:
    """Decode a photo, and hand out its pixels.

    Raises:
        DamagedPhoto: the file is truncated or corrupt.
        UnsupportedSamples: a kind of pixel that cannot be converted.

    The strips may raise both.
    """
    data = plain(data)
    page: Page | None = header.tiff
    known = page is not None and page.is_known
    if page and known and (page.is_ours or page.is_cut(data)):
        return _tiff(data, page, accept_damage=accept_damage)
    try:
        return _opened(data, header)
    except DamagedPhoto as error:
        if page and known:
            return _tiff(data, page, accept_damage=accept_damage)
        if page:
            raise DamagedPhoto(f"{error.detail} {_NOT_IN_PART}") from error
        found = repaired(data, header, accept=accept_damage)
        if found is None:
            raise
        if found.missing and not accept_damage:
            raise in_part(header.format, found.missing) from error
        return _opened(found.data, header, found)


def _opened(data: bytes, header: Header, repair: Repaired | None = None) -> Source:
    if header.format == "HEIC":
        return _heic(data, header)
    if header.format == "PNM":
        try:
            pnm = Pnm(data)
        except ValueError as error:
            raise damaged("PNM") from error
        return Source(pnm.rows, pnm.columns, pnm.strips)
    file = pixels_alone(data) if header.format == "PNG" else data
    image = open_image(file, header.format, header.page)
    try:
        image.info.update(info_of(data, header.format))
        # A JPEG 2000 file says its size twice, and Pillow makes room for what it says first.
        whole = header.boxed.whole if header.boxed else (header.width, header.height)
        if sorted(image.size) != sorted(whole):
            raise damaged(header.format)
        strips, profile = _decoded(file, image, header)
        if header.format == "TIFF":
            metadata, _ = gather_tiff(data, header.tiff.place)
            check_coded(data, header.tiff)
        else:
            metadata = gather(data, image.info, header.format)
        if repair is None and seems_cut(data, header, image):
            raise damaged(header.format)
        if repair and repair.grey_from is not None:
            strips = greyed(strips, repair.grey_from)
    except BaseException:
        image.close()
        raise
    return Source(
        *((header.height, header.width) if header.boxed else (image.height, image.width)),
        _cut(strips, header) if header.boxed else strips,
        profile,
        is_upright=not header.may_turn or header.format == "TIFF",  # which Pillow turns
        metadata=metadata,
        missing=lambda: repair.missing if repair else 0.0,
        close=image.close,
    )


def _cut(strips: Strips, header: Header) -> Strips:
    """Of a HEIC or AVIF, the part that is to be shown."""
    left, top = header.boxed.corner
    columns = slice(left, left + header.width)

    def cut(start: int, stop: int) -> tuple[Pixels, Pixels | None]:
        colours, alpha = strips(top + start, top + stop)
        return colours[:, columns], None if alpha is None else alpha[:, columns]

    return strips if header.boxed.whole == (header.width, header.height) else cut


def _decoded(data: bytes, image: ImageFile, header: Header) -> tuple[Strips, Profile]:
    if header.boxed:  # OpenCV fails where the range is high, without a reason
        _profile(data, image.info, header, "RGB")
    # Pillow holds Python's lock while it decodes a JPEG 2000, for seconds where it is large.
    jpeg2000 = header.format == "JPEG2000"
    if jpeg2000 or (header.bits == 16 and not image.mode.startswith("I;16")):
        return _by_opencv(data, image, header)
    try:
        if header.format == "PNG":
            # Pillow decodes without a look at the checksums of the pixels' chunks.
            with open_image(data, header.format) as checked:
                checked.verify()
            key = image.info.get("transparency")
            if image.mode == "L" and isinstance(key, int):  # Pillow widens the greys alone
                image.info["transparency"] = key * (255 // ((1 << data[24]) - 1))
        box = image.tile[0].extents if header.format == "GIF" else None
        strips, profile = image_pixels(image, lambda mode: _profile(data, image.info, header, mode))
        if box:
            strips = on_clear_ground(strips, box)
        clear = header.format == "BMP" and image.mode == "RGBA"
        if clear and image.getchannel("A").getextrema() == (0, 0):
            return lambda start, stop: (strips(start, stop)[0], None), profile  # as viewers do
        return strips, profile
    except (*PIL_ERRORS, MemoryError) as error:
        raise damaged(header.format) from error


def _profile(data: bytes, info: Mapping[Any, Any], header: Header, mode: str) -> Profile:
    """By the PNG's cICP before its ICC profile, before what else it says."""
    icc = info.get("icc_profile")
    if header.boxed and not icc:
        return profile_of_cicp(header.boxed.cicp, mode)
    if header.format == "PNG":
        said = colour_chunks(data)
        if b"cICP" in said or not icc:
            return profile_of_png(said, mode)
    return profile_of(icc, mode)


def _tiff(data: bytes, page: Page, *, accept_damage: bool) -> Source:
    if page.is_absent(len(data)):
        raise damaged("TIFF")
    samples = Samples(data, page)
    metadata, icc = gather_tiff(data, page.place)
    profile = profile_of(icc, "RGB" if page.photometric == 2 else "L")

    def strips(start: int, stop: int) -> tuple[Pixels, Pixels | None]:
        part = samples.strips(start, stop)
        if stop == page.height:
            if samples.missing == 1:
                raise damaged("TIFF")
            if samples.missing and not accept_damage:
                raise in_part("TIFF", samples.missing)
        return part

    # No reference to the source in here: a circle would be held until it is collected.
    return Source(
        page.height, page.width, strips, profile, False, metadata, lambda: samples.missing
    )


def _by_opencv(data: bytes, image: ImageFile, header: Header) -> tuple[Strips, Profile]:
    """RGB of 16 bits and alpha, which Pillow would round to 8, and JPEG 2000."""
    file = pixels_alone(data, still=True) if header.format == "PNG" else data
    try:
        bgr = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise damaged(header.format) from error
    if bgr is None or bgr.shape[:2] != (image.height, image.width):
        raise damaged(header.format)
    kind = np.uint16 if header.bits == 16 else np.uint8
    if bgr.ndim == 2:
        bgr = bgr[..., np.newaxis]
    if bgr.dtype != kind or bgr.shape[2] not in (1, 3, 4) or image.mode in ("P", "PA"):
        raise UnsupportedSamples("Save the photo as grey or RGB of 8 bits a channel.")
    pixels = cast(Pixels, bgr)
    opaque = pixels.shape[2] < 4 or not header.alpha
    grey = image.mode in ("L", "LA", "I;16")
    # OpenCV hands out an AVIF's grey as it is stored.
    narrow = header.boxed is not None and header.boxed.narrow and pixels.shape[2] == 1

    def strips(start: int, stop: int) -> tuple[Pixels, Pixels | None]:
        part = widened(pixels[start:stop], header.depth, narrow=narrow)
        alpha = None if opaque else part[..., 3]
        if grey:
            return cast(Pixels, np.ascontiguousarray(part[..., 0])), alpha
        order = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGB
        return cast(Pixels, cv2.cvtColor(part, order)), alpha

    return strips, _profile(data, image.info, header, "L" if grey else "RGB")


def _heic(data: bytes, header: Header) -> Source:
    try:
        strips, mode = heic_strips(data, header)
    except PIL_ERRORS as error:
        raise damaged("HEIC") from error
    info = heic_info(data, header.boxed.boxes)
    profile, metadata = _profile(data, info, header, mode), gather(data, info, "HEIC")
    strips = _cut(strips, header)
    return Source(header.height, header.width, strips, profile, metadata=metadata)
