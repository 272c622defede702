"""`chromaserve batch`: folders and object stores too large for one machine, on a Ray cluster."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from app.command_line.options import FormatName, PostprocessName

if TYPE_CHECKING:
    from app.batch.report import Summary

_INSTALL = "chromaserve batch needs Ray: pip install 'chromaserve[ray]'"
_FAILED, _USAGE = 1, 2
_LINE_EVERY_S = 60


def batch(
    source: Annotated[str, typer.Argument(metavar="SRC", help="Folder of photos: path or URL.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="Folder for results: path or URL.")],
    vividness: Annotated[
        float | None, typer.Option(help="0: the safest colours; 1: the liveliest.")
    ] = None,
    postprocess: Annotated[
        PostprocessName | None, typer.Option(help="How colours come to the photo's size.")
    ] = None,
    mirror: Annotated[bool, typer.Option(help="Average with the mirror image.")] = False,
    format: Annotated[FormatName, typer.Option(help="Encoding of results.")] = "png",
    model: Annotated[str | None, typer.Option(help="Model version.")] = None,
    model_root: Annotated[
        Path | None, typer.Option(help="Model store, at this path on every machine.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Ray cluster, such as auto; by default one that is started here."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that colorize; default: fill the cluster.")
    ] = None,
    cpus: Annotated[float, typer.Option(min=0.1, help="Cores, and threads, of a worker.")] = 1,
    gpus: Annotated[float, typer.Option(min=0, help="GPUs of a worker; 0.5: two on one.")] = 0,
    parcel: Annotated[int, typer.Option(min=1, help="Photos of a task.")] = 64,
    report: Annotated[
        str | None, typer.Option(help="Folder in DST for the report; default: _reports/TIME.")
    ] = None,
) -> None:
    """Colorize a folder tree by many processes, on one machine or on many.

    SRC and DST are paths or URLs (s3://, gs://, https://...) that every machine reaches. Results
    have their photos' names with the format's extension after them. What is there already is left
    alone: run it again after an interruption. Exit status: 0 all done, 1 some photos failed,
    2 nothing could be done.
    """
    try:
        import ray
        import ray.data
        from pydantic import ValidationError
    except ImportError:
        raise _refuse(_INSTALL) from None
    from app.batch.listing import REPORTS
    from app.batch.places import Place
    from app.batch.report import Report
    from app.batch.run import joined, places_for, run
    from app.batch.work import Job
    from app.options import Options

    began = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    try:
        Options(vividness=vividness, postprocess=postprocess, mirror=mirror, model=model)
        from_, to = Place.of(source), Place.of(target, run=began)
        if from_.inside(to) or to.inside(from_):
            raise ValueError("SRC and DST must not lie in each other")
        from_.list("")
    except ValidationError as error:
        raise _refuse(" ".join(str(each["msg"]) for each in error.errors())) from error
    except (OSError, ValueError) as error:
        raise _refuse(str(error)) from error
    job = Job(
        source=from_,
        target=to,
        format=format,
        options={"vividness": vividness, "postprocess": postprocess, "mirror": mirror},
        model=model,
        model_root=model_root.absolute() if model_root else None,
        num_cpus=cpus,
        num_gpus=gpus,
        parcel=parcel,
    )
    try:
        with (
            joined(address),
            Report(to, report or f"{REPORTS}/{began}") as lines,
            _progress() as show,
        ):
            summary = run(job, lines, workers or places_for(job), show)
    except (OSError, ValueError, ray.exceptions.RayError) as error:
        raise _refuse(" ".join(str(error).split())) from error
    print(f"{_say(summary)} in {summary.seconds:.1f} s; report: {to.url}/{lines.folder}")
    for kind, count in sorted(summary.failed.items()):
        print(f"  {count} {kind}")
    raise typer.Exit(_FAILED if summary.failed else 0)


def _say(summary: "Summary") -> str:
    return (
        f"{summary.done:,} colorized, {summary.failed.total():,} failed,"
        f" {summary.already:,} there already"
    )


@contextmanager
def _progress() -> Iterator[Callable[["Summary"], None]]:
    """What shows the counts: a moving line on a terminal, a line a minute in a log."""
    if sys.stderr.isatty():
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("starting")
            yield lambda summary: bar.update(task, description=_say(summary))
        return
    last = time.monotonic()

    def show(summary: "Summary") -> None:
        nonlocal last
        if time.monotonic() - last > _LINE_EVERY_S:
            last = time.monotonic()
            print(_say(summary), file=sys.stderr, flush=True)

    yield show


def _refuse(sentence: str) -> typer.Exit:
    print(f"chromaserve: {sentence}", file=sys.stderr)
    return typer.Exit(_USAGE)
