"""The command line of training: scan, cache, fit, sweep, evaluate, publish."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from model_store.contract import GuidedFilter
from model_store.errors import ModelStoreError
from model_store.store import BUNDLED_ROOT, ModelStore
from training.config import Config, read_config

console = Console()


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(), TimeRemainingColumn(), console=console,
    )  # fmt: skip


def _config(args: argparse.Namespace) -> Config:
    config = read_config(args.config)
    if args.weights:
        encoder = config.encoder.model_copy(update={"weights": args.weights})
        config = config.model_copy(update={"encoder": encoder})
    return config


def _index(args: argparse.Namespace) -> Path:
    return Path(args.run) / "index.csv"


def _cache(args: argparse.Namespace) -> Path:
    return Path(args.cache) if args.cache else Path(args.run) / "cache"


def scan_command(args: argparse.Namespace) -> None:
    """Look at every photo and write the index of usable ones."""
    from training.data import Entry, scan, write_index

    with _progress() as progress:
        task = progress.add_task("scan", total=None)

        def counted() -> Iterator[Entry | tuple[str, str]]:
            for item in scan(args.photos, _config(args).data):
                progress.advance(task)
                yield item

        counts = write_index(_index(args), counted())
    for name, count in sorted(counts.items()):
        console.print(f"{count:7d}  {name}")


def cache_command(args: argparse.Namespace) -> None:
    """Compute the frozen encoder's taps of every indexed photo."""
    from training.features import build

    left, says, work = build(_cache(args), args.photos, _index(args), _config(args))
    console.print(says)
    with _progress() as progress:
        for _ in progress.track(work, total=left, description="cache"):
            pass


def fit_command(args: argparse.Namespace) -> None:
    """Fit the network, resuming where a killed call stopped."""
    from training.curves import plot_history
    from training.data import read_index
    from training.feed import CachedFeed, PhotoFeed
    from training.fit import fit
    from training.run import Run

    config = _config(args)
    run = Run(Path(args.run))
    feed: CachedFeed | PhotoFeed
    if args.end_to_end or config.encoder.trainable_from:
        feed = PhotoFeed(args.photos, read_index(_index(args)), config.fit.batch, config.seed)
    else:
        feed = CachedFeed(_cache(args), config.fit.batch)
    with _progress() as progress:
        task = progress.add_task("fit", total=None)

        def report(line: str) -> None:
            progress.console.print(line)
            if run.history.exists():
                plot_history(run.history, run.folder / "loss.png")

        fit(config, run, feed, report, lambda n, of: progress.update(task, completed=n, total=of))
    console.print(f"best weights: {run.best}")


def evaluate_command(args: argparse.Namespace) -> None:
    """Measure a published version on a folder: tables, a CSV a photo, a contact sheet."""
    import cv2

    from training.data import SUFFIXES, evenly_spaced, read_kinds
    from training.evaluate import Outcome, contact_sheet, evaluate, load_predict
    from training.report import summary_table
    from training.summary import summarise, write_results

    model = ModelStore(args.store).resolve(args.model)
    description = model.description
    vividness = description.default_vividness if args.vividness is None else args.vividness
    guided = description.guided_filter
    if args.guided_radius is not None:
        guided = GuidedFilter(radius=args.guided_radius, eps=guided.eps)
    files = sorted(p for p in args.folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    root = args.manifest.parent if args.manifest else args.folder
    kinds = read_kinds(root, args.manifest.name if args.manifest else None)
    photos = [(p, kinds.get(p.relative_to(root).as_posix(), "")) for p in files]
    if not photos:
        raise SystemExit(f"no photos below {args.folder}")
    shown = {photos[i][0].name for i in evenly_spaced(len(photos), args.sheet_photos)}
    args.out.mkdir(parents=True, exist_ok=True)
    results, pictures = [], list[Outcome]()
    mean_ab = tuple(description.data.get("mean_ab", (0.0, 0.0)))
    with _progress() as progress:
        outcomes = evaluate(load_predict(model.path), photos, guided, vividness, mean_ab)
        for outcome in progress.track(outcomes, total=len(photos), description="evaluate"):
            results.append(outcome.result)
            if outcome.result.file in shown:
                pictures.append(outcome)
    summary = summarise(results)
    console.print(summary_table(summary, f"version {model.version}, vividness {vividness:g}"))
    (args.out / "summary.json").write_text(json.dumps(summary, indent=2))
    write_results(args.out / "photos.csv", results)
    sheet = args.out / "contact_sheet.png"
    cv2.imwrite(str(sheet), cv2.cvtColor(contact_sheet(pictures), cv2.COLOR_RGB2BGR))
    console.print(f"{sheet}, {args.out / 'photos.csv'}, {args.out / 'summary.json'}")


def sweep_command(args: argparse.Namespace) -> None:
    """Compare vividness and guided-filter settings on the cached validation photos."""
    from training.colorizer import build_colorizer
    from training.feed import CachedFeed
    from training.run import Run, load_weights
    from training.sweep import sweep

    config = _config(args)
    network = build_colorizer(config, with_encoder=False)
    load_weights(Run(args.run).best, network)
    guided = [(int(r), float(e)) for r, e in (x.split(":") for x in args.guided)]
    out = Table("vividness", "radius", "eps", "gain dB", "colourfulness / truth")
    for x in sweep(
        network, CachedFeed(_cache(args), 16), args.photos, config.publish,
        args.vividness, guided, args.val_photos,
    ):  # fmt: skip
        out.add_row(f"{x.vividness:g}", str(x.radius), f"{x.eps:g}", f"{x.gain:+.3f}",
                    f"{x.colourfulness_ratio:.3f}")  # fmt: skip
    console.print(out)


def compare_command(args: argparse.Namespace) -> None:
    """Compare two evaluations of the same photos: mean differences, second less first."""
    from training.summary import compare

    out = Table("second less first", "mean", "95% from", "to")
    for name, values in compare(*(folder / "photos.csv" for folder in args.evaluations)).items():
        out.add_row(name, *(f"{v:+.4f}" for v in values))
    console.print(out)


def publish_command(args: argparse.Namespace) -> None:
    """Export the best weights, check and measure them, and publish the next version."""
    from training.data import read_index
    from training.publish import publish
    from training.report import summary_table
    from training.run import Run

    entries = read_index(_index(args))
    with _progress() as progress:
        task = progress.add_task("measure", total=None)
        model = publish(
            _config(args), Run(Path(args.run)), args.photos, entries, ModelStore(args.store),
            lambda _: progress.advance(task),
        )  # fmt: skip
    for name, summary in model.description.metrics.items():
        if isinstance(summary, dict):
            console.print(summary_table(summary, name))
    console.print(f"published {model.path}")


def parser() -> argparse.ArgumentParser:
    """Build the argument parser."""
    top = argparse.ArgumentParser(prog="chromaserve-train", description=__doc__)
    stages = top.add_subparsers(dest="stage", required=True)

    def stage(name: str, command: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        sub = stages.add_parser(name, help=command.__doc__)
        sub.set_defaults(command=command)
        return sub

    for name, command in (("scan", scan_command), ("cache", cache_command),
                          ("fit", fit_command), ("sweep", sweep_command),
                          ("publish", publish_command)):  # fmt: skip
        sub = stage(name, command)
        sub.add_argument("--config", type=Path, default=Path("training/configs/default.toml"))
        sub.add_argument("--photos", type=Path, default=Path("photos"),
                         help="folder that the configuration's folders lie in")  # fmt: skip
        sub.add_argument("--run", type=Path, default=Path("runs/default"),
                         help="index, checkpoints and logs of this run")  # fmt: skip
        sub.add_argument("--cache", type=Path, help="cached taps (default: RUN/cache)")
        sub.add_argument("--weights", help='encoder: "imagenet", the path of an .npz, or "none"')
        if name == "fit":
            sub.add_argument("--end-to-end", action="store_true",
                             help="from photos, not from cached taps")  # fmt: skip
        if name == "sweep":
            sub.add_argument("--vividness", type=float, nargs="+", default=[0, 0.25, 0.5, 0.75, 1])
            sub.add_argument("--guided", nargs="+", default=["0:1e-3", "8:1e-3"],
                             metavar="RADIUS:EPS")  # fmt: skip
            sub.add_argument("--val-photos", type=int, default=200)
        if name == "publish":
            sub.add_argument("--store", type=Path, default=BUNDLED_ROOT)
    sub = stage("evaluate", evaluate_command)
    sub.add_argument("folder", type=Path, help="photos, in colour")
    sub.add_argument("--manifest", type=Path, help="CSV with columns file, kind")
    sub.add_argument("--store", type=Path, default=BUNDLED_ROOT)
    sub.add_argument("--model", default="latest", help="version")
    sub.add_argument("--vividness", type=float, help="0 to 1 (default: the model's)")
    sub.add_argument("--guided-radius", type=int, help="0: plain bilinear upsampling")
    sub.add_argument("--out", type=Path, default=Path("runs/evaluation"))
    sub.add_argument("--sheet-photos", type=int, default=36)
    sub = stage("compare", compare_command)
    sub.add_argument("evaluations", type=Path, nargs=2, metavar="FOLDER",
                     help="what `evaluate --out` named")  # fmt: skip
    return top


def main() -> None:
    """Run one stage; errors that a user can mend come as one line and exit code 2."""
    from pydantic import ValidationError

    from training.data import DataError
    from training.features import CacheError
    from training.network import WeightsError
    from training.publish import PublishError

    args = parser().parse_args()
    try:
        args.command(args)
    except (DataError, CacheError, WeightsError, PublishError, ModelStoreError, ValidationError,
            FileNotFoundError) as e:  # fmt: skip
        print(f"chromaserve-train: {e}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
