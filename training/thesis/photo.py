"""What is measured of one photo's answer, at the network's own size."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chromaserve.color.lab import lab_to_srgb

from .. import skin
from ..metrics import ab_error, accuracy, colourfulness, gain_db
from ..network import AB_SCALE
from . import failures

Float = NDArray[np.float32]


@dataclass(frozen=True)
class PhotoMeasures:
    """One photo's measures at 56 x 56; NaN where a photo has no such region."""

    file: str
    kind: str
    split: str
    loss: float  # mean squared error of ab/128
    loss_grey: float  # that of grey
    gain: float  # dB over grey, in ab
    accuracy: float  # argmax(a, b) agrees: share of pixels
    b_larger: float  # share of pixels with b > a in the truth
    ab_error: float  # mean, Lab units
    chroma_truth: float  # mean, Lab units
    colourfulness: float
    colourfulness_truth: float
    brown: float  # share of chroma between orange and yellow
    brown_truth: float
    hue_entropy: float  # bits, of the truth
    skin_error: float  # of photos of people only, a sum over the region's pixels, as are the next
    skin_chroma: float
    skin_chroma_truth: float
    rest_error: float  # clothes and background
    rest_chroma: float
    rest_chroma_truth: float
    blobs: float  # share of pixels
    sky_gradient: float  # Lab units a pixel
    sky_gradient_truth: float

    @property
    def relative_error(self) -> float:
        """ab error over the truth's chroma: 1 for grey."""
        return self.ab_error / max(self.chroma_truth, 1e-3)

    @property
    def relative_skin_error(self) -> float:
        """The same on skin; NaN without it."""
        return self.skin_error / max(self.skin_chroma_truth, 1e-3)


def measure_photo(
    file: str, kind: str, split: str, L: Float, predicted: Float, ab: Float
) -> PhotoMeasures:
    """Measure one answer: L [56, 56] in [0, 100], predicted and true ab [56, 56, 2], Lab units."""
    rgb = np.asarray(lab_to_srgb(L, ab), np.uint8)
    output = np.asarray(lab_to_srgb(L, predicted), np.uint8)
    of_skin = skin.skin_pixels(rgb) & (kind == skin.KIND)
    rest = ~of_skin & (kind == skin.KIND)
    sky = failures.smooth_sky(L, ab)

    def enough(where: NDArray[np.bool_]) -> bool:
        return float(where.mean()) >= skin.MIN_SHARE

    def region(where: NDArray[np.bool_]) -> tuple[float, float, float]:
        absent = (math.nan, math.nan, math.nan)
        return failures.region_sums(predicted, ab, where) if enough(where) else absent

    skin_error, skin_chroma, skin_chroma_truth = region(of_skin)
    rest_error, rest_chroma, rest_chroma_truth = region(rest)
    return PhotoMeasures(
        file=file,
        kind=kind,
        split=split,
        loss=float(np.mean((predicted - ab) ** 2)) / AB_SCALE**2,
        loss_grey=float(np.mean(ab**2)) / AB_SCALE**2,
        gain=gain_db(predicted, ab),
        accuracy=accuracy(predicted, ab),
        b_larger=float((ab[..., 1] > ab[..., 0]).mean()),
        ab_error=ab_error(predicted, ab),
        chroma_truth=float(failures.chroma(ab).mean()),
        colourfulness=colourfulness(output),
        colourfulness_truth=colourfulness(rgb),
        brown=failures.brown_share(predicted),
        brown_truth=failures.brown_share(ab),
        hue_entropy=failures.hue_entropy(ab),
        skin_error=skin_error,
        skin_chroma=skin_chroma,
        skin_chroma_truth=skin_chroma_truth,
        rest_error=rest_error,
        rest_chroma=rest_chroma,
        rest_chroma_truth=rest_chroma_truth,
        blobs=failures.blobs(predicted, ab),
        sky_gradient=float(failures.gradient(predicted)[sky].mean()) if enough(sky) else math.nan,
        sky_gradient_truth=float(failures.gradient(ab)[sky].mean()) if enough(sky) else math.nan,
    )
