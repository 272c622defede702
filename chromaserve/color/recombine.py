"""A photo's grey and the local model of its chroma to sRGB, a strip of rows at a time."""

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from chromaserve.color.gamut import Outside, linear_rgb_unbounded
from chromaserve.color.hint_spreading import clear_share
from chromaserve.color.lab import Image, codes, gamut_tolerance, grey_to_f
from chromaserve.color.upsampling import Enlarged

Float = NDArray[np.float32]

# Pixels, a strip's: shorter operations on several threads mostly wait for Python's lock.
_BLOCK = 1 << 17


class Recombination:
    """Colours of a photo from its grey and its chroma; see `lab_to_srgb` for what is kept.

    Written for large photos: no plane of the whole photo is made, and CIE's f of X and Z come
    from f(Y) by the local model itself, without a and b in between.
    """

    def __init__(
        self, model: Float, rows: int, columns: int, dtype: DTypeLike, hints: Float | None = None
    ) -> None:
        """Prepare for a photo.

        Args:
            model: float32 [h, w, 4], the local model of chroma: see `local_model`.
            rows: the photo's height.
            columns: its width.
            dtype: np.uint8 or np.uint16, of the colours to make.
            hints: float32 [h', w', 6], the local model of colour hints: see `hint_model`.

        Raises:
            ValueError: a model is not finite.
        """
        if not all(np.isfinite(each).all() for each in (model, hints) if each is not None):
            raise ValueError("the model of chroma must be finite")
        self._depth = np.dtype(dtype)
        self._close = gamut_tolerance(self._depth)
        self._enlarged = Enlarged(_for_f(model), rows, columns)
        self._share = self._known = None
        if hints is not None:
            self._share = Enlarged(_share_for_f(hints), rows, columns)
            self._known = Enlarged(_for_f(hints[..., [1, 2, 4, 5]]), rows, columns)

    def strip(self, start: int, grey: Image, alpha: Image | None = None) -> Image:
        """Colours of the rows from `start` on.

        Args:
            start: the first row's place in the photo.
            grey: uint8 or uint16 [n, columns], sRGB greys of the photo's lightness.
            alpha: [n, columns] of the photo's dtype, to go along.

        Returns:
            [n, columns, 3] of the photo's dtype, red, green, blue, or with alpha [n, columns, 4].
            L* is that of the grey to rounding.
        """
        channels = 3 if alpha is None else 4
        out: Image = np.empty((*grey.shape, channels), self._depth)
        flat = out.reshape(-1, channels)
        outside: list[Outside] = []
        starts: list[int] = []
        step = max(1, _BLOCK // grey.shape[1])
        for i in range(0, len(grey), step):
            part = slice(i, i + step)
            planes, beyond = self._block(start + i, grey[part])
            cv2.merge(planes if alpha is None else [*planes, alpha[part]], dst=out[part])
            if beyond.index.size:
                outside.append(beyond)
                starts.append(i * grey.shape[1])
            # A block's worth together: the search takes many steps, each of little work.
            ends = i + step >= len(grey)
            if outside and (ends or sum(each.index.size for each in outside) >= _BLOCK):
                beyond = Outside.joined(outside, starts)
                outside, starts = [], []
                for channel, linear in enumerate(beyond.reduced(self._close)):
                    flat[beyond.index, channel] = codes(linear, self._depth)
        return out

    def _block(self, start: int, grey: Image) -> tuple[list[Image], Outside]:
        """Codes of the rows from `start` on, and what of them lies outside the gamut."""
        fy, y = grey_to_f(grey)
        slope_x, slope_z, fx, fz = self._enlarged.strip(start, start + len(grey))
        slope_x *= fy
        fx += slope_x
        slope_z *= fy
        fz += slope_z
        self._mix_hints(start, fy, fx, fz)
        fy, y, fx, fz = (plane.reshape(-1) for plane in (fy, y, fx, fz))
        channels, outside = linear_rgb_unbounded(fy, y, fx, fz, self._close)
        return [codes(channel, self._depth).reshape(grey.shape) for channel in channels], outside

    def _mix_hints(self, start: int, fy: Float, fx: Float, fz: Float) -> None:
        """Move f(X) and f(Z) of the rows from `start` on to those of hints, by their share."""
        if self._share is None or self._known is None:
            return
        stop = start + len(fy)
        slope, share = self._share.strip(start, stop)
        slope *= fy
        share += slope
        if not clear_share(share).any():
            return
        slope_x, slope_z, to_x, to_z = self._known.strip(start, stop)
        for f, slope, to in ((fx, slope_x, to_x), (fz, slope_z, to_z)):
            slope *= fy
            to += slope
            to -= f
            to *= share
            f += to


def _share_for_f(hints: Float) -> Float:
    """Slope and offset of the share on f(Y), from those on L."""
    slope, offset = hints[..., 0], hints[..., 3]
    return np.dstack([116 * slope, offset - 16 * slope])


def _for_f(model: Float) -> Float:
    """The model of a and b on L as one of f(X) and f(Z) on f(Y).

    f(X) = f(Y) + a / 500, f(Z) = f(Y) − b / 200, and L = 116·f(Y) − 16.
    """
    a, b = 1 / 500, -1 / 200
    matrix = np.array(
        [[116 * a, 0, 0, 0, 1], [0, 116 * b, 0, 0, 1], [-16 * a, 0, a, 0, 0], [0, -16 * b, 0, b, 0]]
    )
    return np.asarray(cv2.transform(model, matrix), np.float32)
