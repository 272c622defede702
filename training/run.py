"""A run's folder: best weights, history, the state to resume from."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.colorizer import Colorizer

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
    def history(self) -> Path:
        """A line an epoch."""
        return self.folder / "history.csv"

    @property
    def state(self) -> Path:
        """What a resumed run starts from."""
        return self.folder / "state"


def save_weights(path: Path, network: Colorizer) -> None:
    """Write all weights as float32 arrays in one .npz, whole or not at all."""
    arrays = {
        f"{part.name}/{i}": w
        for part in network.trainable_parts
        for i, w in enumerate(part.get_weights())
    }
    partial = path.with_suffix(".part.npz")
    np.savez(partial, **arrays)
    partial.replace(path)


def load_weights(path: Path, network: Colorizer) -> None:
    """Read what save_weights wrote; parts that the file lacks (a frozen encoder) are kept."""
    with np.load(path) as arrays:
        for part in network.trainable_parts:
            count = len(part.weights)
            if f"{part.name}/0" in arrays.files:
                part.set_weights([arrays[f"{part.name}/{i}"] for i in range(count)])


def average_with(path: Path, network: Colorizer) -> None:
    """Replace the network's weights by their mean with those stored, part by part."""
    with np.load(path) as arrays:
        for part in network.trainable_parts:
            part.set_weights(
                [(w + arrays[f"{part.name}/{i}"]) / 2 for i, w in enumerate(part.get_weights())]
            )


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
