"""The command line of training: scan, cache, fit, evaluate, publish and more."""

import argparse
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

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

from model_store.contract import GuidedFilter, Postprocess
from model_store.errors import ModelStoreError
from model_store.store import BUNDLED_ROOT, ModelStore
from training.config import Config, read_config

if TYPE_CHECKING:
    from training.nearest import NearestPhoto
    from training.perceptual import Perceptual

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
    if args.start:
        fit = config.fit.model_copy(update={"start_from": args.start})
        config = config.model_copy(update={"fit": fit})
    return config


def _index(args: argparse.Namespace) -> Path:
    return Path(args.run) / "index.csv"


def _cache(args: argparse.Namespace) -> Path:
    return Path(args.cache) if args.cache else Path(args.run) / "cache"


def datasets_command(args: argparse.Namespace) -> None:
    """List the data sets that [data] may name, and what is found of them."""
    from training.datasets import PREFIX, inspect, registry

    for name, entry in registry().items():
        found = inspect(args.photos, entry).verdict(entry)
        console.print(f"[bold]{PREFIX}{name}[/bold]  {entry.title} ({entry.kind}): {found}")
        for label, text in (("photos", entry.expected), ("place", args.photos / entry.folder),
                            ("named", ", ".join(entry.layout)), ("source", entry.source),
                            ("terms", entry.terms), ("note", entry.note)):  # fmt: skip
            if text:
                console.print(f"    {label}: {text}", highlight=False, soft_wrap=True)


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


def fusion_command(args: argparse.Namespace) -> None:
    """Train the network apart whose features join the decoder by `[decoder] fusion`."""
    from training.feed import CachedFeed
    from training.fusion import fit_fusion
    from training.run import Run

    config = _config(args)
    feed = CachedFeed(_cache(args), config.fusion.batch)
    fit_fusion(config, feed, Run(Path(args.run)).fusion, console.print)


def ablation_command(args: argparse.Namespace) -> None:
    """Run an ablation's steps and write its table."""
    from training.ablation import ablate, markdown, read_ablation
    from training.config import Config

    settings, steps = read_ablation(args.config)
    if args.weights:
        settings.setdefault("encoder", {})["weights"] = args.weights
    if args.start:
        settings.setdefault("fit", {})["start_from"] = args.start
    rows = ablate(settings, steps, _cache(args), Path(args.run), console.print)
    args.out.write_text(markdown(rows, Config.model_validate(settings), len(rows[0].gains)))
    console.print(f"{args.out}")


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
    if args.end_to_end:
        entries = read_index(_index(args))
        feed = PhotoFeed(args.photos, entries, config.fit.batch, config.seed, config.augment)
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


def thesis_command(args: argparse.Namespace) -> None:
    """Train the thesis's four models, measure them, and write docs/thesis.md."""
    from training.data import SUFFIXES
    from training.run import Run
    from training.thesis.document import document
    from training.thesis.experiment import build_cache, open_feed, train, variants
    from training.thesis.figures import write_figures
    from training.thesis.models import measure_experiment
    from training.thesis.pictures import draw

    config = _config(args)
    cache = _cache(args)
    if not args.cache:
        left, says, work = build_cache(cache, args.photos, _index(args), config)
        console.print(says)
        with _progress() as progress:
            for _ in progress.track(work, total=left, description="cache"):
                pass
    feed = open_feed(cache, config)
    configs = variants(config, args.epochs)
    runs = {name: Run(args.run / name) for name in configs}
    for name, each in configs.items():
        with _progress() as progress:
            task = progress.add_task(name, total=None)

            def on_images(done: int, of: int) -> None:
                progress.update(task, completed=done, total=of)  # noqa: B023

            if not train(each, runs[name], feed, progress.console.print, on_images):
                console.print(f"{name}: done before")
    command = "python -m training thesis --photos PHOTOS"
    command += f" --epochs {args.epochs}" if args.epochs else ""
    with _progress() as progress:
        task = progress.add_task("measure", total=None)
        figures, photos = measure_experiment(
            configs, runs, feed, command, config.fit.epochs, lambda: progress.advance(task)
        )
    write_figures(args.run, figures, photos)
    shown = sorted(p for p in args.pictures.rglob("*") if p.suffix.lower() in SUFFIXES)
    draw(args.document.parent / "images", figures, photos[figures.chosen], shown, configs, runs)
    args.document.write_text(document(figures))
    console.print(f"{args.document}; figures: {args.run / 'figures.json'}")


def _nearest(cache: Path | None, weights: str | None) -> "NearestPhoto | None":
    """The baseline of the nearest training photo, where a cache is given."""
    from training.nearest import load_nearest

    return load_nearest(cache, weights) if cache else None


def _perceptual(weights: Path | None) -> "Perceptual | None":
    """LPIPS, or one line that says why it is left out."""
    from training.perceptual import UnavailableError, load_perceptual

    try:
        return load_perceptual(weights)
    except UnavailableError as e:
        console.print(f"LPIPS left out: {e}")
        return None


def evaluate_command(args: argparse.Namespace) -> None:
    """Measure a published version on a folder: tables, a CSV a photo, a contact sheet."""
    import cv2

    from training.calibration import Deviations, calibrate, plot_calibration
    from training.contact_sheet import contact_sheet
    from training.data import SUFFIXES, evenly_spaced, read_kinds
    from training.evaluate import Outcome, Plan, evaluate
    from training.report import calibration_table, summary_table
    from training.saved_model import load_network, mirrored
    from training.summary import summarise, write_results

    model = ModelStore(args.store).resolve(args.model)
    description = model.description
    guided = description.guided_filter
    if args.guided_radius is not None:
        guided = GuidedFilter(radius=args.guided_radius, eps=guided.eps)
    files = sorted(p for p in args.folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    root = args.manifest.parent if args.manifest else args.folder
    kinds = read_kinds(root, args.manifest.name if args.manifest else None)
    photos = [(p, kinds.get(p.relative_to(root).as_posix(), "")) for p in files]
    if not photos:
        raise SystemExit(f"no photos below {args.folder}")
    network = load_network(model.path)
    if args.mirror:
        network = replace(network, predict=mirrored(network.predict))
    plan = Plan(
        vividness=tuple(dict.fromkeys(args.vividness or [description.default_vividness])),
        guided=guided,
        postprocess=args.postprocess or description.postprocess,
        mean_ab=tuple(description.data.get("mean_ab", (0.0, 0.0))),
        nearest=_nearest(args.nearest, args.weights),
        perceptual=_perceptual(args.lpips_weights),
    )
    shown = {photos[i][0].name for i in evenly_spaced(len(photos), args.sheet_photos)}
    results, pictures = defaultdict(list), defaultdict[float, list[Outcome]](list)
    deviations: list[Deviations] = []
    with _progress() as progress:
        measured = evaluate(network, photos, plan)
        for photo in progress.track(measured, total=len(photos), description="evaluate"):
            for vividness, outcome in photo.outcomes.items():
                results[vividness].append(outcome.result)
                if outcome.result.file in shown:
                    pictures[vividness].append(outcome)
            if photo.deviations:
                deviations.append(photo.deviations)
    calibration = calibrate(deviations) if deviations else None
    for vividness in plan.vividness:
        several = len(plan.vividness) > 1
        out = args.out / f"vividness-{vividness:g}" if several else args.out
        out.mkdir(parents=True, exist_ok=True)
        summary = summarise(results[vividness])
        console.print(summary_table(summary, f"version {model.version}, vividness {vividness:g}"))
        extra = {"calibration": calibration} if calibration else {}
        (out / "summary.json").write_text(json.dumps(summary | extra, indent=2))
        write_results(out / "photos.csv", results[vividness])
        sheet = cv2.cvtColor(contact_sheet(pictures[vividness]), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(out / "contact_sheet.png"), sheet)
        console.print(f"{out}: photos.csv, summary.json, contact_sheet.png")
    if calibration is None:
        console.print("calibration left out: the model has no signature `spread`")
        return
    console.print(calibration_table(calibration))
    plot_calibration(calibration, args.out / "calibration.png")
    console.print(args.out / "calibration.png")


def postprocess_command(args: argparse.Namespace) -> None:
    """Compare the ways of post-processing on a folder: a table, and a picture of crops."""
    import cv2

    from training.data import SUFFIXES, evenly_spaced
    from training.postprocess import compare_methods, crops_picture, markdown_table
    from training.saved_model import load_network

    model = ModelStore(args.store).resolve(args.model)
    description = model.description
    vividness = description.default_vividness if args.vividness is None else args.vividness
    photos = sorted(p for p in args.folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not photos:
        raise SystemExit(f"no photos below {args.folder}")
    photos = [photos[i] for i in evenly_spaced(len(photos), args.photos or len(photos))]
    predict = load_network(model.path).predict
    with _progress() as progress:
        compared = compare_methods(predict, photos, description.guided_filter, vividness)
        comparisons = list(progress.track(compared, total=len(photos), description="postprocess"))
    table = markdown_table(comparisons)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "postprocess.md").write_text(
        f"Version {model.version}, vividness {vividness:g}, {len(photos)} photos\n\n{table}"
    )
    picture = cv2.cvtColor(crops_picture(comparisons), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(args.out / "postprocess.png"), picture)
    console.print(table, markup=False, soft_wrap=True)
    console.print(f"{args.out}: postprocess.md, postprocess.png")


def colours_command(args: argparse.Namespace) -> None:
    """Show a version's colours for grey photos: a sheet of grey, vividness 0, the default, 1."""
    import cv2

    from training.contact_sheet import colours, sheet
    from training.data import SUFFIXES
    from training.saved_model import load_network

    model = ModelStore(args.store).resolve(args.model)
    files = sorted(p for p in args.folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not files:
        raise SystemExit(f"no photos below {args.folder}")
    vividness = tuple(sorted({0.0, model.description.default_vividness, 1.0}))
    predict = load_network(model.path).predict
    groups = list(colours(predict, files, model.description, vividness))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(args.out), cv2.cvtColor(sheet(groups, 200, across=1), cv2.COLOR_RGB2BGR))
    console.print(f"{args.out}: grey, then vividness {', '.join(f'{v:g}' for v in vividness)}")


def compare_command(args: argparse.Namespace) -> None:
    """Compare two evaluations of the same photos: mean differences, second less first, by kind."""
    from training.report import comparison_table
    from training.summary import compare

    console.print(comparison_table(compare(*(x / "photos.csv" for x in args.evaluations))))


def publish_command(args: argparse.Namespace) -> None:
    """Export the best weights, check and measure them, and publish the next version."""
    from training.data import read_index
    from training.publish import publish, summaries
    from training.report import summary_table
    from training.run import Run

    config, entries = _config(args), read_index(_index(args))
    nearest = _nearest(args.nearest, args.weights)
    perceptual = _perceptual(args.lpips_weights)
    with _progress() as progress:
        task = progress.add_task("measure", total=None)
        model = publish(
            config, Run(Path(args.run)), args.photos, entries, ModelStore(args.store),
            lambda: progress.advance(task),
            nearest=nearest, perceptual=perceptual,
        )  # fmt: skip
    for name, summary in summaries(model.description).items():
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
                          ("fusion", fusion_command), ("fit", fit_command),
                          ("ablation", ablation_command),
                          ("publish", publish_command)):  # fmt: skip
        sub = stage(name, command)
        sub.add_argument("--config", type=Path, default=Path("training/configs/default.toml"))
        sub.add_argument("--photos", type=Path, default=Path("photos"),
                         help="folder that the configuration's folders lie in")  # fmt: skip
        sub.add_argument("--run", type=Path, default=Path("runs/default"),
                         help="index, checkpoints and logs of this run")  # fmt: skip
        sub.add_argument("--cache", type=Path, help="cached taps (default: RUN/cache)")
        sub.add_argument("--weights", help='encoder: "imagenet", the path of an .npz, or "none"')
        sub.add_argument("--start", help="weights to start from: a run's .npz, or the folder of "
                                         "a published version")  # fmt: skip
        if name == "ablation":
            sub.add_argument("--out", type=Path, default=Path("docs/ablation.md"))
        if name == "fit":
            sub.add_argument("--end-to-end", action="store_true",
                             help="from photos, not from cached taps")  # fmt: skip
        if name == "publish":
            sub.add_argument("--store", type=Path, default=BUNDLED_ROOT)
            sub.add_argument("--nearest", type=Path, metavar="CACHE",
                             help="as in `evaluate`")  # fmt: skip
            sub.add_argument("--lpips-weights", type=Path, metavar="FILE",
                             help="as in `evaluate`")  # fmt: skip
    sub = stage("datasets", datasets_command)
    sub.add_argument("--photos", type=Path, default=Path("photos"),
                     help="folder that the data sets lie below")  # fmt: skip
    sub = stage("thesis", thesis_command)
    sub.add_argument("--config", type=Path, default=Path("training/configs/thesis.toml"))
    sub.add_argument("--photos", type=Path, default=Path("photos"),
                     help="folder that the configuration's folders lie in")  # fmt: skip
    sub.add_argument("--run", type=Path, default=Path("runs/thesis"),
                     help="the four runs, the index, the figures")  # fmt: skip
    sub.add_argument("--cache", type=Path, help="cached taps (default: its own, in RUN/cache)")
    sub.add_argument("--weights", help='encoder: "imagenet", the path of an .npz, or "none"')
    sub.set_defaults(start=None)  # the encoder's weights are all that the four start from
    sub.add_argument("--epochs", type=int, help="in place of the configuration's [thesis] epochs")
    sub.add_argument("--pictures", type=Path, default=Path("samples/colour"),
                     help="photos that the document may show")  # fmt: skip
    sub.add_argument("--document", type=Path, default=Path("docs/thesis.md"))
    sub = stage("evaluate", evaluate_command)
    sub.add_argument("folder", type=Path, help="photos, in colour")
    sub.add_argument("--manifest", type=Path, help="CSV with columns file, kind")
    sub.add_argument("--store", type=Path, default=BUNDLED_ROOT)
    sub.add_argument("--model", default="latest", help="version")
    sub.add_argument("--vividness", type=float, nargs="+",
                     help="0 to 1 (default: the model's); several: each in a folder")  # fmt: skip
    sub.add_argument("--postprocess", choices=get_args(Postprocess),
                     help="how chroma becomes full-size (default: the model's)")  # fmt: skip
    sub.add_argument("--guided-radius", type=int, help="of the guided filter, at 224 x 224")
    sub.add_argument("--mirror", action="store_true",
                     help="mean with the answer to the mirrored photo; twice the time")  # fmt: skip
    sub.add_argument("--nearest", type=Path, metavar="CACHE",
                     help="baseline: colours of that cache's nearest photo")  # fmt: skip
    sub.add_argument("--weights", help="the encoder of that cache (default: where it was then)")
    sub.add_argument("--lpips-weights", type=Path, metavar="FILE",
                     help="VGG16: the authors' as .npz, or torchvision's .pth")  # fmt: skip
    sub.add_argument("--out", type=Path, default=Path("runs/evaluation"))
    sub.add_argument("--sheet-photos", type=int, default=36)
    sub = stage("postprocess", postprocess_command)
    sub.add_argument("folder", type=Path, help="photos, in colour")
    sub.add_argument("--store", type=Path, default=BUNDLED_ROOT)
    sub.add_argument("--model", default="latest", help="version")
    sub.add_argument("--vividness", type=float, help="0 to 1 (default: the model's)")
    sub.add_argument("--photos", type=int, help="at most, evenly spaced (default: all)")
    sub.add_argument("--out", type=Path, default=Path("runs/postprocess"))
    sub = stage("colours", colours_command)
    sub.add_argument("folder", type=Path, help="photos, grey or in colour")
    sub.add_argument("--store", type=Path, default=BUNDLED_ROOT)
    sub.add_argument("--model", default="latest", help="version")
    sub.add_argument("--out", type=Path, default=Path("runs/colours.png"))
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
    from training.strategy import StrategyError

    args = parser().parse_args()
    try:
        args.command(args)
    except (DataError, CacheError, WeightsError, PublishError, StrategyError, ModelStoreError,
            ValidationError, FileNotFoundError) as e:  # fmt: skip
        print(f"chromaserve-train: {e}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
