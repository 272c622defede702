"""The figures of the experiment, as measured, and their files."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from ..intervals import Interval
from .photo import PhotoMeasures


@dataclass(frozen=True)
class Scores:
    """A set of weights: losses over the three splits; accuracy and gain (dB) with intervals."""

    train_loss: float
    val_loss: float
    test_loss: float
    val_accuracy: Interval
    test_accuracy: Interval
    val_gain: Interval
    test_gain: Interval


@dataclass(frozen=True)
class ModelFigures:
    """One of the four models: its curves an epoch, its scores by the best and the last weights."""

    train_curve: list[float]
    val_curve: list[float]
    best_epoch: int
    seconds: float
    best: Scores
    last: Scores
    failures: dict[str, Interval]


@dataclass(frozen=True)
class Compared:
    """A model's losses by its last weights, a photo's the mean over seeds; in shares."""

    rise: Interval
    """Of the test loss, above that of the best weights, which validation photos chose."""
    gap: Interval
    """Validation loss above training loss."""
    narrowing: Interval
    """That gap by that of the model without regularisation."""
    change: Interval
    """Of the validation loss, against that of the model without regularisation."""


@dataclass(frozen=True)
class KindAccuracy:
    """The thesis's accuracy on photos of a kind, beside the best constant answer."""

    photos: int
    accuracy: Interval
    constant: float


@dataclass(frozen=True)
class Figures:
    """All that the document says, as measured."""

    command: str
    machine: str
    parameters: int
    widths: dict[str, int]
    settings: dict[str, float]  # learning_rate, batch, l1, l2
    seeds: tuple[int, ...]
    photos: dict[str, dict[str, int]]  # split -> kind -> photos
    epochs: int
    epochs_thesis: int
    models: dict[str, ModelFigures]  # by the first seed
    others: list[dict[str, ModelFigures]]  # by the other seeds
    compared: dict[str, Compared]  # by all
    bundled: dict[str, Interval]  # the failures of the bundled model
    bundled_version: int
    chosen: str  # the model of the lowest validation loss, whose accuracy and failures count
    accuracy: dict[str, dict[str, KindAccuracy]]  # split -> kind -> accuracy
    grey_loss: dict[str, float]  # split -> loss of grey answers
    measuring_seconds: float


@dataclass(frozen=True)
class Measured:
    """All that is measured of one of the four: its figures, and what they are of."""

    figures: ModelFigures
    losses: dict[str, list[float]]
    """Of photos, by weights and split: "last val"."""
    photos: list[PhotoMeasures]
    """By the best weights."""
    seconds: float
    """That measuring took."""

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> "Measured":
        """Read what was written. Raises OSError, pydantic.ValidationError."""
        return TypeAdapter(cls).validate_json(path.read_bytes())


def write_figures(path: Path, figures: Figures) -> None:
    """Write the figures as JSON."""
    path.write_text(json.dumps(asdict(figures), indent=2))
