"""Stages that measure a model: from publish and recalibrate to evaluate and compare."""

import argparse
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from rich.markdown import Markdown

from chromaserve.store.contract import Postprocess
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore

from .arguments import AddStage, console, progress_bar

if TYPE_CHECKING:
    from chromaserve import Colorizer


def add_stages(add: AddStage) -> None:
    """Add `publish`, `recalibrate`, `gains`, `evaluate`, `postprocess`, `colours` and `compare`."""
    sub = add("publish", publish_command)
    sub.add_argument("weights", type=Path, help="a run's .npz, in its folder")
    sub.add_argument("--photos", type=Path, default=Path("photos"))
    sub.add_argument("--index", type=Path, help="of photos (default: index.csv beside the weights)")
    sub.add_argument("--config", type=Path, help="whose [publish] takes the run's place")
    sub.add_argument("--store", type=Path, default=BUNDLED_ROOT)
    sub.add_argument("--count", type=int, help="of validation photos measured (default: all)")
    sub = add("recalibrate", recalibrate_command)
    _add_model(sub)
    sub.add_argument("--photos", type=Path, default=Path("photos"))
    sub.add_argument("--index", type=Path, required=True, help="of photos, by `scan`")
    sub.add_argument("--count", type=int, help="of photos that calibration looks at (default: all)")
    sub = add("gains", gains_command)
    sub.add_argument("networks", type=Path, nargs="+", help="runs' .npz, or published versions")
    sub.add_argument("--photos", type=Path, default=Path("photos"))
    sub.add_argument("--index", type=Path, default=Path("runs/crops/index.csv"))
    sub.add_argument("--count", type=int, default=10**9, help="of validation photos, evenly spaced")
    sub.add_argument("--codes", type=float, nargs=2, metavar=("BLACK", "WHITE"),
                     help="fade the photos that the network sees to these of 255")  # fmt: skip
    sub = add("evaluate", evaluate_command)
    sub.add_argument("folder", type=Path, help="photos, in colour")
    sub.add_argument("--manifest", type=Path, help="CSV with columns file, kind")
    _add_model(sub)
    sub.add_argument("--vividness", type=float, nargs="+",
                     help="0 to 1 (default: the model's); several: each in a folder")  # fmt: skip
    sub.add_argument("--postprocess", choices=get_args(Postprocess),
                     help="how chroma becomes full-size (default: the model's)")  # fmt: skip
    sub.add_argument("--nearest", type=Path, metavar="INDEX",
                     help="baseline: colours of its nearest training photo")  # fmt: skip
    sub.add_argument("--photos", type=Path, default=Path("photos"), help="that INDEX is of")
    sub.add_argument("--weights", default="imagenet", help="the encoder that finds it")
    sub.add_argument("--out", type=Path, default=Path("runs/evaluation"))
    sub.add_argument("--sheet-photos", type=int, default=36)
    sub.add_argument("--unseen", action="store_true",
                     help="put the measures into the version and its card, as those of photos on"
                     " which nothing was trained or chosen")  # fmt: skip
    sub = add("postprocess", postprocess_command)
    sub.add_argument("folder", type=Path, help="photos, in colour")
    _add_model(sub)
    sub.add_argument("--vividness", type=float, help="0 to 1 (default: the model's)")
    sub.add_argument("--photos", type=int, help="at most, evenly spaced (default: all)")
    sub.add_argument("--out", type=Path, default=Path("runs/postprocess"))
    sub = add("compare", compare_command)
    sub.add_argument("evaluations", type=Path, nargs=2, metavar="FOLDER",
                     help="what `evaluate --out` named")  # fmt: skip


def _add_model(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--store", type=Path, default=BUNDLED_ROOT)
    sub.add_argument("--model", default="latest", help="version")


def gains_command(args: argparse.Namespace) -> None:
    """Compare networks at equal colourfulness on the validation photos, at the network's size."""
    from ..data import evenly_spaced, read_index
    from ..gains import SHARES, collect, load_model, measure

    entries = [e for e in read_index(args.index) if e.split == "val"]
    entries = [entries[i] for i in evenly_spaced(len(entries), args.count)]
    for source in args.networks:
        answers = collect(load_model(source), entries, args.photos, args.codes)
        found = measure(answers, [e.kind for e in entries])
        shares = zip(SHARES, found.at_shares, strict=True)
        kinds = ", ".join(f"{kind} {gain:+.2f}" for kind, gain in found.by_kind_at_0.items())
        console.print(
            f"{source}: gain over grey {found.at_0:+.2f} dB at vividness 0 "
            f"({found.colourfulness_at_0:.2f} of the truth's colourfulness; {kinds}); "
            + ", ".join(f"{gain:+.2f} at {share:g}" for share, gain in shares)
        )


def recalibrate_command(args: argparse.Namespace) -> None:
    """Calibrate a published version's vividness anew, and measure it, in its place."""
    from ..data import read_index
    from ..recalibrate import recalibrate

    store = ModelStore(args.store)
    version = store.resolve(args.model)
    store.verify(version)
    val = [e for e in read_index(args.index) if e.split == "val"]
    with progress_bar() as progress:
        task = progress.add_task("measure", total=len(val))
        made = recalibrate(
            version, args.photos, val, store, lambda: progress.advance(task), count=args.count
        )
    console.print(f"version {made.version}: {made.description.blend}")


def publish_command(args: argparse.Namespace) -> None:
    """Calibrate and export a run's weights, check and measure them, publish the next version."""
    from ..config import read_config, run_config
    from ..data import read_index
    from ..model_card import summaries
    from ..publish import publish
    from ..report import markdown_tables

    config = run_config(args.weights.parent)
    if args.config:
        config = config.model_copy(update={"publish": read_config(args.config).publish})
    entries = read_index(args.index or args.weights.parent / "index.csv")
    with progress_bar() as progress:
        task = progress.add_task("measure", total=None)
        model = publish(
            args.weights,
            config,
            args.photos,
            entries,
            ModelStore(args.store),
            lambda: progress.advance(task),
            count=args.count,
        )
    for name, summary in summaries(model.description).items():
        console.print(Markdown(f"## {name}\n\n{markdown_tables(summary)}"))
    console.print(f"published {model.path}")


def _colorizer(args: argparse.Namespace) -> "Colorizer":
    from chromaserve import Colorizer

    return Colorizer(args.model, model_root=args.store)


def _photos_below(folder: Path) -> list[Path]:
    from ..datasets import photos_below

    files = photos_below(folder)
    if not files:
        raise SystemExit(f"no photos below {folder}")
    return files


def evaluate_command(args: argparse.Namespace) -> None:
    """Measure a published version on a folder: tables, a CSV a photo, a contact sheet."""
    import cv2

    from ..config import own_training
    from ..contact_sheet import contact_sheet
    from ..data import evenly_spaced, kind_of, read_index, read_kinds
    from ..evaluate import Outcome, Photo, Plan, evaluate
    from ..model_card import add_unseen
    from ..nearest import load_nearest
    from ..report import markdown_tables
    from ..summary import summarise, write_results

    store = ModelStore(args.store)
    model = store.resolve(args.model)
    if args.unseen:
        store.verify(model)
        own_training(model.description)  # before all is measured: another's card is not rewritten
    description = model.description
    kinds = read_kinds(args.manifest)
    root = args.manifest.parent if args.manifest else args.folder

    def kind(path: Path) -> str:
        return kind_of(kinds, Path(os.path.relpath(path, root)).as_posix())

    photos = [Photo.of_file(args.folder, p, kind(p)) for p in _photos_below(args.folder)]
    nearest = None
    if args.nearest:
        nearest = load_nearest(read_index(args.nearest), args.photos, args.weights)
    plan = Plan(
        vividness=tuple(dict.fromkeys(args.vividness or [description.default_vividness])),
        mean_ab=tuple(description.data.get("mean_ab", (0.0, 0.0))),
        postprocess=args.postprocess,
        guided=description.guided_filter,
        nearest=nearest,
    )
    shown = {photos[i].file for i in evenly_spaced(len(photos), args.sheet_photos)}
    results, pictures = defaultdict(list), defaultdict[float, list[Outcome]](list)
    with progress_bar() as progress, _colorizer(args) as colorizer:
        measured = evaluate(colorizer, photos, plan)
        for outcomes in progress.track(measured, total=len(photos), description="evaluate"):
            for vividness, outcome in outcomes.items():
                results[vividness].append(outcome.result)
                if outcome.result.file in shown:
                    pictures[vividness].append(outcome)
    if not results:
        raise SystemExit(f"no photo below {args.folder} can be read")
    summaries = {vividness: summarise(results[vividness]) for vividness in plan.vividness}
    for vividness, summary in summaries.items():
        several = len(plan.vividness) > 1
        out = args.out / f"vividness-{vividness:g}" if several else args.out
        out.mkdir(parents=True, exist_ok=True)
        title = f"## Version {model.version}, vividness {vividness:g}"
        console.print(Markdown(f"{title}\n\n{markdown_tables(summary)}"))
        (out / "summary.json").write_text(json.dumps(summary, indent=2))
        write_results(out / "photos.csv", results[vividness])
        sheet = cv2.cvtColor(contact_sheet(pictures[vividness]), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(out / "contact_sheet.png"), sheet)
        console.print(f"{out}: photos.csv, summary.json, contact_sheet.png")
    if args.unseen:
        add_unseen(store, model, summaries)
        console.print(f"{model.path}: model.json, MODEL_CARD.md")


def postprocess_command(args: argparse.Namespace) -> None:
    """Compare the ways of post-processing on a folder: a table, and a picture of crops."""
    import cv2

    from ..data import evenly_spaced
    from ..postprocess import compare_methods, crops_picture, markdown_table

    model = ModelStore(args.store).resolve(args.model)
    vividness = args.vividness
    if vividness is None:
        vividness = model.description.default_vividness
    photos = _photos_below(args.folder)
    photos = [photos[i] for i in evenly_spaced(len(photos), args.photos or len(photos))]
    with progress_bar() as progress, _colorizer(args) as colorizer:
        compared = compare_methods(colorizer, photos, vividness)
        comparisons = list(progress.track(compared, total=len(photos), description="postprocess"))
    table = markdown_table(comparisons)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "postprocess.md").write_text(
        f"Version {model.version}, vividness {vividness:g}, {len(photos)} photos\n\n{table}"
    )
    picture = cv2.cvtColor(crops_picture(comparisons), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(args.out / "postprocess.png"), picture)
    console.print(Markdown(table))
    console.print(f"{args.out}: postprocess.md, postprocess.png")


def compare_command(args: argparse.Namespace) -> None:
    """Compare two evaluations of the same photos: mean differences, second less first, by kind."""
    from ..report import comparison_table
    from ..summary import compare

    table = comparison_table(compare(*(x / "photos.csv" for x in args.evaluations)))
    console.print(Markdown(table))
