"""ICC profiles of a few hundred bytes (ICC.1:2022), as results carry them."""

import struct
from functools import cache

_D50 = (0.9642, 1.0, 0.8249)
_SRGB_COLUMNS = (  # IEC 61966-2-1's primaries, adapted to D50 by Bradford's matrix
    (b"rXYZ", (0.4360657, 0.2224884, 0.0139160)),
    (b"gXYZ", (0.3851471, 0.7168732, 0.0970764)),
    (b"bXYZ", (0.1430664, 0.0606079, 0.7140961)),
)
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_ADAPTATION = (
    *(1.047882, 0.022919, -0.050216),
    *(0.029587, 0.990479, -0.017059),
    *(-0.009232, 0.015076, 0.751678),
)
_HEADER = 128


@cache
def srgb_profile() -> bytes:
    """A display profile that is sRGB."""
    colours = [(tag, _xyz(value)) for tag, value in _SRGB_COLUMNS]
    curves = [(tag, _curve()) for tag in (b"rTRC", b"gTRC", b"bTRC")]
    return _profile(b"RGB ", "sRGB", [*colours, *curves])


@cache
def grey_profile() -> bytes:
    """A grey profile with sRGB's curve."""
    return _profile(b"GRAY", "Grey, sRGB curve", [(b"kTRC", _curve())])


def _profile(space: bytes, name: str, tags: list[tuple[bytes, bytes]]) -> bytes:
    tags = [
        (b"desc", _text(name)),
        (b"cprt", _text("CC0")),
        (b"wtpt", _xyz(_D50)),
        (b"chad", b"sf32" + bytes(4) + _fixed(_ADAPTATION)),
        *tags,
    ]
    table, body = struct.pack(">I", len(tags)), b""
    start = _HEADER + 4 + 12 * len(tags)
    places: dict[bytes, int] = {}  # equal ones are written once
    for tag, data in tags:
        if data not in places:
            places[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
        table += tag + struct.pack(">II", places[data], len(data))
    head = struct.pack(">I4xI4s4s4s", start + len(body), 0x04300000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp"
    head = head.ljust(68, b"\0") + _fixed(_D50)
    return head.ljust(_HEADER, b"\0") + table + body


def _fixed(values: tuple[float, ...]) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _xyz(value: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(value)


def _curve() -> bytes:
    return b"para" + bytes(4) + struct.pack(">HH", 3, 0) + _fixed(_SRGB_CURVE)


def _text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(data), 28) + data
