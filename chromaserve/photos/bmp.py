"""BMP: which bitmaps are read, and the colour profile that Pillow does not look for."""

import struct

from chromaserve.errors import UnsupportedFormat, UnsupportedSamples
from chromaserve.photos.structure import Unreadable

_SHORT, _OS2, _MASKS, _BITS = 12, 64, 3, (1, 4, 8, 16, 24, 32)
_ALPHA, _RUNS, _HEAD = 56, (1, 2), 1 << 16
_LAYOUTS = {
    16: ((0xF800, 0x7E0, 0x1F, 0), (0x7C00, 0x3E0, 0x1F, 0)),
    24: ((0xFF0000, 0xFF00, 0xFF, 0),),
    32: (
        (0xFF0000, 0xFF00, 0xFF, 0),
        (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
        (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
        (0xFF000000, 0xFF0000, 0xFF00, 0),
        (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
        (0xFF000000, 0xFF00, 0xFF, 0),
        (0xFF000000, 0xFF00, 0xFF, 0xFF0000),
    ),
}
"""Where red, green, blue and alpha are in a pixel, of the ways that Pillow reads."""
_WITH_PROFILE, _EMBEDDED = b"\x7c", b"DEBM"
"""The size of a head that may say where a profile is (BITMAPV5HEADER), and that it is there."""
_IN_BMP = {4: "JPEG", 5: "PNG"}


def check_bmp(data: bytes) -> None:
    """Refuse bitmaps of the kinds that are whole, and that Pillow does not read.

    Raises:
        UnsupportedFormat: packed in a way of printers' or of OS/2.
        UnsupportedSamples: pixels of an odd size.
        Unreadable: far more runs than pixels.
    """
    size, bits, packing = *struct.unpack_from("<I", data, 14), *struct.unpack_from("<HI", data, 28)
    if size == _SHORT:
        return
    if size != _OS2 and packing in _IN_BMP:
        kind = _IN_BMP[packing]
        raise UnsupportedFormat(f"This BMP file has a {kind} file in it. Save it as {kind} alone.")
    if packing > (2 if size == _OS2 else 3):
        raise UnsupportedFormat(
            f"This BMP file is packed in a way (number {packing}) that is not read. Save it as PNG."
        )
    width, height = struct.unpack_from("<2i", data, 18)
    if packing in _RUNS and len(data) > 4 * abs(width * height) + _HEAD:
        raise Unreadable  # runs of nothing, each of which is a step of Python in Pillow
    if bits not in _BITS:
        raise UnsupportedSamples(f"The BMP file has {bits} bits a pixel. Save it as PNG.")
    if packing == _MASKS and bits > 8:
        masks = struct.unpack_from("<3I", data, 54)
        if any(mask.bit_count() not in (5, 6, 8) for mask in masks):
            raise UnsupportedSamples(
                "The BMP file has colours of other than 5, 6 or 8 bits. Save it as PNG."
            )
        alpha = struct.unpack_from("<I", data, 66)[0] if bits == 32 and size >= _ALPHA else 0
        if (*masks, alpha) not in _LAYOUTS[bits]:
            raise UnsupportedSamples(
                "The BMP file has its colours in an order that is not read. Save it as PNG."
            )


def bmp_info(data: bytes) -> dict[str, bytes]:
    """Its profile, where it has one, as Pillow names it."""
    if data[14:15] != _WITH_PROFILE or data[70:74] != _EMBEDDED:
        return {}
    start, size = struct.unpack_from("<2I", data, 126)
    return {"icc_profile": data[14 + start : 14 + start + size]}
