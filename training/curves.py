"""The loss curve of a run, from its history, as a PNG."""

import csv
from pathlib import Path


def read_history(path: Path) -> dict[str, list[float]]:
    """Read history.csv: column -> values, a line an epoch."""
    with path.open(newline="") as f:
        lines = list(csv.DictReader(f))
    return {name: [float(line[name]) for line in lines] for name in (lines[0] if lines else ())}


def plot_history(history: Path, png: Path) -> None:
    """Draw training and validation loss, and the gain over grey, against images seen."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = read_history(history)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, label in (("regression", "training"), ("val_regression", "validation")):
        left.plot(columns["images"], columns[name], marker="o", label=label)
    left.set(xlabel="images seen", ylabel="regression loss")
    left.legend()
    right.plot(columns["images"], columns["val_gain_db"], marker="o", color="tab:green")
    right.set(xlabel="images seen", ylabel="gain over grey in ab, validation, dB")
    figure.savefig(png, dpi=110)
    pyplot.close(figure)
