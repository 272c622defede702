"""Decoding of untrusted bytes to a photo's lightness and alpha."""

import warnings
from io import BytesIO
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from app.errors import UnsupportedSamples
from app.images.limits import PIL_ERRORS, damaged, open_image
from app.images.photo import Header, Photo, Pixels, upright
from model_store.lab import srgb_to_L

# Its complaints about damaged files are our 422s.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_ORIENTATION, _TIFF_PHOTOMETRIC, _TIFF_EXTRA_SAMPLES = 0x0112, 262, 338
_WHITE_IS_ZERO, _ASSOCIATED = 0, 1
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_ICC_MODES = {b"GRAY": "L", b"RGB ": "RGB", b"CMYK": "CMYK"}


def decode(data: bytes, header: Header) -> Photo:
    """Decode a photo whose header `inspect` has passed: first frame, upright, sRGB lightness.

    Raises:
        DamagedPhoto: the file is truncated or corrupt; there are no partial results.
        UnsupportedSamples: a kind of pixel that cannot be converted.
    """
    with open_image(data, header.format) as image, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if header.bits == 16 and not image.mode.startswith("I;16") and not _profile(image):
            rgb, alpha = _decode_16_bit_colours(data, image, header)
            # OpenCV turns a TIFF upright (and tells so nowhere), but not a PNG.
            orientation = 1 if header.format == "TIFF" else _orientation(image)
        else:
            rgb, alpha = _decode_with_pillow(data, image, header)
            orientation = _orientation(image)
    L = upright(srgb_to_L(rgb), orientation)
    depth = np.uint16 if header.bits == 16 else np.uint8
    if alpha is not None:
        alpha = _as_depth(upright(alpha, orientation), depth)
    return Photo(L, alpha, depth)


def _decode_with_pillow(
    data: bytes, image: Image.Image, header: Header
) -> tuple[Pixels, Pixels | None]:
    """Pixels [H, W] or [H, W, 3] in sRGB and alpha [H, W]; everything but 16-bit colours."""
    try:
        if header.format == "PNG":
            # Pillow decodes without a look at the checksums of the pixels' chunks.
            with open_image(data, header.format) as checked:
                checked.verify()
        image.load()
    except (*PIL_ERRORS, MemoryError) as error:
        raise damaged(header.format) from error
    if image.mode.startswith("I;16"):
        return _sixteen_bit_grey(image)
    try:
        image = _plain(image)
        alpha = image.getchannel("A") if "A" in image.getbands() else None
        colours = _to_srgb(image)
    except PIL_ERRORS as error:
        raise UnsupportedSamples(
            f"Pixels of the kind {image.mode} cannot be converted. Save the photo as grey or RGB."
        ) from error
    return np.asarray(colours), None if alpha is None else np.asarray(alpha)


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


def _to_srgb(image: Image.Image) -> Image.Image:
    """Colours without alpha, L or RGB, through the embedded profile where it is not sRGB."""
    bare = {"LA": "L", "RGBA": "RGB"}.get(image.mode, image.mode)
    profile = _profile(image)
    if bare != image.mode:
        image = image.convert(bare)
    if profile is not None and _ICC_MODES.get(profile[16:20]) == bare:
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            return cast(
                Image.Image, ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
            )
        except (ImageCms.PyCMSError, OSError):
            pass  # a broken profile says nothing: take the numbers as sRGB, as browsers do
    return image if bare == "L" else image.convert("RGB")


def _profile(image: Image.Image) -> bytes | None:
    """The embedded ICC profile, unless there is none or it is sRGB itself."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or len(profile) < 128:
        return None
    try:
        said = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError):
        return None
    return None if "srgb" in said.lower() else profile


def _sixteen_bit_grey(image: Image.Image) -> tuple[Pixels, Pixels | None]:
    grey: NDArray[np.uint16] = np.asarray(image).astype(np.uint16)
    key = image.info.get("transparency")
    alpha = np.where(grey == key, 0, 65535).astype(np.uint16) if isinstance(key, int) else None
    if _tag(image, _TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
        grey = 65535 - grey  # Pillow inverts these for 8 bits alone
    return grey, alpha


def _decode_16_bit_colours(
    data: bytes, image: Image.Image, header: Header
) -> tuple[Pixels, Pixels | None]:
    """RGB uint16 [H, W, 3] and alpha: Pillow would round these to 8 bits, OpenCV does not."""
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise damaged(header.format) from error
    if bgr is None or bgr.shape[:2] != (image.height, image.width):
        raise damaged(header.format)
    if bgr.dtype != np.uint16 or bgr.ndim != 3 or bgr.shape[2] not in (3, 4):
        raise UnsupportedSamples("Save the photo with 8 bits a channel and send it again.")
    pixels = cast(NDArray[np.uint16], bgr)
    rgb = np.ascontiguousarray(pixels[..., 2::-1])
    if pixels.shape[2] == 3 or image.mode == "RGB":
        return rgb, None
    alpha = np.ascontiguousarray(pixels[..., 3])
    if _tag(image, _TIFF_EXTRA_SAMPLES) == _ASSOCIATED:
        scale = np.float32(65535) / np.maximum(alpha, 1)
        rgb = np.minimum(rgb * scale[..., np.newaxis], 65535).astype(np.uint16)
    return rgb, alpha


def _tag(image: Image.Image, number: int) -> int | None:
    value: Any = getattr(image, "tag_v2", {}).get(number)
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else None


def _orientation(image: Image.Image) -> int:
    """EXIF orientation still to be undone, 1 if there is none or it is nonsense."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except PIL_ERRORS:
        return 1
    return orientation if orientation in range(1, 9) else 1


def _as_depth(alpha: Pixels, depth: type[np.uint8] | type[np.uint16]) -> Pixels:
    return alpha if alpha.dtype == depth else alpha.astype(np.uint16) * np.uint16(257)
