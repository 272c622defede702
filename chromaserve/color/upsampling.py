"""Edge-aware upsampling of the network's chroma to the photo's own size."""

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.store.contract import NETWORK_SIZE, squeeze

Float = NDArray[np.float32]

_STRIP = 1 << 16  # pixels at a time, so that a strip's planes stay in a core's cache


def local_model(ab: Float, guide: Float, *, radius: int, eps: float) -> Float:
    """Chroma as a function of lightness around every place: ab = A·L + B.

    In every window of the small image ab ≈ A·L + B by regularised least squares (He, Sun & Tang
    2010, eq. 5, 6 and 8); the model is the window means of A and B, to be upsampled bilinearly
    and applied to the full-size L (He & Sun 2015, algorithm 2).

    Args:
        ab: float32 [h, w, 2] in Lab units, the network's output; or [h, w, K], any planes.
        guide: float32 [224, 224] in [0, 100], L as the network sees it; or another size of it.
        radius: half width of the window in pixels at 224 × 224 (for a smaller size of ab it is
            scaled; a larger one is of several views); 0 means no windows: A = 0, B = ab.
        eps: regularisation in units of (L/100)²; larger means smoother.

    Returns:
        float32 [h, w, 4]: A of a, A of b, B of a, B of b; or [h, w, 2·K].

    Raises:
        ValueError: for a negative radius, or eps that is not positive.
    """
    if radius < 0 or not eps > 0:
        raise ValueError(f"radius must be >= 0 and eps > 0, not {radius} and {eps}")
    if radius == 0:
        return np.concatenate([np.zeros_like(ab), ab], axis=2)
    guide = squeeze(guide, *ab.shape[:2]) / np.float32(100)
    guide -= np.float32(0.5)  # so that float32 is enough for differences of nearly equal means
    model = _coefficients(guide, ab, radius, eps)
    model[:, :, : ab.shape[2]] /= 100
    return model


def apply_model(model: Float, L: Float) -> Float:
    """A·L + B with the model upsampled: float32 [H, W, K] for `local_model`'s and L [H, W]."""
    rows, columns = L.shape
    enlarged = Enlarged(model, rows, columns)
    count = model.shape[2] // 2
    out = np.empty((rows, columns, count), np.float32)
    step = max(1, _STRIP // columns)
    for i in range(0, rows, step):
        part = slice(i, i + step)
        planes = enlarged.strip(i, min(i + step, rows))
        for slope, offset in zip(planes[:count], planes[count:], strict=True):
            offset += slope * L[part]
        cv2.merge(planes[count:], dst=out[part])
    return out


class Enlarged:
    """Small planes at a photo's size, rows made when they are asked for.

    A row depends on its place in the photo alone, so strips of any height fit together.
    """

    def __init__(self, planes: Float, rows: int, columns: int) -> None:
        """Take planes, float32 [h, w, K], for a photo of rows × columns."""
        height = min(planes.shape[0], rows)
        planes = squeeze(planes, height, planes.shape[1])
        self._planes = np.ascontiguousarray(np.moveaxis(planes, 2, 1))
        self._columns = columns
        # Centres of pixels, as in cv2.resize.
        y = np.clip((np.arange(rows) + 0.5) * height / rows - 0.5, 0, height - 1)
        self._upper = np.minimum(y.astype(np.intp), max(height - 2, 0))
        self._weight = y - self._upper

    def strip(self, start: int, stop: int) -> list[Float]:
        """Rows start to stop of every plane: K of float32 [stop - start, columns]."""
        first, last = int(self._upper[start]), int(self._upper[stop - 1]) + 1
        small = self._planes[first : last + 1]  # one row alone where the planes have no more
        count, planes, width = small.shape
        wide = squeeze(small.reshape(-1, width), count * planes, self._columns)
        wide = wide.reshape(count, planes, self._columns)
        steps = np.diff(wide, axis=0) if count > 1 else np.zeros_like(wide)
        out = np.empty((planes, stop - start, self._columns), np.float32)
        for i in range(start, stop):
            k = self._upper[i] - first
            cv2.scaleAdd(steps[k], self._weight[i], wide[k], dst=out[:, i - start])
        return list(out)


def check_planes(ab: Float, L: Float) -> None:
    """Check that ab is float32 [h, w, 2] and L float32 [H, W], neither empty; else ValueError."""
    if ab.ndim != 3 or ab.shape[2] != 2 or not ab.size or ab.dtype != np.float32:
        raise ValueError(f"ab must be float32 [h, w, 2], not {ab.dtype} {list(ab.shape)}")
    if L.ndim != 2 or not L.size or L.dtype != np.float32:
        raise ValueError(f"L must be float32 [H, W], not {L.dtype} {list(L.shape)}")


def _coefficients(i: Float, ab: Float, radius: int, eps: float) -> Float:
    """Window means of A_a, A_b, B_a, B_b: float32 [h, w, 2K], from guide - 0.5 and ab [h, w, K]."""
    height, width, count = ab.shape
    scales = (min(n, NETWORK_SIZE) / NETWORK_SIZE for n in (width, height))
    window = tuple(2 * max(1, round(radius * scale)) + 1 for scale in scales)

    def mean(plane: Float) -> Float:
        boxed = cv2.boxFilter(plane, -1, window, borderType=cv2.BORDER_REFLECT)
        return np.asarray(boxed, np.float32)

    mean_i, variance = mean(i), mean(i * i)
    variance -= mean_i * mean_i
    variance += np.float32(eps)
    found = np.empty((height, width, 2 * count), np.float32)
    for k in range(count):
        plane = np.ascontiguousarray(ab[..., k])
        offset, slope = mean(plane), mean(i * plane)
        slope -= mean_i * offset
        slope /= variance
        offset -= slope * (mean_i + np.float32(0.5))
        found[..., k], found[..., count + k] = mean(slope), mean(offset)
    return found
