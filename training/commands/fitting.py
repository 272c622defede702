"""Stages that train: train, fusion, average, ablation, thesis."""

import argparse
import json
import os
from pathlib import Path

from .arguments import (
    CONFIGS,
    AddStage,
    add_run_stage,
    configuration,
    console,
    index_path,
    progress_bar,
)


def add_stages(add: AddStage) -> None:
    """Add `train`, `weights`, `fusion`, `average`, `ablation` and `thesis`."""
    sub = add_run_stage(add, "train", train_command)
    sub.add_argument("--start", help="weights to start from: a run's .npz, or a published version")
    sub.add_argument(
        "--minutes", type=float, help="end after so long, its last validation included"
    )
    sub = add("weights", weights_command)
    sub.add_argument("weights", type=Path, help="a run's .npz")
    sub.add_argument("out", type=Path, help="where its float16 copy goes")
    add_run_stage(add, "fusion", fusion_command)
    sub = add("average", average_command)
    sub.add_argument("weights", type=Path, nargs="+",
                     help="runs' .npz, the first of a run, or published versions")  # fmt: skip
    sub.add_argument("--out", type=Path, default=Path("runs/average/mean.npz"))
    sub = add_run_stage(add, "ablation", ablation_command, config="ablation", run="ablation")
    sub.add_argument("--start", help="weights that every step starts from")
    sub.add_argument("--out", type=Path, default=Path("docs/measurements/ablation.md"))
    sub = add_run_stage(add, "thesis", thesis_command, config="thesis", run="thesis")
    sub.add_argument("--epochs", type=int, help="in place of the configuration's [thesis] epochs")
    sub.add_argument("--pictures", type=Path, default=Path("samples/colour"),
                     help="photos that the document may show")  # fmt: skip
    sub.add_argument("--document", type=Path, default=Path("docs/measurements/thesis.md"))


def train_command(args: argparse.Namespace) -> None:
    """Fit the network on streamed views, resuming where a killed call stopped."""
    from ..data import read_index
    from ..train import train

    train(configuration(args), args.run, read_index(index_path(args)), args.photos)
    console.print(f"weights: {args.run}: last.npz, best.npz")


def weights_command(args: argparse.Namespace) -> None:
    """Copy a run's weights with the kernels in half precision: half the size to carry."""
    from ..weights import halve

    halve(args.weights, args.out)
    console.print(f"{args.out}")


def fusion_command(args: argparse.Namespace) -> None:
    """Train the network apart whose features join the decoder by `[decoder] fusion`."""
    from ..data import read_index
    from ..fusion import fit_fusion

    entries = read_index(index_path(args))
    fit_fusion(configuration(args), entries, args.photos, args.run / "fusion.npz", console.print)


def average_command(args: argparse.Namespace) -> None:
    """Make a run of the mean of several weights, all started from the same."""
    from ..errors import DataError
    from ..lineage import SOURCES
    from ..weights import average_npz

    folder, first = args.out.parent, args.weights[0].parent
    kept = {
        n: (first / n).read_bytes() for n in ("config.json", "index.csv") if (first / n).is_file()
    }
    for name, content in kept.items():
        if (folder / name).is_file() and (folder / name).read_bytes() != content:
            raise DataError(f"{folder} is the folder of another run: name another one by --out")
    known = json.loads((folder / SOURCES).read_text()) if (folder / SOURCES).is_file() else {}
    if args.out.exists() and args.out.name not in known:
        raise DataError(f"{args.out} is no mean of weights, and stays: name another file by --out")
    folder.mkdir(parents=True, exist_ok=True)
    average_npz(args.weights, args.out)
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    known[args.out.name] = [os.path.relpath(source, folder) for source in args.weights]
    (folder / SOURCES).write_text(json.dumps(known, indent=2))
    console.print(f"mean weights: {args.out}")


def ablation_command(args: argparse.Namespace) -> None:
    """Run an ablation's steps and write its table."""
    from ..ablation import ablate, markdown, read_ablation
    from ..config import Config
    from ..data import read_index

    settings, steps = read_ablation(args.config)
    if args.weights:
        settings.setdefault("encoder", {})["weights"] = args.weights
    if args.start:
        settings.setdefault("train", {})["start_from"] = args.start
    entries = read_index(index_path(args))
    rows = ablate(settings, steps, entries, args.photos, args.run, console.print)
    args.out.write_text(
        markdown(rows, Config.model_validate(settings), len(rows[0].measures.gains))
    )
    console.print(f"{args.out}")


def thesis_command(args: argparse.Namespace) -> None:
    """Train the thesis's four models, measure them, and write docs/measurements/thesis.md."""
    from ..data import read_index, scan, write_index
    from ..datasets import photos_below
    from ..thesis.document import document
    from ..thesis.experiment import open_photos, variants
    from ..thesis.figures import write_figures
    from ..thesis.models import measure_experiment
    from ..thesis.pictures import draw
    from ..train import MEASURED, check_config, train

    config = configuration(args)
    if not index_path(args).exists():
        write_index(index_path(args), scan(args.photos, config.data))
    photos = open_photos(config, read_index(index_path(args)), args.photos, args.run / "cache")
    configs = {
        seed: variants(config, len(photos.of("train")), seed, args.epochs)
        for seed in config.thesis.seeds
    }
    for seed, four in configs.items():
        for name, each in four.items():
            console.print(f"seed {seed}, {name}")
            folder = args.run / str(seed) / name
            if (folder / MEASURED).exists():
                check_config(folder, each)
            else:
                train(each, folder, photos.entries, args.photos, args.run / "cache")
    command = "python -m training thesis --photos PHOTOS"
    command += "" if args.config == CONFIGS / "thesis.toml" else f" --config {args.config.name}"
    command += f" --epochs {args.epochs}" if args.epochs else ""
    with progress_bar() as progress:
        task = progress.add_task("measure", total=None)
        figures, measured = measure_experiment(
            configs, args.run, photos, command, lambda: progress.advance(task)
        )
    write_figures(args.run / "figures.json", figures)
    images, first = args.document.parent / "images", args.run / str(figures.seeds[0])
    shown = photos_below(args.pictures)
    draw(images, figures, measured, shown, config.thesis.people, first)
    args.document.write_text(document(figures))
    console.print(f"{args.document}; figures: {args.run / 'figures.json'}")
