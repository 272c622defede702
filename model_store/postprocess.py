"""Ways of bringing the network's chroma to the photo's own size, one name each."""

import numpy as np
from numpy.typing import NDArray

from model_store.chroma import check_planes, upsample_ab
from model_store.contract import NETWORK_SIZE, GuidedFilter, network_input, squeeze
from model_store.contract import Postprocess as Postprocess
from model_store.random_field import edge_confidence, spread_colour
from model_store.total_variation import denoise_tv, edge_weights

Float = NDArray[np.float32]

# Chosen on 48 training photos by PSNR at the bundled model's default vividness; around each of
# them the mean changes by a few hundredths of a dB.
TV_WEIGHT = 60.0  # Lab units
TV_CONTRAST = 2.0  # L units from one pixel to the next at 224 x 224
FOLLOWING_RADIUS = 5
"""At most, of the guided filter after "tv" and "crf": a wider window would blur anew colours
that follow edges already."""


def enlarge_ab(ab: Float, L: Float, *, method: Postprocess, guided: GuidedFilter) -> Float:
    """Bring chroma to the size of L.

    Args:
        ab: float32 [h, w, 2] in Lab units, the network's output.
        L: float32 [H, W] in [0, 100], the photo's own.
        method: "none": bilinearly; "guided": by the guided filter (see `upsample_ab`); "tv":
            total variation denoising at the size of ab, weaker across edges of L (see
            `denoise_tv`), then the guided filter; "crf": a Gaussian random field at the photo's
            own aspect ratio, at most 224 x 224 (see `spread_colour`), then the guided filter.
        guided: settings of the guided filter.

    Returns:
        float32 [H, W, 2] in Lab units; the same arguments give the same bytes.

    Raises:
        ValueError: as `upsample_ab`.
    """
    check_planes(ab, L)
    radius = 0 if method == "none" else guided.radius
    if method == "tv":
        guide = squeeze(network_input(L)[:, :, 0], *ab.shape[:2])
        ab = denoise_tv(ab, edge_weights(guide, weight=TV_WEIGHT, contrast=TV_CONTRAST))
        radius = min(radius, FOLLOWING_RADIUS)
    if method == "crf":
        guide = squeeze(L, *_working_size(*L.shape))
        ab = spread_colour(squeeze(ab, *guide.shape), guide, edge_confidence(guide))
        radius = min(radius, FOLLOWING_RADIUS)
    return upsample_ab(ab, L, radius=radius, eps=guided.eps)


def _working_size(height: int, width: int) -> tuple[int, int]:
    """The photo's size, or NETWORK_SIZE for the longer side if that is smaller."""
    scale = min(1.0, NETWORK_SIZE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
