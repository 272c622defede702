"""Linear sRGB of Lab colours, chroma reduced at constant lightness and hue where they lie outside.

Sources: CIE 15:2004 §8.2.1 (Lab), IEC 61966-2-1 (sRGB's primaries).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
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

# Of the table of the gamut's surface: all but one or two in a thousand of a photo's colours come
# within the tolerance by it.
_LIGHTNESSES, _HUES, _HALVINGS = 256, 512, 20
_BLACK = 16 / 116
_STEPS = 32  # at most, of the search for the surface by the others


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
    """Scale of chroma that reaches the gamut's surface from inside.

    Nearly all are read off a table; the rest are searched for, by regula falsi (Illinois), from
    what the table says.
    """
    scale = np.zeros_like(y)
    room = _margin([y, y, y], y, close)
    index = np.flatnonzero(room > close)  # black and white have room for no chroma
    fy, y, x, z = fy[index], y[index], x[index], z[index]
    s = np.minimum(_scale_by_table(fy, x, z, close), 1)
    m = _margin(_linear(y, fy + x * s, fy + z * s), y, close)
    scale[index] = s
    go = np.flatnonzero((m < 0) | (m > close))
    index = index[go]
    fy, y, x, z, s, m = (v[go] for v in (fy, y, x, z, s, m))
    half, one, fits = np.float32(0.5), np.float32(1), m >= 0
    inside, m_inside = np.where(fits, s, 0), np.where(fits, m, room[index])
    outside, m_outside = np.where(fits, one, s), np.where(fits, margin[index], m)
    moved = np.zeros(y.size, np.int8)  # the end that the last step moved: 1 inside, -1 outside
    scale[index] = inside
    for _ in range(_STEPS if index.size else 0):
        s = outside - m_outside * (outside - inside) / (m_outside - m_inside)
        m = _margin(_linear(y, fy + x * s, fy + z * s), y, close)
        fits = m >= 0
        inside = np.where(fits, s, inside)
        scale[index] = inside
        # Only what is not there yet goes on.
        go = np.flatnonzero((m < 0) | (m > close))
        if not go.size:
            break
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


def _scale_by_table(fy: Float, x: Float, z: Float, close: float) -> Float:
    """Bilinearly between the nearest four of `largest_chroma`, by the colours' own chroma."""
    table = largest_chroma(close).reshape(-1)
    chroma = np.abs(x)
    chroma += np.abs(z)
    v = np.divide(z, chroma, out=z.copy(), where=chroma > 0)
    v = np.where(x < 0, 3 - v, 1 + v)
    v *= np.float32(_HUES / 4)
    u = (fy - np.float32(_BLACK)) * np.float32((_LIGHTNESSES - 1) / (1 - _BLACK))
    row = np.minimum(u.astype(np.intp), _LIGHTNESSES - 2)
    column = np.minimum(v.astype(np.intp), _HUES - 1)
    u -= row
    v -= column
    row *= _HUES + 1
    row += column
    below, next_below = table[row], table[row + 1]
    row += _HUES + 1
    above, next_above = table[row], table[row + 1]
    for first, second in ((below, next_below), (above, next_above)):
        second -= first
        second *= v
        first += second
    above -= below
    above *= u
    below += above
    return np.divide(below, chroma, out=np.ones_like(below), where=chroma > 0)


@cache
def largest_chroma(close: float) -> Float:
    """The most of |x| + |z| whose worst channel has half of `close` left, by lightness and hue.

    Float32 [_LIGHTNESSES, _HUES + 1]: f(Y) evenly from black to white; hue as z / (|x| + |z|),
    which goes from -1 to 1 for x >= 0, and back for x < 0.
    """
    turn = np.linspace(0, 4, _HUES + 1, dtype=np.float32)
    z = np.where(turn <= 2, turn - 1, 3 - turn)
    x = np.where(turn <= 2, 1 - np.abs(z), np.abs(z) - 1)
    fy = np.linspace(_BLACK, 1, _LIGHTNESSES, dtype=np.float32)
    y = f_inverse(fy)
    fy, y = np.repeat(fy, len(turn)), np.repeat(y, len(turn))
    x, z = np.tile(x, _LIGHTNESSES), np.tile(z, _LIGHTNESSES)
    chroma = np.zeros_like(y)
    for step in range(1, _HALVINGS + 1):
        more = chroma + np.float32(0.5**step)
        m = _margin(_linear(y, fy + x * more, fy + z * more), y, close)
        chroma = np.where(m >= np.float32(close / 2), more, chroma)
    return chroma.reshape(_LIGHTNESSES, -1)


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
