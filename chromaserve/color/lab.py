"""sRGB ↔ CIE Lab (D65), the one conversion of training and serving, with gamut-safe recombination.

OpenCV's own float conversion is off by up to 0.19 in the L of greys and 0.6 in a and b, so the
formulas are written out here; OpenCV and numpy only do the arithmetic, in blocks that fit a cache.

Sources: IEC 61966-2-1 (sRGB transfer function and primaries), CIE 15:2004 §8.2.1 (Lab).
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from chromaserve.color.gamut import DELTA, XYZ_FROM_RGB, f_inverse, largest_chroma, linear_rgb

Float = NDArray[np.float32]
Image = NDArray[np.uint8] | NDArray[np.uint16]

_BLOCK = 1 << 17  # pixels, as a photo's strips have

_LAB_FROM_F = np.array([[0, 116, 0, -16], [500, -500, 0, 0], [0, 200, -200, 0]], np.float32)

_KNEE = 0.0031308  # where sRGB's power law meets its linear part, in linear light


def _decode(v: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return np.asarray(np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4))


def _encode(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    v = np.where(linear <= _KNEE, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(v)


def _lightness(y: NDArray[np.float64]) -> NDArray[np.float64]:
    f = np.where(y > DELTA**3, np.cbrt(y), y / (3 * DELTA**2) + 4 / 29)
    return np.asarray(np.clip(116 * f - 16, 0, 100))


_LINEAR = {bits: _decode(np.linspace(0, 1, 1 << bits)) for bits in (8, 16)}
_LINEAR_F = {bits: table.astype(np.float32) for bits, table in _LINEAR.items()}
_GREY_L = {bits: _lightness(table).astype(np.float32) for bits, table in _LINEAR.items()}
# The steepest part of the curve moves 0.05 of an 8-bit code for one entry of this table.
_CODE8 = np.rint(255 * _encode(np.linspace(0, 1, 1 << 16))).astype(np.uint8)
# By the root of luminance, of which codes are nearly linear: at most 1.5 codes an entry.
_CODE16_OF_ROOT = np.rint(65535 * _encode(np.linspace(0, 1, 1 << 16) ** 2)).astype(np.uint16)
_GREY_F = {bits: ((table + 16) / 116).astype(np.float32) for bits, table in _GREY_L.items()}


def srgb_to_lab(rgb: Image) -> tuple[Float, Float]:
    """Convert an sRGB photo to CIE Lab (D65, 2° observer).

    Args:
        rgb: uint8 or uint16 [H, W, 3], in the order red, green, blue.

    Returns:
        L float32 [H, W] in [0, 100] and ab float32 [H, W, 2] in Lab units. Greys have
        |a|, |b| < 0.001.

    Raises:
        ValueError: for another shape or dtype.
    """
    _check_image(rgb, channels=True)
    L, ab = np.empty(rgb.shape[:2], np.float32), np.empty((*rgb.shape[:2], 2), np.float32)
    pixels, flat_L, flat_ab = _rows(rgb, 3), L.reshape(1, -1), ab.reshape(1, -1, 2)
    for i in range(0, L.size, _BLOCK):
        part = slice(i, i + _BLOCK)
        f = _f(_transform(_look_up(pixels[:, part], _LINEAR_F), XYZ_FROM_RGB))
        flat_L[:, part] = _transform(f, _LAB_FROM_F[:1]).reshape(1, -1)
        flat_ab[:, part] = _transform(f, _LAB_FROM_F[1:])
    return np.clip(L, 0, 100, out=L), ab


def srgb_to_L(image: Image) -> Float:  # noqa: N802 - L is the quantity's name
    """Lightness L* of a photo; a grey value v counts as R = G = B = v.

    Args:
        image: uint8 or uint16, grey [H, W] or red-green-blue [H, W, 3].

    Returns:
        float32 [H, W] in [0, 100].

    Raises:
        ValueError: for another shape or dtype.
    """
    _check_image(image, channels=image.ndim == 3)
    if image.ndim == 2:
        return _look_up(image, _GREY_L)
    L = np.empty(image.shape[:2], np.float32)
    pixels, flat_L = _rows(image, 3), L.reshape(1, -1)
    for i in range(0, L.size, _BLOCK):
        part = slice(i, i + _BLOCK)
        f = _f(_transform(_look_up(pixels[:, part], _LINEAR_F), XYZ_FROM_RGB[1:2]))
        np.multiply(f.reshape(1, -1), 116, out=flat_L[:, part])
    L -= 16
    return np.clip(L, 0, 100, out=L)


def srgb_to_grey(rgb: Image) -> NDArray[np.uint16]:
    """The grey of every pixel's lightness, as an sRGB value of 16 bits.

    Args:
        rgb: uint8 or uint16 [H, W, 3], in the order red, green, blue.

    Returns:
        uint16 [H, W]: v for which R = G = B = v has the pixel's L*, to two codes.

    Raises:
        ValueError: for another shape or dtype.
    """
    _check_image(rgb, channels=True)
    grey = np.empty(rgb.shape[:2], np.uint16)
    pixels, flat = _rows(rgb, 3), grey.reshape(-1)
    for i in range(0, grey.size, _BLOCK):
        part = slice(i, i + _BLOCK)
        root = _transform(_look_up(pixels[:, part], _LINEAR_F), XYZ_FROM_RGB[1:2]).reshape(-1)
        np.sqrt(root, out=root)
        flat[part] = _table_of_16_bits(root, _CODE16_OF_ROOT)
    return grey


def grey_to_f(grey: Image) -> tuple[Float, Float]:
    """CIE's f(Y) = (L + 16) / 116 and relative luminance Y in [0, 1] of sRGB greys.

    Args:
        grey: uint8 or uint16 [H, W].

    Returns:
        Both float32 [H, W].
    """
    return _look_up(grey, _GREY_F), _look_up(grey, _LINEAR_F)


def lab_to_srgb(L: Float, ab: Float, dtype: DTypeLike = np.uint8) -> Image:
    """Convert Lab to sRGB; where a colour lies outside sRGB, reduce its chroma until it fits.

    Reduction keeps L and hue: (a, b) is multiplied by the largest s in [0, 1] for which all three
    channels fit; channels are never clipped one by one. Black and white stay black and white.

    Args:
        L: float32 [H, W] in [0, 100] (values outside are clipped).
        ab: float32 [H, W, 2] in Lab units, any finite values.
        dtype: np.uint8 or np.uint16.

    Returns:
        [H, W, 3] of ``dtype``, red, green, blue, rounded to nearest. ab = 0 gives R = G = B.

    Raises:
        ValueError: for other shapes or dtypes, or an ab that is not finite.
    """
    depth = np.dtype(dtype)
    if depth not in (np.uint8, np.uint16):
        raise ValueError(f"dtype must be uint8 or uint16, not {depth}")
    if L.ndim != 2 or ab.shape != (*L.shape, 2) or not L.size:
        raise ValueError(f"L must be [H, W] and ab [H, W, 2], not {L.shape} and {ab.shape}")
    if L.dtype != np.float32 or ab.dtype != np.float32:
        raise ValueError(f"L and ab must be float32, not {L.dtype} and {ab.dtype}")
    if not (np.isfinite(L).all() and np.isfinite(ab).all()):
        raise ValueError("L and ab must be finite")
    rgb = np.empty((*L.shape, 3), depth)
    lightness, chroma, out = _rows(L, 1)[..., 0], _rows(ab, 2), rgb.reshape(1, -1, 3)
    for i in range(0, L.size, _BLOCK):
        part = slice(i, i + _BLOCK)
        fy = np.clip(lightness[0, part], 0, 100)
        fy += 16
        fy *= np.float32(1 / 116)
        fx, fz = chroma[0, part, 0] * np.float32(1 / 500), chroma[0, part, 1] * np.float32(-1 / 200)
        fx += fy
        fz += fy
        channels = linear_rgb(fy, f_inverse(fy), fx, fz, gamut_tolerance(depth))
        cv2.merge([codes(c, depth).reshape(1, -1) for c in channels], dst=out[:, part])
    return rgb


def _f(t: Float) -> Float:
    """CIE's f in place: cube root above δ³, below it the tangent there."""
    u = np.maximum(t, np.float32(DELTA**3))
    t -= u
    t *= np.float32(1 / (3 * DELTA**2))
    t += _power(u, 1 / 3)
    return t


def gamut_tolerance(depth: np.dtype[Any]) -> float:
    """How near the gamut's surface is near enough, for `linear_rgb`: half a code near black."""
    # Rounding takes it back to the limit; float32 light is good to 1e-6 or so.
    return float(max(0.5 / np.iinfo(depth).max / 12.92, 2e-6))


def prepare_gamut() -> None:
    """Make the tables for which the first photo with colours outside the gamut would wait."""
    for depth in (np.uint8, np.uint16):
        largest_chroma(gamut_tolerance(np.dtype(depth)))


def codes(linear: Float, depth: np.dtype[Any]) -> Image:
    """sRGB codes of linear light, uint8 or uint16 by depth, rounded to nearest."""
    if depth == np.uint8:
        return _table_of_16_bits(linear, _CODE8)
    knee = np.float32(_KNEE)
    v = np.clip(linear, knee, 1)
    v = _power(v, 1 / 2.4)
    v *= np.float32(1.055)
    v -= np.float32(0.055)
    v += np.float32(12.92) * (np.minimum(linear, knee) - knee)
    v *= np.float32(65535)
    v += np.float32(0.5)
    return np.clip(v, 0, 65535).astype(np.uint16)


def _power(x: Float, exponent: float) -> Float:
    return np.asarray(cv2.pow(x, exponent), np.float32).reshape(x.shape)


def _transform(pixels: Float, matrix: NDArray[np.floating[Any]]) -> Float:
    return np.asarray(cv2.transform(pixels, matrix), np.float32)


def _look_up(image: Image, tables: dict[int, Float]) -> Float:
    return np.asarray(cv2.LUT(image, tables[8 * image.itemsize]), np.float32).reshape(image.shape)


def _table_of_16_bits(v: Float, table: NDArray[Any]) -> NDArray[Any]:
    """The entries at v in [0, 1], rounded to the nearest of 65,536; beyond the ends, the ends."""
    v = v.reshape(1, -1)
    index = cv2.addWeighted(v, 65535, v, 0, 0, dtype=cv2.CV_16U)
    return np.asarray(cv2.LUT(index, table)).reshape(-1)


def _rows(image: NDArray[Any], channels: int) -> NDArray[Any]:
    """The pixels as one row [1, H·W, C]: OpenCV divides work by rows, so one row is one thread."""
    return np.ascontiguousarray(image).reshape(1, -1, channels)


def _check_image(image: Image, *, channels: bool) -> None:
    expected = "[H, W, 3]" if channels else "[H, W] or [H, W, 3]"
    if image.ndim != 2 + channels or (channels and image.shape[2] != 3) or not image.size:
        raise ValueError(f"expected {expected} with at least one pixel, not {image.shape}")
    if image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"expected uint8 or uint16, not {image.dtype}")
