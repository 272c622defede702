"""Colour profiles of files: embedded ICC, and a PNG's cICP, gAMA and cHRM where there is none."""

import struct
from collections.abc import Mapping
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import ImageCms

from chromaserve.color.gamut import XYZ_FROM_RGB
from chromaserve.errors import UnsupportedSamples
from chromaserve.photos.profiles import SRGB, STEPS, Curves, Profile, Tables, srgb_curve

_SPACES = {b"GRAY": "L", b"RGB ": "RGB", b"CMYK": "CMYK"}
_MOST_TAGS, _MOST_BYTES = 200, 1 << 18
"""Of a profile; the bytes are a tag's, of which a curve has half as many."""
_TO_TABLES = (b"A2B0", b"A2B1", b"D2B0")
_WHITE_D50 = np.array([0.9642, 1.0, 0.8249])
_WHITE_D65 = np.array([0.3127, 0.3290])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_GAMMA_LIKE_SRGB = (0.4318, 0.4773)
"""1/2.2 and a twentieth around it, as libpng has it: who writes it means sRGB."""
_SRGB_CHROMATICITIES = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_PRIMARIES = {  # ITU-T H.273, table 2
    1: _SRGB_CHROMATICITIES,
    9: (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    12: (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
_HIGH_DYNAMIC_RANGE = (16, 18)
_OF_CAMERAS = (1, 6, 14, 15)

Numbers = NDArray[np.float64]
Said = bytes | memoryview
"""A tag's value; several may be the same bytes."""


class _Unusable(ValueError):  # noqa: N818 - reads as a fact
    """The profile says nothing that can be used."""


def profile_of(icc: object, mode: str) -> Profile:
    """What an embedded profile says of pixels of a mode: L, RGB or CMYK.

    A profile that is broken, or for other pixels, says nothing: sRGB, as browsers take it.
    """
    if not isinstance(icc, bytes) or len(icc) < 132 or _SPACES.get(icc[16:20]) != mode:
        return SRGB
    try:
        tags = _tags(icc)
        if mode == "CMYK" or any(tag in tags for tag in _TO_TABLES):
            if mode == "L":  # whose tables Pillow does not take to 16 bits
                raise _Unusable
            return Tables(ImageCms.ImageCmsProfile(BytesIO(icc)), mode)
        found = _grey(tags, icc[20:24]) if mode == "L" else _colours(tags)
    except (_Unusable, struct.error, ImageCms.PyCMSError, OSError, ValueError):
        return SRGB
    return SRGB if found.is_srgb else found


def profile_of_png(chunks: Mapping[bytes, bytes], mode: str) -> Profile:
    """What a PNG's own chunks say where it has no ICC profile (PNG, third edition, 4.3).

    Raises:
        UnsupportedSamples: high dynamic range, which has no greys of paper.
    """
    try:
        if len(chunks.get(b"cICP", b"")) == 4:
            primaries, transfer = chunks[b"cICP"][:2]
            return _by_numbers(primaries, transfer, mode)
        if b"sRGB" in chunks or b"gAMA" not in chunks:
            return SRGB
        gamma = struct.unpack(">I", chunks[b"gAMA"])[0] / 100_000
        points = np.array(_SRGB_CHROMATICITIES)
        if b"cHRM" in chunks:
            points = np.array(struct.unpack(">8I", chunks[b"cHRM"])) / 100_000
        plain = np.abs(points - _SRGB_CHROMATICITIES).max() < 0.005
        if not 0.01 < gamma < 100:
            raise _Unusable
        if _GAMMA_LIKE_SRGB[0] <= gamma <= _GAMMA_LIKE_SRGB[1] and (plain or mode == "L"):
            return SRGB
        return _made(STEPS ** (1 / gamma), points, mode)
    except (_Unusable, struct.error, np.linalg.LinAlgError):
        return SRGB


def profile_of_cicp(numbers: tuple[int, int] | None, mode: str) -> Profile:
    """What a HEIC or AVIF says by numbers where it has no ICC profile.

    Encoders write a camera's transfer function of BT.709 and BT.601 over pixels that were sRGB, and
    browsers show them as sRGB.

    Args:
        numbers: of the primaries and of the transfer function (ITU-T H.273).
        mode: L or RGB.

    Raises:
        UnsupportedSamples: high dynamic range, which has no greys of paper.
    """
    if numbers is None:
        return SRGB
    primaries, transfer = numbers
    try:
        return _by_numbers(primaries, 13 if transfer in _OF_CAMERAS else transfer, mode)
    except _Unusable:
        return SRGB


def _by_numbers(primaries: int, transfer: int, mode: str) -> Profile:
    if transfer in _HIGH_DYNAMIC_RANGE:
        raise UnsupportedSamples(
            "The picture has a high dynamic range (PQ or HLG). Save it with a standard one."
        )
    if primaries not in _PRIMARIES:
        raise _Unusable
    if transfer in _OF_CAMERAS:
        curve = np.where(STEPS < 0.081, STEPS / 4.5, ((STEPS + 0.099) / 1.099) ** (1 / 0.45))
    elif transfer in (4, 5, 8):
        curve = STEPS ** {4: 2.2, 5: 2.8, 8: 1.0}[transfer]
    elif transfer == 13:
        curve = srgb_curve(STEPS)
    else:
        raise _Unusable
    return _made(curve, np.array(_PRIMARIES[primaries]), mode)


def _made(curve: Numbers, points: Numbers, mode: str) -> Profile:
    white, *primaries = points.reshape(4, 2)
    columns = np.stack([_xyz(point) for point in primaries], 1)
    matrix = columns * np.linalg.solve(columns, _xyz(white))
    to_d65 = _adaptation(_xyz(white), _xyz(_WHITE_D65))
    found = Curves((curve,) if mode == "L" else (curve,) * 3, _to_srgb(to_d65 @ matrix))
    return SRGB if found.is_srgb else found


def _xyz(point: Numbers) -> Numbers:
    x, y = point
    if y <= 0:
        raise _Unusable
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _adaptation(one: Numbers, other: Numbers) -> Numbers:
    """From one white to another, by Bradford's matrix."""
    scale = (_BRADFORD @ other) / (_BRADFORD @ one)
    return np.asarray(np.linalg.inv(_BRADFORD) @ np.diag(scale) @ _BRADFORD)


def _to_srgb(to_xyz: Numbers) -> Numbers:
    """Linear sRGB from what gives XYZ of D65; `XYZ_FROM_RGB` is relative to white."""
    relative = to_xyz / _xyz(_WHITE_D65)[:, np.newaxis]
    found = np.linalg.inv(np.asarray(XYZ_FROM_RGB, np.float64)) @ relative
    if not np.isfinite(found).all() or np.abs(found).max() > 100:
        raise _Unusable
    return np.asarray(found)


def _tags(icc: bytes) -> dict[bytes, Said]:
    count = int.from_bytes(icc[128:132], "big")
    if count > _MOST_TAGS:
        raise _Unusable
    found: dict[bytes, Said] = {}
    for i in range(count):
        tag, start, size = struct.unpack_from(">4sII", icc, 132 + 12 * i)
        found[tag] = memoryview(icc)[start : start + min(size, _MOST_BYTES)]
    return found


def _grey(tags: Mapping[bytes, Said], space: bytes) -> Curves:
    """By light, or, of a profile that is connected by Lab, by lightness (ICC.1:2022, 8.3.4)."""
    curve = _curve(tags.get(b"kTRC", b""))
    if space == b"Lab ":
        f = (curve * 100 + 16) / 116
        curve = np.where(f > 6 / 29, f**3, (f - 4 / 29) * 3 * (6 / 29) ** 2)
    return Curves((curve,), np.eye(3))


def _colours(tags: Mapping[bytes, Said]) -> Curves:
    curves = tuple(_curve(tags.get(name, b"")) for name in (b"rTRC", b"gTRC", b"bTRC"))
    columns = [_point(tags.get(name, b"")) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    to_d65 = _adaptation(_WHITE_D50, _xyz(_WHITE_D65))
    return Curves(curves, _to_srgb(to_d65 @ np.stack(columns, 1)))


def _point(data: Said) -> Numbers:
    if data[:4] != b"XYZ ":
        raise _Unusable
    return np.array(struct.unpack_from(">3i", data, 8)) / 65536


@np.errstate(over="ignore", divide="ignore")  # of a broken one, whose light is infinite
def _curve(data: Said) -> Numbers:
    """A `curv` or `para` (ICC.1:2022, 10.6 and 10.18) at every step."""
    if data[:4] == b"curv":
        count = int.from_bytes(data[8:12], "big")
        if count == 0:
            return STEPS
        if count == 1:
            return np.asarray(STEPS ** (int.from_bytes(data[12:14], "big") / 256))
        if count > 65536 or len(data) < 12 + 2 * count:
            raise _Unusable
        points = np.frombuffer(data, ">u2", count, 12) / 65535
        return np.interp(STEPS, np.linspace(0, 1, count), points)
    if data[:4] != b"para":
        raise _Unusable
    kind = int.from_bytes(data[8:10], "big")
    if kind > 4:
        raise _Unusable
    numbers = np.array(struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", data, 12)) / 65536
    g, a, b, c, d, e, f = np.append(numbers, (0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)[len(numbers) :])
    a = a if len(numbers) > 1 else 1.0
    if kind in (0, 1, 2):
        shift = c if kind == 2 else 0.0
        knee = -b / a if kind and a else 0.0
        power = np.maximum(a * STEPS + b, 0) ** g + shift
        return np.asarray(np.where(knee <= STEPS, power, shift))
    e, f = (e, f) if kind == 4 else (0.0, 0.0)
    return np.asarray(np.where(d <= STEPS, np.maximum(a * STEPS + b, 0) ** g + e, c * STEPS + f))
