"""Measures of a colorization: gain over grey, ab error, colourfulness, the thesis's accuracy."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SSIM_WINDOW = 7


def psnr(image: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 sRGB images [H, W, 3]; 100 when equal."""
    error = np.mean((image.astype(np.float32) - truth.astype(np.float32)) ** 2)
    return float(10 * np.log10(255.0**2 / max(float(error), 255.0**2 * 1e-10)))


def mean_gain_db(predicted: NDArray[np.float32], ab: NDArray[np.float32]) -> list[float]:
    """How many dB each photo's ab error is below that of grey (ab = 0); both [N, h, w, 2]."""
    error = np.mean((predicted - ab) ** 2, axis=(1, 2, 3)) + 1e-6
    grey = np.mean(ab**2, axis=(1, 2, 3)) + 1e-6
    return [float(g) for g in 10 * np.log10(grey / error)]


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


@dataclass
class Accuracy:
    """The thesis's accuracy, summed over photos: how often argmax(a, b) agrees, a pixel.

    Keras's "accuracy" on a two-channel output. Its baseline is the better of the two constant
    answers. As argmax does, a tie counts as a.
    """

    pixels: int = 0
    right: int = 0
    b_larger: int = 0

    def add(self, predicted: NDArray[np.float32], ab: NDArray[np.float32]) -> None:
        """Count the pixels of a photo or a batch: arrays [..., 2]."""
        truth = ab[..., 1] > ab[..., 0]
        self.pixels += truth.size
        self.right += int(((predicted[..., 1] > predicted[..., 0]) == truth).sum())
        self.b_larger += int(truth.sum())

    @property
    def value(self) -> float:
        """Share of pixels that agree."""
        return self.right / max(1, self.pixels)

    @property
    def baseline(self) -> float:
        """Share of pixels that the best constant answer gets right."""
        return max(self.b_larger, self.pixels - self.b_larger) / max(1, self.pixels)
