"""Pixels of a Pillow image as strips of numbers, with alpha: as L, RGB or CMYK, or 16 bits."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chromaserve.errors import UnsupportedSamples
from chromaserve.photos.header import PIL_ERRORS
from chromaserve.photos.photo import Pixels, Strips
from chromaserve.photos.profiles import SRGB, Profile

_TIFF_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0


def image_pixels(
    image: Image.Image, profile_for: Callable[[str], Profile]
) -> tuple[Strips, Profile]:
    """Load a Pillow image, and hand out its pixels, with what they mean.

    Args:
        image: what to load.
        profile_for: gives what numbers of a mode mean: L, RGB or CMYK.

    Raises:
        OSError, and whatever else Pillow raises: the image cannot be loaded.
    """
    image.load()
    if image.mode.startswith("I;16"):
        return _wide_greys(image), profile_for("L")
    plain = _plain(image.crop((0, 0, 1, 1)))
    bare = {"LA": "L", "RGBA": "RGB"}.get(plain.mode, plain.mode)
    profile = profile_for(bare)
    wanted = "RGB" if bare == "CMYK" and profile is SRGB else bare
    return _pillow_pixels(image, wanted), profile


def _pillow_pixels(image: Image.Image, wanted: str) -> Strips:
    """Everything but 16 bits, as L, RGB or CMYK."""

    def strips(start: int, stop: int) -> tuple[Pixels, Pixels | None]:
        try:
            strip = _plain(_rows(image, start, stop))
            alpha = strip.getchannel("A") if "A" in strip.getbands() else None
            colours = strip if strip.mode == wanted else strip.convert(wanted)
        except PIL_ERRORS as error:
            raise UnsupportedSamples(
                f"Pixels of the kind {image.mode} cannot be converted. Save the photo as grey or"
                " RGB."
            ) from error
        return np.asarray(colours), None if alpha is None else np.asarray(alpha)

    return strips


def _rows(image: Image.Image, start: int, stop: int) -> Image.Image:
    """As `crop`, which would hold each strip against the limit that the program has set Pillow."""
    box = (0, start, image.width, stop)
    return image.resize((image.width, stop - start), Image.Resampling.NEAREST, box)


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


def _wide_greys(image: Image.Image) -> Strips:
    """Grey uint16 and, of a colour key, alpha."""
    key = image.info.get("transparency")
    photometric = getattr(image, "tag_v2", {}).get(_TIFF_PHOTOMETRIC)
    negative = photometric in (_WHITE_IS_ZERO, (_WHITE_IS_ZERO,))

    def strips(start: int, stop: int) -> tuple[Pixels, Pixels | None]:
        grey: NDArray[np.uint16] = np.asarray(_rows(image, start, stop))
        grey = grey.astype(np.uint16, copy=False)
        alpha = np.where(grey == key, 0, 65535).astype(np.uint16) if isinstance(key, int) else None
        # Pillow inverts these for 8 bits alone.
        return 65535 - grey if negative else grey, alpha

    return strips


def on_clear_ground(strips: Strips, box: tuple[int, int, int, int]) -> Strips:
    """With nothing outside of a box (left, top, right, bottom), as browsers show what a GIF's first
    picture leaves of the screen."""
    left, top, right, bottom = box

    def made(start: int, stop: int) -> tuple[Pixels, Pixels | None]:
        colours, alpha = strips(start, stop)
        inside = np.zeros(colours.shape[:2], np.uint8)
        inside[max(0, top - start) : max(0, bottom - start), left:right] = 255
        return colours, inside if alpha is None else np.minimum(alpha, inside)

    return made
