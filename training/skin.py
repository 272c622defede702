"""Where a photo shows skin, by colour, and how well skin is coloured there."""

import numpy as np
from numpy.typing import NDArray

from .metrics import ab_error, hue_error

KIND = "people"  # wood, sand and fur have skin's colours too: the rule is for portraits only
MIN_SHARE = 0.02


def skin_pixels(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the pixels with skin's chrominance: Cr in [133, 173] and Cb in [77, 127].

    Chai & Ngan 1999 ("Face segmentation using skin-color map in videophone applications", section
    III-A), in the 8-bit components of ITU-R BT.601, which go from 16 to 240. Brightness has no
    part in it, so that dark skin is found as well as light.

    Args:
        rgb: uint8 sRGB [H, W, 3].

    Returns:
        bool [H, W].
    """
    r, g, b = np.moveaxis(rgb.astype(np.float32), -1, 0)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    cr = 128 + 224 / 255 * (r - y) / 1.402
    cb = 128 + 224 / 255 * (b - y) / 1.772
    return np.asarray((cr >= 133) & (cr <= 173) & (cb >= 77) & (cb <= 127))


def skin_measures(
    ab: NDArray[np.float32], ab_truth: NDArray[np.float32], skin: NDArray[np.bool_]
) -> dict[str, float]:
    """Error, hue error and chroma of skin: ab and its truth [H, W, 2], skin [H, W] not empty.

    skin_chroma_ratio is mean chroma over the truth's.
    """
    ab, ab_truth = ab[skin][np.newaxis], ab_truth[skin][np.newaxis]
    chroma, chroma_truth = (np.hypot(x[..., 0], x[..., 1]).mean() for x in (ab, ab_truth))
    return {
        "skin_ab_error": ab_error(ab, ab_truth),
        "skin_hue_error": hue_error(ab, ab_truth),
        "skin_chroma_ratio": float(chroma / max(chroma_truth, 1e-6)),
    }
