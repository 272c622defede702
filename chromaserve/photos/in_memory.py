"""Photos that are in memory already, as Pillow images or arrays, in and out."""

from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chromaserve.errors import DamagedPhoto, UnsupportedSamples
from chromaserve.photos.decode import Planes
from chromaserve.photos.free_cores import ALONE, FreeCores
from chromaserve.photos.header import PIL_ERRORS
from chromaserve.photos.photo import Depth, Header, Photo, Pixels
from chromaserve.photos.pillow_pixels import image_pixels
from chromaserve.photos.pixels import Source
from chromaserve.photos.profile_reading import profile_of

_NOT_TAKEN = ("F", "LAB", "HSV", "I;16N")
_SIXTEEN_BITS = 65_535
_ORIENTATION = 0x0112
_LOADING = [Lock() for _ in range(61)]
"""One for each image, or nearly: Pillow reads a file, and EXIF, when they are first asked for, and
several threads may ask at once for those of one image."""


def image_header(image: Image.Image) -> Header:
    """What is known of a Pillow image before it is loaded.

    Raises:
        UnsupportedSamples: floating point, Lab or HSV.
    """
    if image.mode in _NOT_TAKEN:
        raise UnsupportedSamples(
            f"Pillow images of mode {image.mode} are not taken. Convert it to L, I;16 or RGB."
        )
    bits = 16 if image.mode.startswith("I") else 8
    alpha = image.has_transparency_data
    return Header(image.format or "PIXELS", image.width, image.height, bits, alpha)


def read_image(
    image: Image.Image, *, keep_colours: bool = False, cores: FreeCores = ALONE
) -> Photo:
    """A Pillow image as a photo: upright by its EXIF, in sRGB by its ICC profile, as a file's.

    Raises:
        DamagedPhoto: its file cannot be read to the end.
        UnsupportedSamples: mode I with values outside 0..65535, or pixels that cannot be converted.
    """
    try:
        with _LOADING[id(image) // 16 % len(_LOADING)]:
            icc = image.info.get("icc_profile")
            if image.mode == "I":
                image = _sixteen_bits(image)
            pixels, profile = image_pixels(image, lambda mode: profile_of(icc, mode))
            orientation = exif_orientation(image)  # Pillow has turned a TIFF by now, and says so
    except AssertionError as error:  # of Pillow, where the file is gone before its pixels are read
        raise DamagedPhoto(
            "Pillow cannot load the image: its file is closed. Load it before, or give it within"
            " its `with`."
        ) from error
    except PIL_ERRORS as error:
        raise DamagedPhoto(f"Pillow cannot load the image: {error}") from error
    depth: Depth = np.uint16 if image.mode.startswith("I;16") else np.uint8
    planes = Planes(image.height, image.width, depth, keep_colours=keep_colours, keep_alpha=True)
    planes.fill(Source(image.height, image.width, pixels, profile), cores)
    return planes.photo(orientation)


def exif_orientation(image: Image.Image) -> int:
    """EXIF orientation still to be undone, 1 if there is none or it is nonsense."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except PIL_ERRORS:
        return 1
    return orientation if orientation in range(1, 9) else 1


def _sixteen_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if values.min() < 0 or values.max() > _SIXTEEN_BITS:
        raise UnsupportedSamples(
            "The image, of mode I, has values outside 0 to 65535. Scale it to 16 bits."
        )
    return Image.fromarray(values.astype(np.uint16))


def as_image(pixels: Pixels) -> Image.Image:
    """RGB or RGBA of 8 bits, which is all that Pillow has, of uint8 or uint16 [H, W, 3 or 4].

    And grey, of [H, W, 1].
    """
    if pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    return Image.fromarray(
        cv2.convertScaleAbs(pixels, alpha=1 / 257) if pixels.itemsize > 1 else pixels
    )


def array_header(array: NDArray[np.generic]) -> Header:
    """What an array of pixels is.

    Raises:
        UnsupportedSamples: not uint8 or uint16, or not [H, W], [H, W, 1], [H, W, 3] or [H, W, 4];
            or some of it is masked.
    """
    if np.ma.is_masked(array):
        raise UnsupportedSamples(
            "A masked array is not taken. Fill it, or give it an alpha channel that is 0 where it"
            " is masked."
        )
    channels = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    kind = array.dtype.type  # whatever its byte order
    if kind not in (np.uint8, np.uint16) or channels not in (1, 3, 4) or array.size == 0:
        raise UnsupportedSamples(
            f"An array of {array.dtype} {list(array.shape)} is not taken: it must be uint8 or"
            " uint16, and [H, W], [H, W, 1], [H, W, 3] (RGB) or [H, W, 4] (RGBA)."
        )
    rows, columns = array.shape[:2]
    return Header("PIXELS", columns, rows, 8 * array.itemsize, channels == 4)


def read_array(array: Pixels, *, keep_colours: bool = False, cores: FreeCores = ALONE) -> Photo:
    """sRGB pixels, as `array_header` accepts them, as a photo."""
    depth: Depth = np.uint8 if array.itemsize == 1 else np.uint16
    native = array.astype(depth, copy=False)  # the byte order may be foreign

    def strips(start: int, stop: int) -> tuple[Pixels, Pixels | None]:
        part = native[start:stop]
        if part.ndim == 2:
            return np.ascontiguousarray(part), None
        if part.shape[2] == 1:
            return np.ascontiguousarray(part[:, :, 0]), None
        alpha = np.ascontiguousarray(part[:, :, 3]) if part.shape[2] == 4 else None
        return np.ascontiguousarray(part[:, :, :3]), alpha

    rows, columns = native.shape[:2]
    planes = Planes(rows, columns, depth, keep_colours=keep_colours, keep_alpha=True)
    planes.fill(Source(rows, columns, strips), cores)
    return planes.photo(1)
