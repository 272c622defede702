"""A run's folder: best weights, history, the state to resume from."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from .errors import WeightsError

PROGRESS_COLUMNS = (
    "epoch",
    "images",
    "learning_rate",
    "loss",
    "regression",
    "distribution",
    "penalty",
    "val_regression",
    "val_gain_db",
    "val_accuracy",
    "seconds",
)


@dataclass(frozen=True)
class Run:
    """Where a run keeps its files."""

    folder: Path

    @property
    def best(self) -> Path:
        """Weights of the best epoch by validation."""
        return self.folder / "best.weights.npz"

    @property
    def last(self) -> Path:
        """Weights of the last epoch."""
        return self.folder / "last.weights.npz"

    @property
    def fusion(self) -> Path:
        """Weights of the network trained apart."""
        return self.folder / "fusion.weights.npz"

    @property
    def history(self) -> Path:
        """A line an epoch."""
        return self.folder / "history.csv"

    @property
    def state(self) -> Path:
        """What a resumed run starts from."""
        return self.folder / "state"


def named_weights(parts: Iterable[keras.Model]) -> dict[str, keras.Variable]:
    """Every weight of the models by "model:layer/weight", but for random generators' states."""
    return {
        f"{part.name}:{weight.path}": weight
        for part in parts
        for weight in part.weights
        if "seed_generator" not in weight.path
    }


def save_weights(path: Path, parts: Iterable[keras.Model]) -> None:
    """Write all weights as float32 arrays in one .npz, whole or not at all."""
    partial = path.with_suffix(".part.npz")
    arrays = {name: np.asarray(w) for name, w in named_weights(parts).items()}
    np.savez(partial, allow_pickle=False, **arrays)
    partial.replace(path)


def load_weights(path: Path, parts: Iterable[keras.Model]) -> list[str]:
    """Read what save_weights wrote, as `assign` does."""
    with np.load(path) as arrays:
        return assign(arrays, parts)


def assign(arrays: Mapping[str, NDArray[np.float32]], parts: Iterable[keras.Model]) -> list[str]:
    """Set the weights that `arrays` names; those it lacks are kept, and their names returned.

    Raises WeightsError when a weight has another shape there.
    """
    missing = []
    for name, weight in named_weights(parts).items():
        if name not in arrays:
            missing.append(name)
        elif arrays[name].shape != tuple(weight.shape):
            raise WeightsError(f"{name} is {list(arrays[name].shape)}, not {list(weight.shape)}")
        else:
            weight.assign(arrays[name])
    return missing


def average_with(path: Path, parts: Iterable[keras.Model]) -> None:
    """Replace the weights by their mean with those stored."""
    with np.load(path) as arrays:
        for name, weight in named_weights(parts).items():
            weight.assign((np.asarray(weight) + arrays[name]) / 2)


def average(paths: Sequence[Path], out: Path) -> None:
    """Write the mean of several runs' weights (Wortsman et al. 2022, "Model soups").

    For runs that started from the same weights. Raises WeightsError when they aren't of the same
    network.
    """
    total: dict[str, NDArray[np.float32]] = {}
    for path in paths:
        with np.load(path) as arrays:
            shapes = {name: arrays[name].shape for name in arrays.files}
            if total and shapes != {name: each.shape for name, each in total.items()}:
                raise WeightsError(f"{path} is of another network than {paths[0]}")
            total = {name: total.get(name, 0) + arrays[name] / len(paths) for name in shapes}
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_suffix(".part.npz")
    np.savez(partial, allow_pickle=False, **total)
    partial.replace(out)


def append_history(path: Path, line: dict[str, float]) -> None:
    """Add an epoch's line to history.csv."""
    new = not path.exists()
    with path.open("a", newline="") as f:
        writer = csv.DictWriter(f, PROGRESS_COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow({k: f"{v:.6g}" for k, v in line.items()})


def trim_history(path: Path, epochs: int) -> None:
    """Drop the lines of epochs that the state doesn't hold, as after a kill between the two."""
    if path.exists():
        lines = path.read_text().splitlines()
        path.write_text("\n".join(lines[: epochs + 1]) + "\n")
