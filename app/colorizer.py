"""From a photo's lightness to its colours: no HTTP, no threads, no model."""

import cv2
import numpy as np

from app.images.photo import Float, Photo, Pixels
from model_store.contract import GuidedFilter, Postprocess, network_input
from model_store.lab import lab_to_srgb
from model_store.postprocess import enlarge_ab

_STRIP = 1 << 20  # pixels converted at a time: temporaries stay small for any photo


def prepare(photo: Photo) -> Float:
    """The network's input for a photo: float32 [224, 224, 1] in [0, 100]."""
    return network_input(photo.L)


def recolor(photo: Photo, ab: Float, method: Postprocess, guided: GuidedFilter) -> Pixels:
    """Join a photo's lightness with the network's chroma at the photo's own size.

    Args:
        photo: the decoded photo, [H, W].
        ab: float32 [h, w, 2] in Lab units, the network's output for it.
        method: how ab comes to the photo's size; see `enlarge_ab`.
        guided: of the model that made ab.

    Returns:
        uint8 or uint16 [H, W, 3], or [H, W, 4] with the photo's alpha, in OpenCV's order
        blue, green, red(, alpha). L* is the photo's own to rounding.
    """
    chroma = enlarge_ab(ab, photo.L, method=method, guided=guided)
    rows, columns = photo.L.shape
    out: Pixels = np.empty((rows, columns, 3 if photo.alpha is None else 4), np.dtype(photo.dtype))
    step = max(1, _STRIP // columns)
    for i in range(0, rows, step):
        part = slice(i, i + step)
        rgb = lab_to_srgb(photo.L[part], chroma[part], photo.dtype)
        # mixChannels writes into `out` without a copy of the whole photo.
        cv2.mixChannels([rgb], [out[part]], [0, 2, 1, 1, 2, 0])
    if photo.alpha is not None:
        out[..., 3] = photo.alpha
    return out
