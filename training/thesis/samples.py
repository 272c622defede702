"""Photos that the document may show, colorized by all four models."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chromaserve.color.lab import srgb_to_lab
from chromaserve.store.contract import squeeze

from ..data import read_photo
from ..gains import load_model
from ..model import target_side
from ..ncnn_encoder import frozen_part
from ..skin import KIND
from ..views import whole
from ..weights import load_npz
from .experiment import MODELS
from .models import BEST, answer
from .photo import PhotoMeasures, measure_photo

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """A photo that may be shown: its own-size L and RGB, each model's ab [56, 56, 2], measures."""

    L: Float
    truth: NDArray[np.uint8]
    answers: dict[str, Float]
    measures: PhotoMeasures


def colour_samples(
    paths: list[Path], people: tuple[str, ...], folder: Path, chosen: str
) -> list[Sample]:
    """Colorize photos by all four models, in the experiment's folder; measures are of the chosen.

    people names the photos that show people: skin is looked for in them alone.
    """
    model = load_model(folder / chosen / BEST)
    encode, side = frozen_part(model), target_side(model.config, 224)
    truths = [read_photo(path) for path in paths]
    seen = [whole(truth, side) for truth in truths]
    taps = [{name: tap[None] for name, tap in encode(L).items()} for L, _ in seen]
    answers: list[dict[str, Float]] = [{} for _ in paths]
    for name in MODELS:
        load_npz(folder / name / BEST, model)
        for own, each in zip(answers, taps, strict=True):
            own[name] = answer(model, each)[0]
    samples = []
    for path, truth, (L, target), own in zip(paths, truths, seen, answers, strict=True):
        kind = KIND if path.name in people else ""
        small = squeeze(L[..., 0], side, side)
        measures = measure_photo(path.name, kind, "sample", small, own[chosen], target)
        samples.append(Sample(srgb_to_lab(truth)[0], truth, own, measures))
    return samples
