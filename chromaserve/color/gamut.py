"""Linear sRGB of Lab colours, chroma reduced at constant lightness and hue where they lie outside.

Sources: CIE 15:2004 §8.2.1 (Lab), IEC 61966-2-1 (sRGB's primaries).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

# Linear sRGB → XYZ, the primaries' matrix to six digits, as scikit-image has it. Dividing each row
# by its sum takes the matrix's own white as the white point: within 7e-5 of (0.95047, 1, 1.08883),
# and every grey is exactly neutral.
_PRIMARIES = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
XYZ_FROM_RGB: Final = _PRIMARIES / _PRIMARIES.sum(axis=1, keepdims=True)
_RGB_FROM_XYZ = np.linalg.inv(XYZ_FROM_RGB)
# Rows sum to 1, so a channel is Y + α (X − Y) + β (Z − Y): with a = b = 0, exactly Y in all three.
_ALPHA = _RGB_FROM_XYZ[:, 0].astype(np.float32)
_BETA = _RGB_FROM_XYZ[:, 2].astype(np.float32)

DELTA: Final = 6 / 29  # where CIE's cube root meets its tangent

# sRGB's encoding is that much flatter at white than at black: (1.055 / 2.4) / 12.92.
_WHITE_SLOPE = np.float32(1.055 / 2.4 / 12.92)

# Float32 is this good in linear light near black, on every CPU: a tenth of a 16-bit code.
_NOISE = np.float32(1e-7)

_STEPS = 32  # at most, of the search for the gamut's surface; most colours take two to five


def linear_rgb(fy: Float, y: Float, fx: Float, fz: Float, close: float) -> list[Float]:
    """Linear light of Lab colours, brought inside the gamut.

    Args:
        fy: float32 [N], (L + 16) / 116 for L in [0, 100].
        y: float32 [N], relative luminance: `f_inverse` of fy.
        fx: float32 [N], fy + a / 500.
        fz: float32 [N], fy - b / 200.
        close: tolerance in linear light near 0, and near 1, where sRGB's curve is flatter, as
            much in codes: how near to its limit the worst channel of a reduced colour comes, and,
            fading to next to nothing at black and white, how far beyond it may be.

    Returns:
        Red, green and blue, float32 [N] each: those of (s·a, s·b), with s the largest scale in
        [0, 1] that fits. fx = fz = fy gives three equal channels.
    """
    channels, outside = linear_rgb_unbounded(fy, y, fx, fz, close)
    if outside.index.size:
        for channel, reduced in zip(channels, outside.reduced(close), strict=True):
            channel[outside.index] = reduced
    return channels


@dataclass(frozen=True)
class Outside:
    """Colours outside the gamut, float32 [M] each but the index: their places, intp [M]."""

    index: NDArray[np.intp]
    fy: Float
    y: Float
    fx: Float
    fz: Float
    margin: Float

    @classmethod
    def joined(cls, parts: "Sequence[Outside]", starts: Sequence[int]) -> "Outside":
        """Several as one, the places of each counted from its start."""
        index = np.concatenate(
            [part.index + start for part, start in zip(parts, starts, strict=True)]
        )
        names = [field.name for field in fields(cls)[1:]]
        return cls(index, *(np.concatenate([getattr(p, name) for p in parts]) for name in names))

    def reduced(self, close: float) -> list[Float]:
        """Linear red, green and blue with as much chroma as fits, float32 [M] each."""
        x, z = self.fx - self.fy, self.fz - self.fy
        s = _largest_scale(self.fy, self.y, x, z, self.margin, close)
        return _linear(self.y, self.fy + x * s, self.fy + z * s)


def linear_rgb_unbounded(
    fy: Float, y: Float, fx: Float, fz: Float, close: float
) -> tuple[list[Float], Outside]:
    """As `linear_rgb`, but for the colours outside the gamut, which are told apart."""
    channels = _linear(y, fx, fz)
    # What lies inside [0, 1] has room by `_margin` too, which takes thrice as long.
    r, g, b = channels
    low, high = np.minimum(r, g), np.maximum(r, g)
    np.minimum(low, b, out=low)
    np.maximum(high, b, out=high)
    out = np.flatnonzero((low < 0) | (high > 1))
    margin = _margin([channel[out] for channel in channels], y[out], close)
    beyond = margin < 0
    out, margin = out[beyond], margin[beyond]
    return channels, Outside(out, fy[out], y[out], fx[out], fz[out], margin)


def _largest_scale(fy: Float, y: Float, x: Float, z: Float, margin: Float, close: float) -> Float:
    """Scale of chroma that reaches the gamut's surface from inside, by regula falsi (Illinois)."""
    scale = np.zeros_like(y)
    room = _margin([y, y, y], y, close)
    index = np.flatnonzero(room > close)  # black and white have room for no chroma
    fy, y, x, z = fy[index], y[index], x[index], z[index]
    half, one = np.float32(0.5), np.float32(1)
    inside, m_inside = np.zeros_like(y), room[index]
    outside, m_outside = np.ones_like(y), margin[index]
    moved = np.zeros(y.size, np.int8)  # the end that the last step moved: 1 inside, -1 outside
    for _ in range(_STEPS):
        s = outside - m_outside * (outside - inside) / (m_outside - m_inside)
        m = _margin(_linear(y, fy + x * s, fy + z * s), y, close)
        fits = m >= 0
        inside = np.where(fits, s, inside)
        scale[index] = inside
        go = np.flatnonzero((m < 0) | (m > close))
        if not go.size:
            break
        # Only what is not there yet goes on.
        index, moved, fits = index[go], moved[go], fits[go]
        fy, y, x, z, s, m = (v[go] for v in (fy, y, x, z, s, m))
        inside, m_inside = inside[go], m_inside[go]
        outside, m_outside = outside[go], m_outside[go]
        # An end that stays twice in a row counts half, so that it moves as well.
        m_outside *= np.where(fits & (moved == 1), half, one)
        m_inside *= np.where(fits | (moved != -1), one, half)
        moved = np.where(fits, np.int8(1), np.int8(-1))
        outside = np.where(fits, outside, s)
        m_inside, m_outside = np.where(fits, m, m_inside), np.where(fits, m_outside, m)
    return scale


def _margin(channels: list[Float], y: Float, close: float) -> Float:
    """Room of the worst channel before its limit, in linear light near 0; negative outside."""
    r, g, b = channels
    low, high = np.minimum(r, g), np.maximum(r, g)
    np.minimum(low, b, out=low)
    np.maximum(high, b, out=high)
    np.subtract(1, high, out=high)
    high *= _WHITE_SLOPE
    # Without a tolerance, noise would grey yellows, whose rays run along the surface, and the
    # darkest blues, whose red and green are zero but for noise.
    slack = y * np.float32(close)
    low += slack
    low += _NOISE
    high -= slack
    high += np.float32(close) + _NOISE
    return np.minimum(low, high, out=low)


def _linear(y: Float, fx: Float, fz: Float) -> list[Float]:
    """Linear R, G, B of f(X) = fx, Y = y, f(Z) = fz."""
    dx, dz = f_inverse(fx), f_inverse(fz)
    dx -= y
    dz -= y
    channels = []
    for alpha, beta in zip(_ALPHA, _BETA, strict=True):
        channel = dx * alpha
        channel += dz * beta
        channel += y
        channels.append(channel)
    return channels


def f_inverse(f: Float) -> Float:
    """Inverse of CIE's f: cube above δ, below it the tangent there."""
    u = np.maximum(f, np.float32(DELTA))
    t = f - u
    t *= np.float32(3 * DELTA**2)
    cube = u * u
    cube *= u
    t += cube
    return t
