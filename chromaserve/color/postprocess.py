"""Ways of bringing the network's chroma to the photo's own size, one name each."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from chromaserve.color.random_field import edge_confidence, spread_colour
from chromaserve.color.total_variation import denoise_tv, edge_weights
from chromaserve.color.upsampling import apply_model, check_planes, local_model
from chromaserve.store.contract import NETWORK_SIZE, GuidedFilter, squeeze
from chromaserve.store.contract import Postprocess as Postprocess

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
        method: "none": bilinearly; "guided": by the guided filter (see `local_model`); "tv":
            total variation denoising at the size of ab, weaker across edges of L (see
            `denoise_tv`), then the guided filter; "crf": a Gaussian random field at the photo's
            own aspect ratio, at most 224 x 224 (see `spread_colour`), then the guided filter.
        guided: settings of the guided filter.

    Returns:
        float32 [H, W, 2] in Lab units; the same arguments give the same bytes.

    Raises:
        ValueError: for other shapes or dtypes.
    """
    check_planes(ab, L)
    model = chroma_model(
        ab,
        L.shape,
        lambda height, width: squeeze(L, height, width),
        method=method,
        guided=guided,
    )
    return apply_model(model, L)


def chroma_model(
    ab: Float,
    size: tuple[int, ...],
    lightness: Callable[[int, int], Float],
    *,
    method: Postprocess,
    guided: GuidedFilter,
) -> Float:
    """What `enlarge_ab` does, up to the last step: needs L at small sizes only.

    Args:
        ab: float32 [h, w, 2] in Lab units, the network's output.
        size: height and width of the photo.
        lightness: gives the photo's L squeezed (see `squeeze`) to a height and a width.
        method: see `enlarge_ab`.
        guided: settings of the guided filter.

    Returns:
        float32 [h', w', 4], the local model of chroma: see `local_model` and `apply_model`.
    """
    radius = 0 if method == "none" else guided.radius
    height, width = (max(n, NETWORK_SIZE) for n in ab.shape[:2])
    guide = np.clip(lightness(height, width), 0, 100)
    if method == "tv":
        weights = edge_weights(
            squeeze(guide, *ab.shape[:2]), weight=TV_WEIGHT, contrast=TV_CONTRAST
        )
        ab = denoise_tv(ab, weights)
        radius = min(radius, FOLLOWING_RADIUS)
    if method == "crf":
        L = lightness(*_working_size(size[0], size[1]))
        ab = spread_colour(squeeze(ab, *L.shape), L, edge_confidence(L))
        radius = min(radius, FOLLOWING_RADIUS)
    return local_model(ab, guide, radius=radius, eps=guided.eps)


def _working_size(height: int, width: int) -> tuple[int, int]:
    """The photo's size, or NETWORK_SIZE for the longer side if that is smaller."""
    scale = min(1.0, NETWORK_SIZE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
