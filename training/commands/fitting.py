"""Stages that train: fusion, fit, ablation, thesis."""

import argparse
from pathlib import Path

from .arguments import (
    AddStage,
    add_run_stage,
    add_start,
    cache_path,
    configuration,
    console,
    index_path,
    progress_bar,
)


def add_stages(add: AddStage) -> None:
    """Add `train`, `weights`, `fusion`, `fit`, `average`, `ablation` and `thesis`."""
    sub = add_run_stage(add, "train", train_command)
    add_start(sub)
    sub.add_argument("--minutes", type=float, help="end after so long")
    sub = add("weights", weights_command)
    sub.add_argument("weights", type=Path, help="a run's .npz")
    sub.add_argument("out", type=Path, help="where its float16 copy goes")
    add_run_stage(add, "fusion", fusion_command)
    sub = add_run_stage(add, "fit", fit_command)
    add_start(sub)
    sub.add_argument("--end-to-end", action="store_true",
                     help="from photos, not from cached taps")  # fmt: skip
    sub = add("average", average_command)
    sub.add_argument("runs", nargs="+", help="folders of runs")
    sub.add_argument("--run", default="runs/average", help="folder for the mean")
    sub = add_run_stage(add, "ablation", ablation_command, config="ablation", run="ablation")
    add_start(sub)
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

    config = configuration(args)
    if args.minutes:
        settings = config.train.model_copy(update={"minutes": args.minutes})
        config = config.model_copy(update={"train": settings})
    train(config, args.run, read_index(index_path(args)), args.photos)
    console.print(f"weights: {args.run}: last.npz, best.npz")


def weights_command(args: argparse.Namespace) -> None:
    """Copy a run's weights with the kernels in half precision: half the size to carry."""
    from ..weights import halve

    halve(args.weights, args.out)
    console.print(f"{args.out}")


def fusion_command(args: argparse.Namespace) -> None:
    """Train the network apart whose features join the decoder by `[decoder] fusion`."""
    from ..feed import CachedFeed
    from ..fusion import fit_fusion
    from ..run import Run

    config = configuration(args)
    feed = CachedFeed(cache_path(args), config.fusion.batch)
    fit_fusion(config, feed, Run(Path(args.run)).fusion, console.print)


def average_command(args: argparse.Namespace) -> None:
    """Make a run of the mean of several runs' best weights, all started from the same."""
    from ..run import Run, average

    average([Run(Path(r)).best for r in args.runs], Run(Path(args.run)).best)
    index = index_path(args)
    if not index.exists():
        index.write_bytes((Path(args.runs[0]) / index.name).read_bytes())
    console.print(f"mean weights: {Run(Path(args.run)).best}")


def ablation_command(args: argparse.Namespace) -> None:
    """Run an ablation's steps and write its table."""
    from ..ablation import ablate, markdown, read_ablation
    from ..config import Config

    settings, steps = read_ablation(args.config)
    if args.weights:
        settings.setdefault("encoder", {})["weights"] = args.weights
    if args.start:
        settings.setdefault("fit", {})["start_from"] = args.start
    rows = ablate(settings, steps, cache_path(args), Path(args.run), console.print)
    args.out.write_text(
        markdown(rows, Config.model_validate(settings), len(rows[0].measures.gains))
    )
    console.print(f"{args.out}")


def fit_command(args: argparse.Namespace) -> None:
    """Fit the network, resuming where a killed call stopped."""
    from ..curves import plot_history
    from ..data import read_index
    from ..feed import CachedFeed, PhotoFeed
    from ..fit import fit
    from ..run import Run

    config = configuration(args)
    run = Run(Path(args.run))
    feed: CachedFeed | PhotoFeed
    if args.end_to_end:
        entries = read_index(index_path(args))
        feed = PhotoFeed(args.photos, entries, config.fit.batch, config.seed, config.augment)
    else:
        feed = CachedFeed(cache_path(args), config.fit.batch)
    with progress_bar() as progress:
        task = progress.add_task("fit", total=None)

        def report(line: str) -> None:
            progress.console.print(line)
            if run.history.exists():
                plot_history(run.history, run.folder / "loss.png")

        fit(config, run, feed, report, lambda n, of: progress.update(task, completed=n, total=of))
    console.print(f"best weights: {run.best}")


def thesis_command(args: argparse.Namespace) -> None:
    """Train the thesis's four models, measure them, and write docs/measurements/thesis.md."""
    from ..data import SUFFIXES
    from ..run import Run
    from ..thesis.document import document
    from ..thesis.experiment import build_cache, open_feed, train, variants
    from ..thesis.figures import write_figures
    from ..thesis.models import measure_experiment
    from ..thesis.pictures import draw

    config = configuration(args)
    cache = cache_path(args)
    if not args.cache:
        left, says, work = build_cache(cache, args.photos, index_path(args), config)
        console.print(says)
        with progress_bar() as progress:
            for _ in progress.track(work, total=left, description="cache"):
                pass
    feed = open_feed(cache, config)
    configs = variants(config, args.epochs)
    runs = {name: Run(args.run / name) for name in configs}
    for name, each in configs.items():
        with progress_bar() as progress:
            task = progress.add_task(name, total=None)

            def on_images(done: int, of: int) -> None:
                progress.update(task, completed=done, total=of)  # noqa: B023

            if not train(each, runs[name], feed, progress.console.print, on_images):
                console.print(f"{name}: done before")
    command = "python -m training thesis --photos PHOTOS"
    command += f" --epochs {args.epochs}" if args.epochs else ""
    with progress_bar() as progress:
        task = progress.add_task("measure", total=None)
        figures, photos = measure_experiment(
            configs, runs, feed, command, config.fit.epochs, lambda: progress.advance(task)
        )
    write_figures(args.run, figures, photos)
    shown = sorted(p for p in args.pictures.rglob("*") if p.suffix.lower() in SUFFIXES)
    draw(args.document.parent / "images", figures, photos[figures.chosen], shown, configs, runs)
    args.document.write_text(document(figures))
    console.print(f"{args.document}; figures: {args.run / 'figures.json'}")
