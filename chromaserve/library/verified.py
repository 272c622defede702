"""That a result has the lightness of its photo, pixel by pixel, and what it says of its making."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chromaserve.color.lab import srgb_to_L
from chromaserve.errors import ServiceError
from chromaserve.library.background import local_settings
from chromaserve.library.files import read_whole
from chromaserve.library.given import Given
from chromaserve.photos.credentials import Signature, signature_in
from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect
from chromaserve.photos.ifd import SOFTWARE
from chromaserve.photos.in_memory import array_header, read_array, read_image
from chromaserve.photos.photo import Photo, Pixels, strips

_MOST_BYTES = 2**30  # of a photo that is read as a whole
_MEAN, _GREATEST = 0.3, 1.0
"""Of L* between a photo of 8 bits and its result in a format that loses nothing."""


@dataclass(frozen=True)
class Verified:
    """How far a result is from its photo."""

    same: bool
    """Whether lightness is untouched: of one size, and L* differs by 0.3 at most on average and by
    1 anywhere. A JPEG or WebP may differ by more by itself."""
    size: tuple[int, int]
    """Width and height of the photo, upright."""
    size_of_result: tuple[int, int]
    grey: Pixels = field(repr=False)
    """uint8 or uint16 [H, W], the result's lightness as sRGB grey, in as many bits as the photo
    has: the photo back."""
    mean: float | None = None
    """Of the difference in L*; None, as all below, where sizes differ."""
    greatest: float | None = None
    greatest_at: tuple[int, int] | None = None
    """x and y of a pixel that differs by that."""
    within_1: float | None = None
    """Part of the pixels that differ by less than 1."""
    made_by: str | None = None
    """What the result says of its making (EXIF: Software); None where it says nothing."""
    signature: Signature | None = None
    """Its Content Credentials (C2PA); None where it has none, or is no file."""


def verify(photo: Given, result: Given, *, trust: str | Path | None = None) -> Verified:
    """Hold a result against its photo. No model is loaded.

    Args:
        photo: the grey photo: a file's bytes or path, a Pillow image, or an array as for
            `Colorizer`.
        result: what was made of it, likewise.
        trust: certificates (PEM) of those whose word on its signature counts.

    Raises:
        CredentialsUnusable: `trust` cannot be used.
        ServiceError: one of them cannot be read: DamagedPhoto, UnsupportedFormat, TooManyPixels…
        OSError: a file cannot be read.
    """
    (one, *_), (other, data, kind) = _read(photo), _read(result)
    signature = signature_in(data, kind, Path(trust) if trust else None) if data else None
    grey = other.grey
    if one.dtype is np.uint8 and grey.dtype == np.uint16:
        grey = np.rint(grey / 257).astype(np.uint8)
    exif = other.metadata.exif
    made_by = (exif.text(SOFTWARE) if exif else "") or None
    if one.size != other.size:
        return Verified(False, one.size, other.size, grey, made_by=made_by, signature=signature)
    rows, columns = one.grey.shape
    total, greatest, place, alike = 0.0, 0.0, (0, 0), 0
    for start, stop in strips(rows, columns):
        apart: NDArray[np.float32] = abs(
            srgb_to_L(one.grey[start:stop]) - srgb_to_L(other.grey[start:stop])
        )
        total += float(apart.sum(dtype=np.float64))
        alike += int(np.count_nonzero(apart < _GREATEST))
        if apart.max() > greatest:
            greatest = float(apart.max())
            row, column = divmod(int(apart.argmax()), columns)
            place = column, start + row
    mean = total / (rows * columns)
    return Verified(
        mean <= _MEAN and greatest <= _GREATEST,
        one.size, other.size, grey,
        round(mean, 4), round(greatest, 4), place, round(alike / (rows * columns), 6), made_by,
        signature,
    )  # fmt: skip


def _read(given: Given) -> tuple[Photo, bytes, str]:
    """A photo, its file and the format of that; empty where there is no file."""
    if isinstance(given, Image.Image):
        return read_image(given), b"", ""
    if isinstance(given, np.ndarray):
        array_header(given)  # which refuses what is none of a photo
        return read_array(given), b"", ""
    settings = local_settings()
    data = given if isinstance(given, bytes) else read_whole(Path(given), _MOST_BYTES)
    try:
        header = inspect(data, max_pixels=settings.max_pixels, max_side=settings.max_side)
        return decode(data, header), data, header.format
    except ServiceError as error:
        if isinstance(given, str | Path):  # which of the two it is
            error.detail = f"{given}: {error.detail}"
        raise
