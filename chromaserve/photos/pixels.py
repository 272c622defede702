"""Decoded pixels of any kind as strips of sRGB or grey, with alpha."""

from collections.abc import Callable
from io import BytesIO
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from chromaserve.errors import UnsupportedSamples
from chromaserve.photos.header import PIL_ERRORS, damaged, open_image
from chromaserve.photos.photo import Header, Pixels

# Its complaints about damaged files are our 422s.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

Strips = Callable[[int, int], tuple[Pixels, Pixels | None]]
"""From a first row and the row after the last to grey [n, W] or sRGB [n, W, 3], and alpha."""

_TIFF_PHOTOMETRIC, _TIFF_EXTRA_SAMPLES = 262, 338
_WHITE_IS_ZERO, _ASSOCIATED = 0, 1
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_ICC_MODES = {b"GRAY": "L", b"RGB ": "RGB", b"CMYK": "CMYK"}


def open_pixels(data: bytes, image: Image.Image, header: Header) -> Strips:
    """Decode a photo, and hand out its pixels as long as `image`, of the same data, stays open.

    Raises:
        DamagedPhoto: the file is truncated or corrupt.
        UnsupportedSamples: a kind of pixel that cannot be converted; the strips may raise it too.
    """
    profile = foreign_profile(image)
    if header.bits == 16 and not image.mode.startswith("I;16") and profile is None:
        return _wide_colours(data, image, header)
    try:
        if header.format == "PNG":
            # Pillow decodes without a look at the checksums of the pixels' chunks.
            with open_image(data, header.format) as checked:
                checked.verify()
        return image_pixels(image, profile)
    except (*PIL_ERRORS, MemoryError) as error:
        raise damaged(header.format) from error


def image_pixels(image: Image.Image, profile: bytes | None) -> Strips:
    """Load a Pillow image, and hand out its pixels, in sRGB by its profile if there is one.

    Raises:
        OSError, and whatever else Pillow raises: the image cannot be loaded.
    """
    image.load()
    return _wide_greys(image) if image.mode.startswith("I;16") else _pillow_pixels(image, profile)


def _pillow_pixels(image: Image.Image, profile: bytes | None) -> Strips:
    """Everything but 16 bits."""
    to_srgb: dict[str, ImageCms.ImageCmsTransform | None] = {}

    def convert(strip: Image.Image) -> tuple[Image.Image, Image.Image | None]:
        strip = _plain(strip)
        alpha = strip.getchannel("A") if "A" in strip.getbands() else None
        bare = {"LA": "L", "RGBA": "RGB"}.get(strip.mode, strip.mode)
        if bare != strip.mode:
            strip = strip.convert(bare)
        if bare not in to_srgb:
            to_srgb[bare] = _transform(profile, bare)
        transform = to_srgb[bare]
        if transform is not None:
            return cast(Image.Image, ImageCms.applyTransform(strip, transform)), alpha
        return strip if bare == "L" else strip.convert("RGB"), alpha

    def strips(start: int, stop: int) -> tuple[Pixels, Pixels | None]:
        try:
            colours, alpha = convert(image.crop((0, start, image.width, stop)))
        except (*PIL_ERRORS, ImageCms.PyCMSError) as error:
            raise UnsupportedSamples(
                f"Pixels of the kind {image.mode} cannot be converted. Save the photo as grey or"
                " RGB."
            ) from error
        return np.asarray(colours), None if alpha is None else np.asarray(alpha)

    return strips


def _plain(image: Image.Image) -> Image.Image:
    """The image as L, LA, RGB, RGBA or CMYK: palettes, single bits and colour keys resolved."""
    keyed = "transparency" in image.info
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if keyed or image.mode == "PA" else "RGB")
    if image.mode in ("1", "L"):
        return image.convert("LA" if keyed else "L")
    if image.mode in ("LA", "RGBA", "CMYK") or (image.mode == "RGB" and not keyed):
        return image
    return image.convert({"La": "LA", "RGBX": "RGB", "YCbCr": "RGB"}.get(image.mode, "RGBA"))


def _transform(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From the embedded profile to sRGB; None where there is nothing to do."""
    if profile is None or _ICC_MODES.get(profile[16:20]) != mode:
        return None
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        return ImageCms.buildTransform(source, _SRGB, mode, "RGB")
    except (ImageCms.PyCMSError, OSError):
        return None  # a broken profile says nothing: take the numbers as sRGB, as browsers do


def foreign_profile(image: Image.Image) -> bytes | None:
    """The embedded ICC profile, unless there is none or it is sRGB itself."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or len(profile) < 128:
        return None
    try:
        said = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError):
        return None
    return None if "srgb" in said.lower() else profile


def _wide_greys(image: Image.Image) -> Strips:
    """Grey uint16 and, of a colour key, alpha."""
    key = image.info.get("transparency")
    negative = _tag(image, _TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO

    def strips(start: int, stop: int) -> tuple[Pixels, Pixels | None]:
        grey: NDArray[np.uint16] = np.asarray(image.crop((0, start, image.width, stop)))
        grey = grey.astype(np.uint16, copy=False)
        alpha = np.where(grey == key, 0, 65535).astype(np.uint16) if isinstance(key, int) else None
        # Pillow inverts these for 8 bits alone.
        return 65535 - grey if negative else grey, alpha

    return strips


def _wide_colours(data: bytes, image: Image.Image, header: Header) -> Strips:
    """RGB uint16 and alpha: Pillow would round these to 8 bits, OpenCV does not."""
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise damaged(header.format) from error
    if bgr is None or bgr.shape[:2] != (image.height, image.width):
        raise damaged(header.format)
    if bgr.dtype != np.uint16 or bgr.ndim != 3 or bgr.shape[2] not in (3, 4):
        raise UnsupportedSamples("Save the photo with 8 bits a channel and send it again.")
    pixels = cast(NDArray[np.uint16], bgr)
    order = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGB
    opaque = pixels.shape[2] == 3 or image.mode == "RGB"
    associated = _tag(image, _TIFF_EXTRA_SAMPLES) == _ASSOCIATED

    def strips(start: int, stop: int) -> tuple[Pixels, Pixels | None]:
        rgb = cast(NDArray[np.uint16], cv2.cvtColor(pixels[start:stop], order))
        if opaque:
            return rgb, None
        alpha = pixels[start:stop, :, 3]
        if associated:
            scale = np.float32(65535) / np.maximum(alpha, 1)
            rgb = np.minimum(rgb * scale[..., np.newaxis], 65535).astype(np.uint16)
        return rgb, alpha

    return strips


def _tag(image: Image.Image, number: int) -> int | None:
    value: Any = getattr(image, "tag_v2", {}).get(number)
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else None
