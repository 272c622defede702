"""TIFFs as Pillow reads them, but for tags that it takes otherwise than libtiff and TIFF 6.0 do."""

import struct
import warnings
from collections.abc import Mapping, Sequence
from ctypes import CDLL
from itertools import accumulate
from pathlib import Path
from typing import Any

import PIL
from PIL import Image, ImagePalette
from PIL.ImageFile import _Tile
from PIL.TiffImagePlugin import TiffImageFile

from chromaserve.errors import UnsupportedSamples

# It writes what is wrong with files to standard error, as often as they like; here it is a problem.
for _library in (Path(PIL.__file__).parents[1] / "pillow.libs").glob("libtiff*"):
    CDLL(str(_library)).TIFFSetErrorHandler(None)
# Pillow does so with each tag of EXIF that it cannot read.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

_COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 259, 262, 266
_SAMPLES, _COLOUR_MAP, _FORMAT = 277, 320, 339
_PLAIN, _OLD_JPEG, _JPEG = 1, 6, 7
_YCBCR = 6
_TILE_WIDTH = 322
_WHOLE, _UNDEFINED = 1, 4


class Tiff(TiffImageFile):
    """A file's pages; their sizes are held against limits by whoever opens them."""

    def _setup(self) -> None:
        tags: Any = self.tag_v2
        packed = tags.get(_COMPRESSION, _PLAIN)
        if packed in (_OLD_JPEG, _JPEG):  # whose bytes are in their own order, whatever is said
            tags[_FILL_ORDER] = 1
        if packed == _OLD_JPEG and tags.get(_SAMPLES) == 1:  # Pillow takes it for colour
            tags[_COMPRESSION] = _JPEG
        if set(tags.get(_FORMAT, ())) == {_UNDEFINED}:  # as if nothing were said (section 19)
            tags[_FORMAT] = _WHOLE
        try:
            super()._setup()
        except SyntaxError as error:
            if "pixel mode" not in str(error):
                raise
            raise UnsupportedSamples(
                "The TIFF has channels of a kind that is not read. Save it as 8 or 16 bits a"
                " channel, grey or RGB."
            ) from error
        if tags.get(_PHOTOMETRIC) == _YCBCR and packed == _PLAIN:  # Pillow knows no subsampling
            self._mode, self.use_load_libtiff = "RGB", True
            place = ("RGBX", False, tags.offset)
            self.tile = [_Tile("libtiff", (0, 0, *self._tile_size), 0, place)]
        colours = tags.get(_COLOUR_MAP, ()) if self.mode == "P" else ()
        if colours and max(colours) < 256:  # of 65,535; some programs write them so
            self.palette = ImagePalette.raw("RGB;L", bytes(colours))

    def load_prepare(self) -> None:
        """As Pillow's, without its limit, which is the program's."""
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        super().load_prepare()


def put_together(tags: Mapping[int, int], parts: Sequence[bytes | memoryview]) -> bytes:
    """A file of one page with these strips, or tiles, and tags of a number each."""
    places, sizes = (324, 325) if _TILE_WIDTH in tags else (273, 279)
    behind = 8 + 2 + 12 * (len(tags) + 2) + 4
    lengths = [len(part) for part in parts]
    starts = list(accumulate(lengths[:-1], initial=behind + 8 * len(parts)))
    said = {**{tag: [number] for tag, number in tags.items()}, places: starts, sizes: lengths}
    rows, body = b"", b""
    for tag, numbers in sorted(said.items()):
        raw = struct.pack(f"<{len(numbers)}I", *numbers)
        inside = raw if len(raw) == 4 else struct.pack("<I", behind + len(body))
        rows += struct.pack("<HHI", tag, 4, len(numbers)) + inside
        body += raw if len(raw) > 4 else b""
    head = b"II*\0" + struct.pack("<IH", 8, len(said)) + rows + bytes(4)
    return b"".join([head, body.ljust(8 * len(parts)), *parts])
