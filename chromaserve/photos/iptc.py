"""IPTC's captions (IIM 4.2), which are kept in several wrappings."""

import struct

import numpy as np

_MARK = b"\x1c"
"""That every dataset begins with."""
_MOST_BLOCKS = 10_000
_CAPTIONS = 0x0404
"""Among Photoshop's blocks."""
_HEAD = b"Photoshop 3.0\0"


def datasets(data: bytes) -> bytes:
    """IIM's datasets, of Photoshop's blocks or as they are; empty where there are none.

    Some programs of TIFF wrote them as numbers of four bytes, of the other order: these are turned
    back, as ExifTool does.
    """
    at = len(_HEAD) if data.startswith(_HEAD) else 0
    if not data.startswith(b"8BIM", at):
        if data[3:4] == _MARK != data[:1]:
            data += bytes(-len(data) % 4)
            data = np.frombuffer(data, "<u4").astype(">u4").tobytes()
        return data if data.startswith(_MARK) else b""
    for _ in range(_MOST_BLOCKS):
        if data[at : at + 4] != b"8BIM" or at + 12 > len(data):
            break
        kind = int.from_bytes(data[at + 4 : at + 6], "big")
        name = data[at + 6] + 2 & ~1
        size = (
            struct.unpack_from(">I", data, at + 6 + name)[0] if at + 10 + name <= len(data) else 0
        )
        start = at + 10 + name
        if kind == _CAPTIONS:
            return data[start : start + size]
        at = start + (size + 1 & ~1)
    return b""


def eight_bim(iptc: bytes) -> bytes:
    """IIM's datasets as a block of Photoshop's."""
    return b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc + bytes(len(iptc) % 2)
