"""Gain over grey at equal colourfulness, at the network's own size: what steps are kept by."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from chromaserve.color.lab import srgb_to_lab
from chromaserve.store.contract import network_input, squeeze

from .config import Publish, run_config
from .data import Entry, read_entry
from .errors import WeightsError
from .model import ColorizationModel
from .ncnn_encoder import NcnnEncoder, encoder_weights
from .vividness import TEMPERATURES, Answers, calibrate_vividness
from .weights import assign, load_npz

Float = NDArray[np.float32]

SIDE = 112  # at which answers and truth are compared, whatever the answer's own side
SHARES = (0.8, 0.92, 1.0)  # of the truth's colourfulness


@dataclass(frozen=True)
class Gains:
    """A network's mean gain over grey in dB of sRGB: at vividness 0, and at the SHARES of the
    truth's colourfulness; colourfulness_at_0 as a share of the truth's; and by kind at 0."""

    at_0: float
    colourfulness_at_0: float
    at_shares: tuple[float, ...]
    by_kind_at_0: dict[str, float]


def load_model(source: Path) -> ColorizationModel:
    """A run's model by its .npz, beside which its config.json lies; or a published version's."""
    if source.suffix == ".npz":
        config = run_config(source.parent)
        encoder = config.encoder.model_copy(update={"weights": "none"})
        model = ColorizationModel(config.model_copy(update={"encoder": encoder}))
        if missing := load_npz(source, model):
            raise WeightsError(f"{source} lacks {', '.join(missing)}")
        return model
    if not (source / "model.json").is_file():
        raise WeightsError(f"{source} is neither a run's .npz nor a published version")
    from .export import published_config, published_weights  # needs TensorFlow

    model = ColorizationModel(published_config(source))
    assign(model, published_weights(source))
    return model


def faded(L: Float, codes: tuple[float, float] | None) -> Float:
    """L of a print whose blacks and whites are those codes of 255."""
    if codes is None:
        return L
    black, white = (100 * code / 255 for code in codes)
    return np.asarray(black + L * (white - black) / 100, np.float32)


def collect(
    model: ColorizationModel, entries: Sequence[Entry], root: Path,
    codes: tuple[float, float] | None = None, batch: int = 4,
) -> Answers:  # fmt: skip
    """The network's answers to photos, faded to those codes, enlarged or shrunk to SIDE."""
    encode = NcnnEncoder(encoder_weights(model.encoder), decoder=model.config.decoder)

    def answer(x: dict[str, Float]) -> list[Float]:
        return [np.asarray(keras.ops.convert_to_numpy(a)) for a in model.answers(x, TEMPERATURES)]

    lightness, truths, answers = [], [], [list[Float]() for _ in range(1 + len(TEMPERATURES))]
    for i in range(0, len(entries), batch):
        inputs = []
        for entry in entries[i : i + batch]:
            L, ab = srgb_to_lab(read_entry(root, entry))
            lightness.append(squeeze(L, SIDE, SIDE))
            truths.append(squeeze(ab, SIDE, SIDE))
            inputs.append(encode(faded(network_input(L), codes)))
        x = {name: np.stack([each[name] for each in inputs]) for name in inputs[0]}
        for kept, ab in zip(answers, answer(x), strict=True):
            kept += [squeeze(np.asarray(each, np.float32), SIDE, SIDE) for each in ab]
    regression, *annealed = (np.stack(each) for each in answers)
    return Answers(
        np.stack(lightness), np.stack(truths), regression,
        dict(zip(TEMPERATURES, annealed, strict=True)),
    )  # fmt: skip


def measure(answers: Answers, kinds: Sequence[str]) -> Gains:
    """Calibrate vividness on the answers and read the gains off its curve."""
    found = calibrate_vividness(answers, Publish())
    by_kind: dict[str, list[float]] = {}
    for kind, gain in zip(kinds, found.safe_gains, strict=True):
        by_kind.setdefault(kind or "other", []).append(gain)
    first = found.points[0]
    return Gains(
        at_0=first.gain,
        colourfulness_at_0=first.colourfulness_ratio,
        at_shares=tuple(found.gain_at(share) for share in SHARES),
        by_kind_at_0={kind: float(np.mean(g)) for kind, g in sorted(by_kind.items())},
    )
