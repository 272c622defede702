"""`chromaserve colorize`: a photo, several, a folder, or standard input."""

import sys
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chromaserve.command_line.colorists import Local, Remote, Service, colorist
from chromaserve.command_line.exits import (
    NOTHING_FITS,
    Complaint,
    Exit,
    complaints,
    ended_by_sigterm,
)
from chromaserve.command_line.shared_options import (
    AlbumFlag,
    ApiKey,
    Colour,
    Confidence,
    Damaged,
    Format,
    Hints,
    Json,
    Look,
    MaxPixels,
    Metadata,
    Model,
    Pages,
    Patience,
    Postprocess,
    Proposals,
    Quality,
    Quiet,
    Reference,
    Url,
    Vividness,
    as_written,
    read_hints,
)
from chromaserve.command_line.streams import STREAM, read
from chromaserve.command_line.tasks import Plan, Task, plan
from chromaserve.command_line.written import Written
from chromaserve.photos.formats import Wanted

if TYPE_CHECKING:
    from chromaserve.command_line.report import Report


def colorize(
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO",
            help="Photos or folders; - is standard input.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Where results go: a file for one photo, else a folder; - is standard output. By"
            " default NAME-colour.png beside a photo, FOLDER-colour beside a folder.",
        ),
    ] = None,
    vividness: Vividness = None,
    postprocess: Postprocess = None,
    hints: Hints = None,
    format: Format = None,
    quality: Quality = None,
    metadata: Metadata = None,
    pages: Pages = None,
    damaged: Damaged = None,
    colour: Colour = None,
    look: Look = None,
    reference: Reference = None,
    proposals: Proposals = 1,
    confidence: Confidence = False,
    album: AlbumFlag = False,
    model: Model = None,
    max_pixels: MaxPixels = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Make results anew; no photo that is colorized is lost."),
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with photos that come or change, until Ctrl-C.")
    ] = False,
    poll: Annotated[
        bool,
        typer.Option("--poll", help="Watch by looking again and again: a network drive is silent."),
    ] = False,
    url: Url = None,
    api_key: ApiKey = None,
    patience: Patience = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Give photos colours, at their own size and with their luminance untouched.

    A folder is done with all folders in it, which the results keep. They are written whole or not
    at all; those that are there are left alone, so that an interrupted run goes on when run again.
    """
    with complaints():
        chosen = {
            "vividness": vividness,
            "postprocess": postprocess,
            "hints": read_hints(hints),
            "model": model,
            "quality": quality,
            "metadata": metadata,
            "pages": pages,
            "damaged": damaged,
            "colour": colour,
            "look": look,
            "reference": reference,
            "max_pixels": max_pixels,
            "album": album or None,
        }
        if album and (watch or proposals > 1 or confidence):
            raise Complaint("--album is for photos that are there, and one result of each")
        if hints and watch:
            raise Complaint("--hints are for a photo that is there, without --watch")
        if url is not None and max_pixels:
            raise Complaint("--max-pixels is for photos that are done here; a service has its own")
        if patience is not None and url is None:
            raise Complaint("--patience is for --url")
        if reference and not reference.exists():
            raise Complaint(f"there is no {reference}", Exit.NOTHING_DONE)
        format, service = as_written(format), Service(url, api_key, patience)
        if STREAM in (*photos, output):
            if proposals > 1 or confidence or album or watch or poll or as_json:
                more = "--proposals, --confidence, --album, --watch, --poll and --json"
                raise Complaint(f"- is for one photo and its result alone, without {more}")
            _stream(photos, output, format, service, chosen, overwrite=overwrite)
            return
        work = replace(
            plan(photos, output, format or "png"), proposals=proposals, confidence=confidence,
            pages=pages, damaged=damaged,
        )  # fmt: skip
        if work.file and not overwrite:
            _check_free(work.file)
        if watch and not work.folders:
            raise Complaint("--watch is for folders")
        if poll and not watch:
            raise Complaint("--poll is for --watch")
        from chromaserve.command_line.report import Report

        chosen["format"] = _format_of(work.file, format)
        report = Report(quiet=quiet, as_json=as_json)
        status = _run(work, report, chosen, service, overwrite=overwrite, watch=watch, poll=poll)
        raise typer.Exit(status)


def _check_free(output: Path) -> None:
    if output.is_file() or (output.is_symlink() and not output.exists()):
        raise Complaint(f"{output} is there already; --overwrite replaces it")


def _format_of(output: Path | None, chosen: Wanted | None) -> str:
    """The encoding of one result: as chosen, or as its file is named, which must agree."""
    from chromaserve.library.files import format_named, format_of

    named = format_named(output) if output else None
    if chosen == "same" and output:
        raise Complaint("--format same names the result itself; name a folder by -o")
    if chosen and named and chosen != named:
        raise Complaint(f"{output} is named as {named}, and --format says {chosen}")
    return chosen or format_of(output)


def _run(
    work: Plan,
    report: "Report",
    chosen: dict[str, Any],
    service: Service,
    *,
    overwrite: bool,
    watch: bool,
    poll: bool,
) -> int:
    """All that there is to do; the exit status."""
    tasks = work.tasks(report)
    if not tasks and not watch:
        also = f"; {report.all_left_out}" if report.all_left_out else ""
        raise Complaint(f"there is no photo in what was named{also}", Exit.NOTHING_DONE)
    todo = [task.anew() if overwrite else task for task in tasks if overwrite or not task.is_done]
    done = [] if overwrite else [task for task in tasks if task.is_done]
    if chosen["album"] and any(task.page for task in tasks):
        raise Complaint(
            "--album is for one result of each photo, and --pages all gives more of some"
        )
    if chosen["hints"]:
        photos = {task.photo for task in tasks}
        if len(photos) > 1 and not chosen["album"]:
            raise Complaint(f"--hints are for one photo, and there are {len(photos)}; or --album")
        if chosen["album"] and todo and done:
            raise Complaint(
                f"--hints of an album are for all its photos, and {len(done)} are done already;"
                " --overwrite makes them anew"
            )
    _sweep(todo)
    report.skip(done)
    if done:
        from chromaserve.library.made import Making, made_otherwise

        pairs = [(task.photo, task.output) for task in done]
        report.made_otherwise(made_otherwise(pairs, Making.of(chosen, here=service.url is None)))
    written = Written()
    try:
        if todo or watch:
            with colorist(service, chosen) as made:
                if watch:
                    _watch(made, report, todo, work, written, overwrite=overwrite, poll=poll)
                else:
                    _follow(made, report, todo, written)
    finally:  # told, too, where the run ends early
        report.written(written.untold())
        status = report.finish()
    return status


def _follow(made: Local | Remote, report: "Report", todo: list[Task], written: Written) -> None:
    written.expect(todo)
    for outcome in report.follow(made.files(todo), len(todo)):
        error = outcome.error
        written.note(outcome.task, failed=error is not None)
        if isinstance(error, OSError) and error.errno in NOTHING_FITS:
            raise Complaint("no more results can be written there", Exit.SOME_FAILED)


def _watch(
    made: Local | Remote,
    report: "Report",
    todo: list[Task],
    work: Plan,
    written: Written,
    *,
    overwrite: bool,
    poll: bool,
) -> None:
    from chromaserve.command_line.watch import watched

    tasks = partial(work.tasks, report)
    with suppress(KeyboardInterrupt), ended_by_sigterm():  # how watching ends
        _follow(made, report, todo, written)
        for more in watched(work.folders, tasks, written, overwrite=overwrite, poll=poll):
            _follow(made, report, more, written)


def _sweep(todo: list[Task]) -> None:
    from chromaserve.library.files import sweep

    for folder in {task.output.parent for task in todo}:
        if folder.is_dir():
            sweep(folder)


def _stream(
    photos: list[str],
    output: str | None,
    format: Wanted | None,
    service: Service,
    chosen: dict[str, Any],
    *,
    overwrite: bool,
) -> None:
    """One photo from standard input or to standard output."""
    from chromaserve.library.files import write_whole

    if output is None and photos[-1] == STREAM:
        photos, output = photos[:-1] or photos, STREAM
    if len(photos) > 1:
        raise Complaint("- is for one photo; where its result goes is named by -o")
    source, target = photos[0], output or STREAM
    if target == STREAM:
        if sys.stdout is None or sys.stdout.isatty():
            what = "a terminal" if sys.stdout else "closed"
            raise Complaint(f"standard output is {what}; name a file for the result by -o")
    elif not overwrite:
        _check_free(Path(target))
    chosen["format"] = _format_of(None if target == STREAM else Path(target), format)
    data = read(source, None if target == STREAM else Path(target))
    with colorist(service, chosen) as made:
        result = made.data(data)
    if target == STREAM:
        sys.stdout.buffer.write(result)
        sys.stdout.buffer.flush()
    else:
        write_whole(Path(target), result, replace=overwrite)
