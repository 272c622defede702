"""Encoding of coloured pixels to PNG, JPEG, WebP or TIFF."""

import cv2
import numpy as np

from chromaserve.errors import InvalidOptions
from chromaserve.photos.formats import SUFFIXES, Format
from chromaserve.photos.metadata import NOTHING, Metadata
from chromaserve.photos.photo import Photo, Pixels, Striped
from chromaserve.photos.png import PngLevel, png
from chromaserve.photos.tagged import png_head, tagged_jpeg, tagged_webp
from chromaserve.photos.tiff import TiffWriter

_MOST_OF_A_SIDE: dict[Format, tuple[str, int]] = {
    "jpeg": ("JPEG", 65_500),
    "webp": ("WebP", 16_383),
}
QUALITY: dict[Format, int] = {"jpeg": 95, "webp": 90}
"""Where it is not chosen."""


def check_format(photo: Photo, output: Format) -> None:
    """Raise InvalidOptions where the output format cannot hold the photo."""
    if output == "jpeg" and photo.alpha is not None:
        raise InvalidOptions(
            "The photo has transparency, which JPEG cannot hold. Ask for format=png, webp or tiff."
        )
    name, most = _MOST_OF_A_SIDE.get(output, ("", 0))
    if name and max(photo.size) > most:
        raise InvalidOptions(
            f"{name} holds at most {most:,} pixels a side, and the photo is"
            f" {photo.size[0]} × {photo.size[1]}. Ask for format=png or tiff."
        )


def encode(
    image: Striped,
    output: Format,
    level: PngLevel = "fast",
    *,
    quality: int | None = None,
    metadata: Metadata = NOTHING,
) -> bytes:
    """Encode an image, in strips on as many of its cores as are free; the bytes are the same.

    Args:
        image: whose 16 bits stay in PNG and TIFF.
        output: its format.
        level: of compression, for PNG and TIFF.
        quality: for JPEG and WebP, 1 to 100.
        metadata: goes along.
    """
    if output == "tiff":
        pages = TiffWriter()
        pages.add(image, metadata, level)
        return pages.finish()
    if output == "png":
        return png(image, level, png_head(metadata))
    rows, columns, channels = image.shape
    bgr = np.empty(image.shape, np.uint8)
    order = cv2.COLOR_RGB2BGR if channels == 3 else cv2.COLOR_RGBA2BGRA

    def work(start: int, strip: Pixels) -> None:
        part = bgr[start : start + len(strip)]
        narrow = strip if strip.itemsize == 1 else cv2.convertScaleAbs(strip, alpha=1 / 257)
        cv2.cvtColor(narrow.reshape(part.shape), order, dst=part)

    image.each(work, lambda _: None)
    chosen = QUALITY[output] if quality is None else quality
    done, data = cv2.imencode(SUFFIXES[output], bgr, _parameters(output, chosen))
    if not done:
        raise RuntimeError(f"OpenCV could not encode {bgr.shape} as {output}")
    if output == "jpeg":
        return tagged_jpeg(data.tobytes(), metadata)
    return tagged_webp(data.tobytes(), columns, rows, metadata)


def _parameters(output: Format, quality: int) -> list[int]:
    if output == "webp":
        return [cv2.IMWRITE_WEBP_QUALITY, quality]
    return [
        *(cv2.IMWRITE_JPEG_QUALITY, quality),
        # Chroma at full resolution: it is what this service makes.
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ]
