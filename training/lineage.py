"""How weights came to be: what a published version says of its training."""

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from .callbacks import WATCHED
from .config import Config, run_config

SOURCES = "average.json"  # beside weights that are the mean of others: {weights: [their files]}


def without_folders(config: Config) -> dict[str, Any]:
    """A configuration ready for JSON, without this machine's folders."""
    settings = config.model_dump(mode="json")
    for section, key in (("encoder", "weights"), ("train", "start_from")):
        if value := settings[section][key]:
            known = _published(Path(value))
            settings[section][key] = known["published"] if known else Path(value).name
    return settings


def how_trained(weights: Path) -> dict[str, Any]:
    """The history of a run's .npz, from what lies in its folder and in those that it started from.

    config, its encoder's weights and start by name; weights, which of the run's they are;
    epochs and views that they have seen; started_from, the same of what the run started from where
    that is there, else its name; mean_of, the same of each, for a mean of several.
    """
    folder = weights.parent
    config = run_config(folder)
    told: dict[str, Any] = {"config": without_folders(config), "weights": weights.name}
    sources = folder / SOURCES
    if sources.is_file() and (means := json.loads(sources.read_text()).get(weights.name)):
        each = [folder / source for source in means]
        return told | {"mean_of": [_published(one) or how_trained(one) for one in each]}
    settings = config.train
    whole = settings.views_per_epoch // settings.batch * settings.batch
    epochs, views = _seen(folder / "log.csv", weights.name, whole)
    told |= {"epochs": epochs, "views": views}
    if settings.start_from:
        start = Path(settings.start_from)
        told["started_from"] = _published(start) or start.name
        if start.suffix == ".npz" and (start.parent / "config.json").is_file():
            told["started_from"] = how_trained(start)
    return told


def total_views(told: dict[str, Any]) -> int:
    """All views that went into weights, from a published version or the encoder's own on.

    A run that several weights of a mean go back to counts once.
    """
    runs: dict[str, int] = {}

    def count(told: dict[str, Any]) -> None:
        for each in told.get("mean_of", ()):
            count(each)
        if isinstance(earlier := told.get("started_from"), dict):
            count(earlier)
        run = json.dumps([told.get("config"), earlier])
        runs[run] = max(runs.get(run, 0), told.get("views", 0))

    count(told)
    return sum(runs.values())


def commit() -> str | None:
    """The commit that this program is of; None outside a repository."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def unfrozen(told: dict[str, Any]) -> str | None:
    """The lowest block of the encoder that a step of a history trained; None: none was."""
    if "mean_of" in told:
        steps = [unfrozen(each) for each in told["mean_of"]]
    else:
        earlier = told.get("started_from")
        steps = [told["config"]["encoder"]["trainable_from"] if "config" in told else None]
        steps.append(told.get("trainable_from"))
        steps.append(unfrozen(earlier) if isinstance(earlier, dict) else None)
    return min((step for step in steps if step), default=None)


def _published(folder: Path) -> dict[str, Any] | None:
    """A published version: its name, its training photos, what of its encoder had been trained."""
    if not (folder / "model.json").is_file():
        return None
    described = json.loads((folder / "model.json").read_text())
    training = described["training"]
    first = unfrozen(training["history"]) if "history" in training else None
    own = training["encoder"]["trainable_from"]
    counts = described["data"].get("photos", {})
    return {
        "published": f"{described['name']} {described['version']}",
        "photos": sum(n for name, n in counts.items() if name.startswith("train/")),
        "trainable_from": min((step for step in (first, own) if step), default=None),
    }


def _seen(log: Path, weights: str, whole: int) -> tuple[int, int]:
    """The epochs and views that weights have seen: all that the log has, or until the best.

    whole: views of an epoch of which the log does not say it.
    """
    if not log.is_file():
        return 0, 0
    with log.open(newline="") as f:
        # A run that was killed between its log and its state has an epoch's line twice.
        lines = list({int(line["epoch"]): line for line in csv.DictReader(f)}.values())
    measure = WATCHED.get(Path(weights).stem)
    if measure is not None and lines:
        lines = lines[: int(np.argmin([float(line[f"val_{measure}"]) for line in lines])) + 1]
    return len(lines), sum(int(float(line.get("views") or whole)) for line in lines)
