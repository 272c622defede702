"""The calibration of vividness: 0 is the least error, 1 the truth's colourfulness, even between."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from keras import KerasTensor as Tensor
from keras import ops
from numpy.typing import NDArray

from chromaserve.color.lab import lab_to_srgb, srgb_to_L
from chromaserve.color.postprocess import enlarge_ab
from chromaserve.store.contract import NETWORK_SIZE, Blend, GuidedFilter, squeeze

from .config import Publish
from .metrics import colourfulness, psnr

Float = NDArray[np.float32]

TEMPERATURES = (0.15, 0.25, 0.38, 0.6)  # of the annealed mean at vividness 1
SCALES = tuple(round(0.70 + 0.05 * i, 2) for i in range(9))  # of the regression at vividness 0
KNOTS = 11
ROUNDING = 0.05  # of the default vividness
# Chosen on 500 photos that the network was not trained on, how the contrast rises on 395 others: at
# 0.84 of the truth's colourfulness these gain 0.2 dB over grey against the distribution alone.
DISTRIBUTION = 0.25  # share of the distribution head, reached at a third of vividness
CONTRAST = 0.3  # share of a photo's mean colour that is taken out at vividness 1
_STEPS = 4  # of the search for a scale
_SCALES = 0.2, 2.0  # it stays between them
_CLOSE = 0.003  # of colourfulness by the truth's


@dataclass(frozen=True)
class Answers:
    """A network's answers to photos at its own size: everything that a blend is made of.

    L float32 [N, h, w]; truth, regression and, for each temperature, the annealed mean:
    float32 [N, h, w, 2], Lab units.
    """

    L: Float
    truth: Float
    regression: Float
    annealed: dict[float, Float]

    def of(self, chosen: Sequence[int]) -> "Answers":
        """Those to some of the photos."""
        index = list(chosen)
        return Answers(
            self.L[index], self.truth[index], self.regression[index],
            {t: ab[index] for t, ab in self.annealed.items()},
        )  # fmt: skip


@dataclass(frozen=True)
class Point:
    """Vividness, mean gain over grey in dB of sRGB, mean colourfulness over the truth's."""

    vividness: float
    gain: float
    colourfulness_ratio: float


@dataclass(frozen=True)
class Calibration:
    """The settings found, and what they give, vividness by vividness.

    safe_gains are the photos' gains at vividness 0, dB.
    """

    settings: Publish
    points: tuple[Point, ...]
    safe_gains: tuple[float, ...]

    def gain_at(self, colourfulness_ratio: float) -> float:
        """Gain where the colourfulness is that share of the truth's, between the points."""
        ratios = [p.colourfulness_ratio for p in self.points]
        return float(np.interp(colourfulness_ratio, ratios, [p.gain for p in self.points]))


def blend(regression: Tensor, annealed: Tensor, vividness: Tensor, settings: Publish) -> Tensor:
    """Join the heads' ab [N, h, w, 2] by vividness [N] in [0, 1].

    ab = safe_scale^(1 - m) vivid_scale^m ((1 - m) regression + m annealed), where m, the
    distribution's share, is read off `settings.shares`.
    """
    shares = settings.shares
    place = vividness * (len(shares) - 1)
    m: Tensor = shares[0]
    # Piece by piece: a sum that the CPU engine's converter knows, whatever the backend.
    for i in range(len(shares) - 1):
        m = m + (shares[i + 1] - shares[i]) * ops.clip(place - float(i), 0.0, 1.0)
    safe, vivid = np.log(settings.safe_scale), np.log(settings.vivid_scale)
    scale = ops.exp((1 - m) * float(safe) + m * float(vivid))
    m, scale = m[:, None, None, None], scale[:, None, None, None]
    return scale * ((1 - m) * regression + m * annealed)


class Ruler:
    """Measures chroma for the photos of `answers`; what doesn't depend on it is measured once."""

    def __init__(self, answers: Answers, seen: float = 1.0) -> None:
        self._L = answers.L
        self._seen = seen
        self._truth = [self._photo(i, ab) for i, ab in enumerate(answers.truth)]
        nothing = np.zeros_like(answers.truth[0])
        self._grey = [psnr(self._photo(i, nothing), t) for i, t in enumerate(self._truth)]
        self._colourful = float(np.mean([colourfulness(t) for t in self._truth]))

    def _photo(self, i: int, ab: Float) -> NDArray[np.uint8]:
        return np.asarray(lab_to_srgb(self._L[i], ab), np.uint8)

    def gains(self, ab: Float) -> list[float]:
        """Gain over grey in dB of each photo, of ab [N, h, w, 2]."""
        photos = [self._photo(i, each) for i, each in enumerate(ab)]
        pairs = zip(photos, self._truth, self._grey, strict=True)
        return [psnr(photo, truth) - grey for photo, truth, grey in pairs]

    def ratio(self, ab: Float) -> float:
        """Mean colourfulness over the truth's, of ab [N, h, w, 2], as full size shows it."""
        photos = [colourfulness(self._photo(i, each)) for i, each in enumerate(ab)]
        return self._seen * float(np.mean(photos)) / self._colourful


def seen_at_full_size(
    answers: Answers, photos: Iterable[NDArray[np.uint8]], settings: Publish
) -> float:
    """What the photos' own size shows of the colourfulness ratio at the answers'.

    The truth has fine colour that small planes lack and no answer has. Measured on the annealed
    mean of the photos, uint8 RGB [H, W, 3], those of `answers`, after the settings'
    post-processing.
    """
    guided = GuidedFilter(radius=settings.guided_radius, eps=settings.guided_eps)
    annealed = answers.annealed[settings.temperature]
    sums = np.zeros(4)
    for photo, L, truth, ab in zip(photos, answers.L, answers.truth, annealed, strict=True):
        own_L = srgb_to_L(photo)
        large = squeeze(ab, NETWORK_SIZE, NETWORK_SIZE)
        own_ab = enlarge_ab(large, own_L, method=settings.postprocess, guided=guided)
        seen = (lab_to_srgb(own_L, own_ab), photo, lab_to_srgb(L, ab), lab_to_srgb(L, truth))
        sums += [colourfulness(np.asarray(each, np.uint8)) for each in seen]
    own, own_truth, small, small_truth = np.maximum(sums, 1e-6)
    return float(own / own_truth / (small / small_truth))


def calibrate_vividness(answers: Answers, settings: Publish, seen: float = 1.0) -> Calibration:
    """Find the settings of the blend that make vividness mean what it says.

    At 0 the regression, scaled to the highest gain; at 1 the annealed mean of the temperature that
    loses least, scaled to the truth's colourfulness; between them the shares at which
    colourfulness rises evenly. The default is where it reaches `default_colourfulness`. seen is
    what the photos' own size shows of the colourfulness ratio (`seen_at_full_size`).
    """
    ruler = Ruler(answers, seen)
    safe_scale = max(SCALES, key=lambda s: np.mean(ruler.gains(s * answers.regression)))
    ends = []
    for temperature, annealed in answers.annealed.items():
        scale = _scale_to(ruler, annealed, 1.0)
        ends.append((float(np.mean(ruler.gains(scale * annealed))), temperature, scale))
    _, temperature, vivid_scale = max(ends)
    found = settings.model_copy(
        update={
            "temperature": temperature,
            "safe_scale": safe_scale,
            "vivid_scale": round(vivid_scale, 3),
            "shares": (0.0, 1.0),
        }
    )

    def measured(vividness: float, settings: Publish) -> Point:
        v = np.full(len(answers.L), vividness, np.float32)
        annealed = answers.annealed[temperature]
        blended = blend(answers.regression, annealed, ops.convert_to_tensor(v), settings)
        ab = np.asarray(ops.convert_to_numpy(blended), np.float32)
        return Point(vividness, float(np.mean(ruler.gains(ab))), ruler.ratio(ab))

    steps = [round(i / (KNOTS - 1), 3) for i in range(KNOTS)]
    ratios = [measured(v, found).colourfulness_ratio for v in steps]
    ratios = list(np.maximum.accumulate(ratios))
    wanted = np.linspace(ratios[0], ratios[-1], KNOTS)
    shares = tuple(round(float(s), 3) for s in np.interp(wanted, ratios, steps))
    found = found.model_copy(update={"shares": (0.0, *shares[1:-1], 1.0)})
    points = tuple(measured(v, found) for v in steps)
    reached = np.interp(
        settings.default_colourfulness, [p.colourfulness_ratio for p in points], steps
    )
    return Calibration(
        found.model_copy(update={"default_vividness": _rounded_up(float(reached))}),
        points,
        tuple(ruler.gains(safe_scale * answers.regression)),
    )


@dataclass(frozen=True)
class Livened:
    """A blend, and the default vividness by it."""

    blend: Blend
    default_vividness: float


def calibrate_blend(answers: Answers, settings: Publish, seen: float = 1.0) -> Livened:
    """Find the scales at which colourfulness rises evenly, from the regression's to the truth's.

    Args:
        answers: of the network.
        settings: its calibrated ones, by `calibrate_vividness`.
        seen: see `seen_at_full_size`.
    """
    ruler = Ruler(answers, seen)
    annealed = answers.annealed[settings.temperature]
    first = ruler.ratio(np.float32(settings.safe_scale) * answers.regression)
    steps = np.linspace(0, 1, KNOTS)
    asked, contrast, scale = [0.0], [0.0], [1.0]
    for v in steps[1:]:
        m = DISTRIBUTION * min(1.0, 3 * v)
        asked.append(round(float(np.interp(m, settings.shares, steps)), 4))
        contrast.append(round(CONTRAST * float(v), 3))
        own = settings.safe_scale ** (1 - m) * settings.vivid_scale**m
        ab = own * ((1 - m) * answers.regression + m * annealed)
        ab = (ab - contrast[-1] * ab.mean((1, 2), keepdims=True)).astype(np.float32)
        scale.append(round(_scale_to(ruler, ab, first + v * (1 - first), scale[-1]), 3))
    reached = max(0.0, (settings.default_colourfulness - first) / max(1 - first, 1e-6))
    blend = Blend(asked=tuple(asked), contrast=tuple(contrast), scale=tuple(scale))
    return Livened(blend, _rounded_up(reached))


def _rounded_up(vividness: float) -> float:
    return min(1.0, round(float(np.ceil(vividness / ROUNDING - 1e-6)) * ROUNDING, 2))


def _scale_to(ruler: Ruler, ab: Float, wanted: float, start: float = 1.0) -> float:
    """The factor of ab that reaches a colourfulness by the truth's, by the secant method."""
    scale, before = start, (0.0, 0.0)
    for _ in range(_STEPS):
        ratio = ruler.ratio(np.float32(scale) * ab)
        if abs(ratio - wanted) < _CLOSE or scale == before[0]:
            break
        slope = max((ratio - before[1]) / (scale - before[0]), 1e-6)
        before = scale, ratio
        scale = float(np.clip(scale + (wanted - ratio) / slope, *_SCALES))
    return scale
