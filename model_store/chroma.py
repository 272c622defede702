"""Edge-aware upsampling of the network's chroma to the photo's own size."""

import cv2
import numpy as np
from numpy.typing import NDArray

from model_store.contract import NETWORK_SIZE, network_input, squeeze

Float = NDArray[np.float32]

_STRIP = 1 << 16  # pixels at a time, so that a strip's planes stay in a core's cache


def upsample_ab(ab: Float, L: Float, *, radius: int, eps: float) -> Float:
    """Bring chroma to the size of L by a fast guided filter: colours then end where edges do.

    In every window of the small image ab ≈ A·(L/100) + B by regularised least squares (He, Sun &
    Tang 2010, eq. 5, 6 and 8); the window means of A and B are upsampled bilinearly and applied
    to the full-size L (He & Sun 2015, algorithm 2).

    Args:
        ab: float32 [h, w, 2] in Lab units, the network's output.
        L: float32 [H, W] in [0, 100], the photo's own.
        radius: half width of the window in pixels at 224 × 224 (for another size of ab it is
            scaled); 0 means plain bilinear upsampling.
        eps: regularisation in units of (L/100)²; larger means smoother.

    Returns:
        float32 [H, W, 2] in Lab units.

    Raises:
        ValueError: for other shapes or dtypes, a negative radius, or eps that is not positive.
    """
    check_planes(ab, L)
    if radius < 0 or not eps > 0:
        raise ValueError(f"radius must be >= 0 and eps > 0, not {radius} and {eps}")
    if radius == 0:
        return squeeze(ab, *L.shape)
    guide = squeeze(network_input(L)[:, :, 0], *ab.shape[:2]) / np.float32(100)
    return _apply(_coefficients(guide, ab, radius, eps), L)


def check_planes(ab: Float, L: Float) -> None:
    """Check that ab is float32 [h, w, 2] and L float32 [H, W], neither empty; else ValueError."""
    if ab.ndim != 3 or ab.shape[2] != 2 or not ab.size or ab.dtype != np.float32:
        raise ValueError(f"ab must be float32 [h, w, 2], not {ab.dtype} {list(ab.shape)}")
    if L.ndim != 2 or not L.size or L.dtype != np.float32:
        raise ValueError(f"L must be float32 [H, W], not {L.dtype} {list(L.shape)}")


def _coefficients(guide: Float, ab: Float, radius: int, eps: float) -> Float:
    """Window means of A_a, A_b, B_a, B_b: float32 [h, w, 4], from guide [h, w] and ab [h, w, 2]."""
    height, width = guide.shape
    window = tuple(2 * max(1, round(radius * n / NETWORK_SIZE)) + 1 for n in (width, height))

    def mean(x: NDArray[np.float64]) -> NDArray[np.float64]:
        boxed = cv2.boxFilter(x, -1, window, borderType=cv2.BORDER_REFLECT)
        return np.asarray(boxed, np.float64).reshape(x.shape)

    # In float64: the variance is a difference of two nearly equal means.
    i, p = guide.astype(np.float64)[:, :, np.newaxis], ab.astype(np.float64)
    mean_i, mean_p = mean(i), mean(p)
    slope = (mean(i * p) - mean_i * mean_p) / (mean(i * i) - mean_i**2 + eps)
    offset = mean_p - slope * mean_i
    return mean(np.concatenate([slope, offset], axis=2)).astype(np.float32)


def _apply(coefficients: Float, L: Float) -> Float:
    """A·(L/100) + B with the coefficients upsampled: widthwise at once, heightwise in strips."""
    rows, columns = L.shape
    coefficients = squeeze(coefficients, min(coefficients.shape[0], rows), columns)
    planes = np.ascontiguousarray(np.moveaxis(coefficients, 2, 0))
    planes[:2] /= 100
    height = planes.shape[1]
    # Centres of pixels, as in cv2.resize.
    y = np.clip((np.arange(rows) + 0.5) * height / rows - 0.5, 0, height - 1)
    upper = np.minimum(y.astype(np.intp), max(height - 2, 0))
    lower = np.minimum(upper + 1, height - 1)
    weight = (y - upper).astype(np.float32)[:, np.newaxis]
    ab = np.empty((rows, columns, 2), np.float32)
    step = max(1, _STRIP // columns)
    for i in range(0, rows, step):
        part = slice(i, i + step)
        strip = []
        for slope, offset in ((planes[0], planes[2]), (planes[1], planes[3])):
            plane = _blend(slope, upper[part], lower[part], weight[part])
            plane *= L[part]
            plane += _blend(offset, upper[part], lower[part], weight[part])
            strip.append(plane)
        cv2.merge(strip, dst=ab[part])
    return ab


def _blend(plane: Float, upper: NDArray[np.intp], lower: NDArray[np.intp], weight: Float) -> Float:
    """Rows between two rows of the plane."""
    blended = plane[lower]
    above = plane[upper]
    blended -= above
    blended *= weight
    blended += above
    return blended
