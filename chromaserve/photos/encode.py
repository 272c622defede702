"""Encoding of coloured pixels to PNG, JPEG or WebP."""

import cv2
import numpy as np

from chromaserve.errors import InvalidOptions
from chromaserve.photos.formats import SUFFIXES, Format
from chromaserve.photos.photo import Photo, Striped
from chromaserve.photos.png import PngLevel, PngWriter

_WEBP_MAX_SIDE = 16_383
_PARAMETERS: dict[str, list[int]] = {
    "jpeg": [
        *(cv2.IMWRITE_JPEG_QUALITY, 95),
        # Chroma at full resolution: it is what this service makes.
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ],
    "webp": [cv2.IMWRITE_WEBP_QUALITY, 90],
}


def check_format(photo: Photo, output: Format) -> None:
    """Raise InvalidOptions where the output format cannot hold the photo."""
    if output == "jpeg" and photo.alpha is not None:
        raise InvalidOptions(
            "The photo has transparency, which JPEG cannot hold. Ask for format=png or webp."
        )
    if output == "webp" and max(photo.size) > _WEBP_MAX_SIDE:
        raise InvalidOptions(
            f"WebP holds at most {_WEBP_MAX_SIDE:,} pixels a side, and the photo is"
            f" {photo.size[0]} × {photo.size[1]}. Ask for format=png."
        )


def encode(image: Striped, output: Format, level: PngLevel = "fast") -> bytes:
    """Encode an image; 16 bits stay in PNG alone, whose compression `level` is for."""
    rows, columns, channels = image.shape
    if output == "png":
        writer = PngWriter(columns, rows, channels, image.dtype, level)
        for strip in image.strips:
            writer.write(strip)
        return writer.finish()
    bgr = np.empty(image.shape, np.uint8)
    order = cv2.COLOR_RGB2BGR if channels == 3 else cv2.COLOR_RGBA2BGRA
    start = 0
    for strip in image.strips:
        part = bgr[start : start + len(strip)]
        start += len(strip)
        narrow = strip if strip.itemsize == 1 else cv2.convertScaleAbs(strip, alpha=1 / 257)
        cv2.cvtColor(narrow.reshape(part.shape), order, dst=part)
    done, data = cv2.imencode(SUFFIXES[output], bgr, _PARAMETERS[output])
    if not done:
        raise RuntimeError(f"OpenCV could not encode {bgr.shape} as {output}")
    return data.tobytes()
