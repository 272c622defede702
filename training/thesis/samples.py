"""Photos that the document may show, colorized by all four models."""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from chromaserve.color.lab import srgb_to_lab

from ..colorizer import build_colorizer
from ..config import Config
from ..data import lab_target, read_photo
from ..feed import shrink
from ..run import Run
from ..skin import KIND
from .models import load_model
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
    paths: list[Path],
    people: tuple[str, ...],
    configs: dict[str, Config],
    runs: dict[str, Run],
    chosen: str,
) -> list[Sample]:
    """Colorize photos by all four models; measures are of the chosen one.

    people names the photos that show people: skin is looked for in them alone.
    """
    keras.mixed_precision.set_global_policy("float32")
    encoder = build_colorizer(configs[chosen], with_encoder=True)
    models = {name: load_model(configs[name], runs[name].best) for name in configs}
    samples = []
    for path in paths:
        truth = read_photo(path)
        L, ab = srgb_to_lab(truth)
        seen, target = lab_target(L, ab)
        batch = tf.constant(seen[None])
        taps = encoder.taps(batch)
        answers = {name: predict(taps)[0] for name, predict in models.items()}
        small = np.asarray(shrink(batch).numpy()[0, ..., 0], np.float32)
        kind = KIND if path.name in people else ""
        measures = measure_photo(path.name, kind, "sample", small, answers[chosen], target)
        samples.append(Sample(L, truth, answers, measures))
    return samples
