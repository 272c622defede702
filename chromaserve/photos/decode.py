"""Decoding of untrusted bytes to a photo's lightness and alpha."""

import numpy as np
from PIL import Image

from chromaserve.color.lab import srgb_to_grey, srgb_to_L
from chromaserve.photos.header import PIL_ERRORS, open_image
from chromaserve.photos.photo import Depth, Header, Photo, Pixels, empty, strips, upright
from chromaserve.photos.pixels import Strips, open_pixels
from chromaserve.photos.thumbnail import Thumbnail
from chromaserve.store.contract import NETWORK_SIZE

_ORIENTATION = 0x0112


def decode(data: bytes, header: Header) -> Photo:
    """Decode a photo whose header `inspect` has passed: first frame, upright, sRGB lightness.

    Beside what the decoder itself holds, only a photo's grey and alpha are kept at full size.

    Raises:
        DamagedPhoto: the file is truncated or corrupt; there are no partial results.
        UnsupportedSamples: a kind of pixel that cannot be converted.
    """
    with open_image(data, header.format) as image:
        pixels = open_pixels(data, image, header)
        planes = Planes(image.height, image.width, np.uint16 if header.bits == 16 else np.uint8)
        planes.fill(pixels)
        del pixels
        # OpenCV and Pillow turn a TIFF upright. Pillow decodes a PNG to tell that there is no EXIF.
        orientation = exif_orientation(image) if header.may_turn else 1
    return planes.photo(orientation)


class Planes:
    """What is kept of a photo, filled strip by strip."""

    def __init__(self, rows: int, columns: int, depth: Depth) -> None:
        """Prepare for a photo of rows × columns whose colours are to be of this depth."""
        self._shape, self._depth = (rows, columns), depth
        self._grey: Pixels | None = None
        self._alpha: Pixels | None = None
        self._thumbnail = Thumbnail(rows, columns, NETWORK_SIZE, NETWORK_SIZE)

    def fill(self, pixels: Strips) -> None:
        """Take the whole photo."""
        for start, stop in strips(*self._shape):
            self.add(start, *pixels(start, stop))

    def add(self, start: int, colours: Pixels, alpha: Pixels | None) -> None:
        """Take rows from `start` on: grey [n, W] or sRGB [n, W, 3], and alpha [n, W]."""
        part = slice(start, start + len(colours))
        grey = colours if colours.ndim == 2 else srgb_to_grey(colours)
        if self._grey is None:
            self._grey = empty(self._shape, grey.dtype.type)
        self._grey[part] = grey
        if alpha is not None:
            if self._alpha is None:
                self._alpha = empty(self._shape, self._depth)
            self._alpha[part] = _as_depth(alpha, self._depth)
        self._thumbnail.add(start, srgb_to_L(grey))

    def photo(self, orientation: int) -> Photo:
        """The photo, turned upright."""
        assert self._grey is not None  # a photo has a row
        # The network's input is square, so it can be turned after it was squeezed.
        thumbnail = upright(np.clip(self._thumbnail.finish(), 0, 100), orientation)
        self._grey = upright(self._grey, orientation)
        if self._alpha is not None:
            self._alpha = upright(self._alpha, orientation)
        return Photo(self._grey, self._alpha, self._depth, thumbnail)


def exif_orientation(image: Image.Image) -> int:
    """EXIF orientation still to be undone, 1 if there is none or it is nonsense."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except PIL_ERRORS:
        return 1
    return orientation if orientation in range(1, 9) else 1


def _as_depth(alpha: Pixels, depth: Depth) -> Pixels:
    return alpha if alpha.dtype == depth else alpha.astype(np.uint16) * np.uint16(257)
