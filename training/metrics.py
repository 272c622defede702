"""Measures of a colorization: gain over grey, ab error, colourfulness, the thesis's accuracy."""

import cv2
import numpy as np
from numpy.typing import NDArray

SSIM_WINDOW = 7


def psnr(image: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 sRGB images [H, W, 3]; 100 when equal."""
    error = np.mean((image.astype(np.float32) - truth.astype(np.float32)) ** 2)
    return float(10 * np.log10(255.0**2 / max(float(error), 255.0**2 * 1e-10)))


def gain_db(predicted: NDArray[np.float32], ab: NDArray[np.float32]) -> float:
    """How many dB a photo's ab error is below that of grey (ab = 0); both [h, w, 2]."""
    error, grey = np.mean((predicted - ab) ** 2) + 1e-6, np.mean(ab**2) + 1e-6
    return float(10 * np.log10(grey / error))


def ab_error(predicted: NDArray[np.float32], ab: NDArray[np.float32]) -> float:
    """Mean Euclidean distance in the ab plane, Lab units; both [H, W, 2]."""
    return float(np.hypot(*np.moveaxis(predicted - ab, -1, 0)).mean())


def ssim(image: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Structural similarity of two uint8 sRGB images [H, W, 3], a mean over channels.

    Wang et al. 2004, eq. 13, in uniform 7 x 7 windows that lie inside the image, with sample
    variances: scikit-image's default, several times faster. 1 when equal. As luminance is that of
    the truth, it starts high: read it beside the grey photo's. Raises ValueError for a side under
    7 pixels.
    """
    if min(image.shape[:2]) < SSIM_WINDOW:
        raise ValueError(f"no window of {SSIM_WINDOW} pixels fits an image of {image.shape[:2]}")
    x, y = image.astype(np.float64), truth.astype(np.float64)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    inside = slice(SSIM_WINDOW // 2, -(SSIM_WINDOW // 2))

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        blurred = cv2.blur(values, (SSIM_WINDOW, SSIM_WINDOW))
        return np.asarray(blurred[inside, inside], np.float64)

    mean_x, mean_y = mean(x), mean(y)
    square, product = mean_x**2 + mean_y**2, mean_x * mean_y
    sample = SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1)
    variances = sample * (mean(x * x + y * y) - square)
    covariance = sample * (mean(x * y) - product)
    similarity = (2 * product + c1) * (2 * covariance + c2) / ((square + c1) * (variances + c2))
    return float(similarity.mean())


def hue_error(predicted: NDArray[np.float32], ab: NDArray[np.float32]) -> float:
    """Mean absolute difference of hue in degrees, each pixel weighing as its chroma in the truth.

    Both [H, W, 2]. A predicted pixel without chroma has no hue and counts 90, as chance would.
    """
    chroma = np.hypot(ab[..., 0], ab[..., 1])
    # The angle between two vectors, from their products.
    dot = (predicted * ab).sum(-1)
    cross = predicted[..., 0] * ab[..., 1] - predicted[..., 1] * ab[..., 0]
    angle = np.degrees(np.arctan2(np.abs(cross), dot))
    angle = np.where(np.hypot(predicted[..., 0], predicted[..., 1]) < 1e-3, 90, angle)
    return float((angle * chroma).sum() / max(float(chroma.sum()), 1e-6))


def colourfulness(rgb: NDArray[np.uint8]) -> float:
    """Colourfulness M3 of an sRGB image [H, W, 3] (Hasler & Suesstrunk 2003, section 7).

    0 is grey; 15 slightly, 33 moderately, 59 quite, 109 extremely colourful.
    """
    r, g, b = np.moveaxis(rgb.astype(np.float32), -1, 0)
    rg, yb = r - g, 0.5 * (r + g) - b
    spread = np.hypot(rg.std(), yb.std())
    centre = np.hypot(rg.mean(), yb.mean())
    return float(spread + 0.3 * centre)


def accuracy(predicted: NDArray[np.float32], ab: NDArray[np.float32]) -> float:
    """The thesis's accuracy: share of pixels where argmax(a, b) agrees; both [H, W, 2].

    Keras's "accuracy" on a two-channel output. As argmax does, a tie counts as a.
    """
    b_larger = ab[..., 1] > ab[..., 0]
    return float(((predicted[..., 1] > predicted[..., 0]) == b_larger).mean())
