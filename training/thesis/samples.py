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
    models = {name: load_model(folder / name / BEST) for name in MODELS}
    model = models[chosen]
    encode, side = frozen_part(model), target_side(model.config, 224)
    samples = []
    for path in paths:
        truth = read_photo(path)
        seen, target = whole(truth, side)
        taps = {name: tap[None] for name, tap in encode(seen).items()}
        answers = {name: answer(each, taps)[0] for name, each in models.items()}
        small = squeeze(seen[..., 0], side, side)
        kind = KIND if path.name in people else ""
        measures = measure_photo(path.name, kind, "sample", small, answers[chosen], target)
        samples.append(Sample(srgb_to_lab(truth)[0], truth, answers, measures))
    return samples
