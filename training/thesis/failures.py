"""The known failures of the thesis's model as measures on one photo: muted and sepia tones, skin
and clothes, many colours, blobs, choppy gradients."""

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

HUE_BINS = 16
BROWN_DEGREES = (40.0, 100.0)  # hue angle in the ab plane: orange, brown, yellow
BLOB_WINDOW = 15  # pixels of 56: what a patch is compared with
BLOB_UNITS = 10.0  # Lab units that a patch differs from what is around it
BLOB_TRUTH_UNITS = 5.0  # the most that the truth may differ there


def chroma(ab: Float) -> Float:
    """Chroma [...] of ab [..., 2], Lab units."""
    return np.asarray(np.hypot(ab[..., 0], ab[..., 1]), np.float32)


def region_sums(predicted: Float, ab: Float, where: Mask) -> tuple[float, float, float]:
    """ab error, chroma and the truth's chroma, each summed over the mask's pixels, Lab units.

    predicted, ab [h, w, 2]; where [h, w]. Sums, as error over chroma is to be pooled over photos:
    a mean of the photos' own ratios would be that of the few with hardly any chroma.
    """
    error, own, truth = (
        float(chroma(x)[where].sum(dtype=np.float64)) for x in (predicted - ab, predicted, ab)
    )
    return error, own, truth


def hue_entropy(ab: Float) -> float:
    """Entropy in bits of a photo's hues, 16 bins weighted by chroma: 0 one hue, 4 all alike."""
    hue = np.arctan2(ab[..., 1], ab[..., 0]) / (2 * np.pi) % 1
    weights = chroma(ab)
    share, _ = np.histogram(hue, HUE_BINS, (0, 1), weights=weights)
    share = share / max(float(share.sum()), 1e-6)
    share = share[share > 0]
    return float(-(share * np.log2(share)).sum() + 0.0)


def brown_share(ab: Float) -> float:
    """Share of a photo's chroma that has a hue from orange to yellow, the tones of sepia."""
    hue = np.degrees(np.arctan2(ab[..., 1], ab[..., 0]))
    weights = chroma(ab)
    brown = (hue >= BROWN_DEGREES[0]) & (hue <= BROWN_DEGREES[1])
    return float(weights[brown].sum() / max(float(weights.sum()), 1e-6))


def blobs(predicted: Float, ab: Float) -> float:
    """Share of pixels in coloured patches that the truth hasn't; both [h, w, 2].

    A pixel is in a patch where its ab is over 10 units from the mean of the 15 x 15 pixels around
    it; the truth has none where it is less than 5 units from its own.
    """

    def contrast(x: Float) -> Float:
        return chroma(x - cv2.blur(x, (BLOB_WINDOW, BLOB_WINDOW)))

    patch = (contrast(predicted) > BLOB_UNITS) & (contrast(ab) < BLOB_TRUTH_UNITS)
    return float(patch.mean())


def gradient(x: Float) -> Float:
    """Magnitude [h, w] of the gradient of x [h, w] or [h, w, C], central differences, a pixel."""
    dy, dx = np.gradient(x, axis=(0, 1))
    squares = dy**2 + dx**2
    return np.asarray(np.sqrt(squares if x.ndim == 2 else squares.sum(-1)), np.float32)


def smooth_sky(L: Float, ab: Float) -> Mask:
    """Pixels [h, w] of clear sky: in the upper half, blue (b < -4), of smooth and bright L.

    Chosen by the smoothness of L [h, w], not of ab, so that the truth's ab isn't picked smooth.
    """
    upper = np.arange(len(L))[:, None] < len(L) // 2
    return np.asarray(upper & (ab[..., 1] < -4) & (L > 40) & (gradient(L) < 1.0))
