"""`chromaserve colorize`: a photo, several, a folder, or standard input."""

import errno
import sys
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chromaserve.command_line.exits import Complaint, Exit, complaints
from chromaserve.command_line.options import (
    ApiKey,
    Format,
    FormatName,
    Hints,
    Json,
    Model,
    Postprocess,
    Quiet,
    Url,
    Vividness,
    read_hints,
)
from chromaserve.command_line.tasks import Plan, Task, plan

if TYPE_CHECKING:
    from chromaserve.command_line.colorists import Local, Remote
    from chromaserve.command_line.report import Report

STREAM = "-"
_NOTHING_FITS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def colorize(
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO... [OUT]",
            help="Photos or folders, then where the results go; - is standard input or output."
            " Without OUT: NAME-colour.png beside a photo, FOLDER-colour beside a folder.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="OUT", help="Where results go, for many photos."),
    ] = None,
    vividness: Vividness = None,
    postprocess: Postprocess = None,
    hints: Hints = None,
    format: Format = None,
    model: Model = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make results anew that are there already.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with photos that come or change, until Ctrl-C.")
    ] = False,
    url: Url = None,
    api_key: ApiKey = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Give photos colours, at their own size and with their luminance untouched.

    A folder is done with all folders in it, which the results keep; what is done already is
    skipped, so that an interrupted run is resumed by running it again. Results are written whole
    or not at all.
    """
    with complaints():
        chosen = {
            "vividness": vividness,
            "postprocess": postprocess,
            "hints": read_hints(hints),
            "model": model,
        }
        if STREAM in photos or output == STREAM:
            _stream(photos, output, format, url, api_key, chosen, overwrite=overwrite)
            return
        work = _planned(photos, output, format)
        if work.is_one_file and work.output and not overwrite:
            _check_free(work.output)
        if watch and not work.folders:
            raise Complaint("--watch is for folders")
        from chromaserve.command_line.report import Report

        chosen["format"] = format or _format_of(work)
        report = Report(quiet=quiet, as_json=as_json)
        raise typer.Exit(_run(work, report, chosen, url, api_key, overwrite=overwrite, watch=watch))


def _check_free(output: Path) -> None:
    if output.is_file():
        raise Complaint(
            f"{output} is there already; --overwrite replaces it. For the results of several photos"
            " name a folder with --output"
        )


def _planned(photos: list[str], output: str | None, format: FormatName | None) -> Plan:
    from chromaserve.library.files import SUFFIXES

    return plan(photos, output, SUFFIXES[format or "png"])


def _format_of(work: Plan) -> str:
    from chromaserve.library.files import format_of

    return format_of(work.output if work.is_one_file else None)


def _run(
    work: Plan,
    report: "Report",
    chosen: dict[str, Any],
    url: str | None,
    api_key: str | None,
    *,
    overwrite: bool,
    watch: bool,
) -> int:
    """All that there is to do; the exit status."""
    from chromaserve.command_line.colorists import colorist

    tasks = work.tasks(report.unreadable)
    if not tasks and not watch:
        raise Complaint("there is no photo in what was named", Exit.NOTHING_DONE)
    if chosen["hints"] and len(tasks) > 1:
        raise Complaint(f"--hints are for one photo, and there are {len(tasks)}")
    todo = tasks if overwrite else [task for task in tasks if not task.is_done]
    _sweep(todo)
    report.skip(sorted(set(tasks) - set(todo), key=lambda task: task.photo))
    try:
        if todo or watch:
            with colorist(url, api_key, chosen) as made:
                _follow(made, report, todo)
                if watch:
                    _watch(made, report, work)
    finally:  # told, too, where the run ends early
        status = report.finish()
    return status


def _follow(made: "Local | Remote", report: "Report", todo: list[Task]) -> None:
    for outcome in report.follow(made.files(todo), len(todo)):
        error = outcome.error
        if isinstance(error, OSError) and error.errno in _NOTHING_FITS:
            raise Complaint("no more results can be written there", Exit.SOME_FAILED)


def _watch(made: "Local | Remote", report: "Report", work: Plan) -> None:
    from chromaserve.command_line.watch import watched

    try:
        for todo in watched(work.folders, partial(work.tasks, report.unreadable)):
            _follow(made, report, todo)
    except KeyboardInterrupt:
        return  # how watching ends


def _sweep(todo: list[Task]) -> None:
    from chromaserve.library.files import sweep

    for folder in {task.output.parent for task in todo}:
        if folder.is_dir():
            sweep(folder)


def _stream(
    photos: list[str],
    output: str | None,
    format: FormatName | None,
    url: str | None,
    api_key: str | None,
    chosen: dict[str, Any],
    *,
    overwrite: bool,
) -> None:
    """One photo from standard input or to standard output."""
    from chromaserve.command_line.colorists import colorist
    from chromaserve.library.files import format_of, write_whole

    names = list(chain(photos, [output] if output else []))
    if len(names) > 2:
        raise Complaint("- is for one photo")
    source, target = names[0], names[1] if len(names) == 2 else STREAM
    if target != STREAM and not overwrite:
        _check_free(Path(target))
    if target == STREAM and sys.stdout.isatty():
        raise Complaint("standard output is a terminal; name a file for the result")
    data = sys.stdin.buffer.read() if source == STREAM else Path(source).read_bytes()
    chosen["format"] = format or format_of(None if target == STREAM else Path(target))
    with colorist(url, api_key, chosen) as made:
        result = made.data(data)
    if target == STREAM:
        sys.stdout.buffer.write(result)
        sys.stdout.buffer.flush()
    else:
        write_whole(Path(target), result)
