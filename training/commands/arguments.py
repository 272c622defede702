"""What the stages share: the terminal, and a run's files and settings from the arguments."""

import argparse
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..config import Config, read_config

CONFIGS = Path(__file__).parents[1] / "configs"
console = Console()
Command = Callable[[argparse.Namespace], None]
AddStage = Callable[[str, Command], argparse.ArgumentParser]
"""Adds a subcommand of that name, described by the command's docstring; returns its parser."""


def add_run_stage(
    add: AddStage, name: str, command: Command, config: str = "crops", run: str = "crops"
) -> argparse.ArgumentParser:
    """Add a stage of a run: configuration, photos, and where the run keeps its files."""
    sub = add(name, command)
    sub.add_argument("--config", type=Path, default=CONFIGS / f"{config}.toml")
    sub.add_argument("--photos", type=Path, default=Path("photos"),
                     help="folder that the configuration's folders lie in")  # fmt: skip
    sub.add_argument("--run", type=Path, default=Path(f"runs/{run}"),
                     help="index, checkpoints and logs of this run")  # fmt: skip
    sub.add_argument("--weights", help='encoder: "imagenet", the path of an .npz, or "none"')
    sub.set_defaults(start=None, minutes=None)
    return sub


def progress_bar() -> Progress:
    """Make a progress bar on the terminal."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(), TimeRemainingColumn(), console=console,
    )  # fmt: skip


def configuration(args: argparse.Namespace) -> Config:
    """Read --config, with what the other arguments change of it."""
    config = read_config(args.config)
    if args.weights:
        encoder = config.encoder.model_copy(update={"weights": args.weights})
        config = config.model_copy(update={"encoder": encoder})
    changes = {"start_from": args.start, "minutes": args.minutes}
    if chosen := {name: value for name, value in changes.items() if value}:
        train = config.train.model_copy(update=chosen)
        config = config.model_copy(update={"train": train})
    return config


def index_path(args: argparse.Namespace) -> Path:
    """Where the run has its index of photos."""
    return Path(args.run) / "index.csv"
