"""`chromaserve batch`: folders and object stores too large for one machine, on a Ray cluster."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chromaserve.command_line.exits import Complaint, Exit, complaints, ended_by_sigterm, say
from chromaserve.command_line.shared_options import (
    Colour,
    Damaged,
    FormatName,
    Look,
    Metadata,
    Model,
    Pages,
    Postprocess,
    Quality,
    Vividness,
    as_written,
)

if TYPE_CHECKING:
    from chromaserve.cluster.report import Summary

_NO_RAY = "batch needs Ray. Install it with: pip install 'chromaserve[ray]'"
_LINE_EVERY_S = 60


def batch(
    source: Annotated[str, typer.Argument(metavar="SRC", help="Folder of photos: a path or URL.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="Folder of results: a path or URL.")],
    vividness: Vividness = None,
    postprocess: Postprocess = None,
    format: Annotated[FormatName, typer.Option(help="Of the results.")] = "png",
    quality: Quality = None,
    metadata: Metadata = None,
    pages: Pages = None,
    damaged: Damaged = None,
    colour: Colour = None,
    look: Look = None,
    model: Model = None,
    model_root: Annotated[
        Path | None,
        typer.Option(
            help="Folder of models, at this path on every machine; default: CHROMASERVE_MODEL_ROOT,"
            " or the bundled ones."
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Of a Ray cluster, HOST:PORT or auto; default: one on this machine, for this run.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that colorize.", show_default="fill the cluster"),
    ] = None,
    cpus: Annotated[
        float, typer.Option(min=0.1, help="Cores of a worker, and threads of its model.")
    ] = 1,
    gpus: Annotated[
        float, typer.Option(min=0, help="GPUs of a worker; with 0.5 two workers share one.")
    ] = 0,
    parcel: Annotated[
        int, typer.Option(min=1, help="Photos of a task: done again if its worker is lost.")
    ] = 64,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Of the report, within DST.", show_default="_reports/TIME"
        ),
    ] = None,
) -> None:
    """Colorize a folder tree by many processes, on one machine or on many.

    SRC and DST are paths, or URLs such as s3:// and gs://, that every machine reaches. The result
    of a.jpg is a.png, in the same folder of DST. Results that are there already are left
    alone, so that an interrupted run is resumed by running it again.
    """
    with complaints():
        try:
            import ray.data  # fails, too, where only Ray's core is installed
        except ImportError as error:
            raise Complaint(_NO_RAY) from error
        from chromaserve.cluster.listing import REPORTS
        from chromaserve.cluster.places import Place
        from chromaserve.cluster.report import Report
        from chromaserve.cluster.run import joined, places_for, run
        from chromaserve.cluster.work import Job

        began = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        try:
            job = Job(
                source=Place.of(source),
                target=Place.of(target),
                format=as_written(format) or "png",
                options={
                    "vividness": vividness,
                    "postprocess": postprocess,
                    "quality": quality,
                    "metadata": metadata,
                    "pages": pages,
                    "damaged": damaged,
                    "colour": colour,
                    "look": look,
                },
                model=model,
                model_root=model_root.absolute() if model_root else None,
                num_cpus=cpus,
                num_gpus=gpus,
                parcel=parcel,
            )
            job.check()
        except OSError as error:
            raise Complaint(f"SRC: {error}") from error
        except ValueError as error:
            raise Complaint(str(error)) from error
        folder = report or f"{REPORTS}/{began}"
        try:
            with joined(address), ended_by_sigterm():
                room = places_for(job)
                if not room:
                    _no_room(f"a worker of {cpus:g} cores and {gpus:g} GPUs", own=not address)
                try:
                    lines = Report(job.target, folder)
                except OSError as error:
                    raise Complaint(f"DST: {error}") from error
                with lines, _progress() as show:
                    summary = run(job, lines, workers or max(room, 1), show, _say_end)
        except ray.exceptions.RayError as error:
            raise Complaint(_last_line(error), Exit.NOTHING_DONE) from error
        if summary.interrupted:
            raise KeyboardInterrupt
        print(f"{_say(summary)} in {summary.seconds:.1f} s; report: {job.target.url}/{folder}")
        for kind, count in sorted(summary.failed.items()):
            print(f"  {count:,} {kind}")
        if summary.otherwise:
            say(
                f"in {summary.otherwise:,} folders results were there that were made with other"
                " options or another model; without them they are made anew"
            )
        raise typer.Exit(_status(summary))


def _no_room(worker: str, *, own: bool) -> None:
    """A cluster may grow; this machine does not."""
    if own:
        raise Complaint(f"this machine has no room for {worker}")
    say(f"no machine of the cluster has room for {worker}; waiting for one that has")


def _say(summary: "Summary") -> str:
    return (
        f"{summary.done:,} colorized, {summary.failed.total():,} failed,"
        f" {summary.already:,} there already"
    )


def _say_end() -> None:
    say("photos that were begun are finished; another signal ends at once")


def _status(summary: "Summary") -> Exit:
    if summary.failed:
        return Exit.SOME_FAILED if summary.done or summary.already else Exit.NOTHING_DONE
    return Exit.DONE if summary.done or summary.already else Exit.NOTHING_DONE


def _last_line(error: Exception) -> str:
    """What happened, without the stack of the process that it happened in."""
    return str(error).strip().splitlines()[-1]


@contextmanager
def _progress() -> Iterator[Callable[["Summary"], None]]:
    """What shows the counts: a moving line on a terminal, a line a minute in a log."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

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
