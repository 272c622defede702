"""Encoding of coloured pixels to PNG, JPEG or WebP."""

from typing import Literal

import cv2

from app.errors import InvalidOptions
from app.images.photo import Photo, Pixels
from app.images.png import PngWriter

Format = Literal["png", "jpeg", "webp"]
MEDIA_TYPES: dict[Format, str] = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
EXTENSIONS: dict[Format, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}

_WEBP_MAX_SIDE = 16_383
_STRIP = 1 << 15  # pixels
_PARAMETERS: dict[Format, list[int]] = {
    "png": [],
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


def encode(bgr: Pixels, output: Format) -> bytes:
    """Encode uint8 or uint16 [H, W, 3 or 4], blue-green-red(-alpha); 16 bits stay in PNG alone."""
    if output == "png":
        return _png(bgr)
    if bgr.itemsize == 2:
        bgr = cv2.convertScaleAbs(bgr, alpha=1 / 257)  # type: ignore[assignment]
    done, data = cv2.imencode(EXTENSIONS[output], bgr, _PARAMETERS[output])
    if not done:
        raise RuntimeError(f"OpenCV could not encode {bgr.shape} as {output}")
    return data.tobytes()


def _png(bgr: Pixels) -> bytes:
    rows, columns, channels = bgr.shape
    writer = PngWriter(columns, rows, channels, bgr.dtype.type)
    order = cv2.COLOR_BGR2RGB if channels == 3 else cv2.COLOR_BGRA2RGBA
    step = max(1, _STRIP // columns)
    for i in range(0, rows, step):
        writer.write(cv2.cvtColor(bgr[i : i + step], order).reshape(-1, columns, channels))  # type: ignore[arg-type]
    return writer.finish()
