"""`chromaserve colorize`: a photo, several, a folder, or standard input."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chromaserve.command_line.colorists import Local, Outcome, Remote, Service, colorist
from chromaserve.command_line.exits import (
    NOTHING_FITS,
    Complaint,
    Exit,
    complaints,
    ended_by_sigterm,
)
from chromaserve.command_line.places import (
    check_free,
    check_reference,
    check_words,
    format_of_file,
    refused,
    sweep_up,
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
from chromaserve.command_line.streams import STREAM, stream
from chromaserve.command_line.tasks import Plan, Task, plan
from chromaserve.command_line.written import Written

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
        check_words([*photos, output])
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
            stream(photos, output, format, service, chosen, overwrite=overwrite)
            return
        work = replace(
            plan(photos, output, format or "png"), proposals=proposals, confidence=confidence,
            pages=pages, damaged=damaged,
        )  # fmt: skip
        if work.file and not overwrite:
            check_free(work.file, work.inputs[0])
        if watch and not work.folders:
            raise Complaint("--watch is for folders")
        if poll and not watch:
            raise Complaint("--poll is for --watch")
        from chromaserve.command_line.report import Report

        chosen["format"] = format_of_file(work.file, format)
        report = Report(quiet=quiet, as_json=as_json)
        status = _run(work, report, chosen, service, overwrite=overwrite, watch=watch, poll=poll)
        raise typer.Exit(status)


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
        if any(task.page for task in tasks):
            raise Complaint("--hints are for one page, and --pages all gives several")
        photos = {task.photo for task in tasks}
        if len(photos) > 1 and not chosen["album"]:
            raise Complaint(f"--hints are for one photo, and there are {len(photos)}; or --album")
        if chosen["album"] and todo and done:
            raise Complaint(
                f"--hints of an album are for all its photos, and {len(done)} are done already;"
                " --overwrite makes them anew"
            )
    check_reference(chosen["reference"], todo)
    todo = _writable(todo, report, album=chosen["album"])
    sweep_up(todo)
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
                    _follow(made, report, todo, written, album=chosen["album"])
    finally:  # told, too, where the run ends early
        report.written(written.untold())
        status = report.finish()
    return status


def _writable(todo: list[Task], report: "Report", *, album: bool | None) -> list[Task]:
    """Those whose results can be written; of the others it is told before one is coloured.

    Raises:
        Complaint: there are no others, or an album would lack some.
    """
    problems = refused(todo)
    if problems and (album or len(problems) == len(todo)):
        raise next(iter(problems.values()))
    outcomes = [Outcome(task, error=problem) for task, problem in problems.items()]
    for _ in report.follow(outcomes, len(outcomes)):
        pass
    return [task for task in todo if task not in problems]


def _follow(
    made: Local | Remote,
    report: "Report",
    todo: list[Task],
    written: Written,
    *,
    album: bool | None = None,
) -> None:
    written.expect(todo)
    passed: list[Task] = []  # what another run has done meanwhile
    try:
        outcomes = _outcomes(made, todo, passed, album=album)
        for outcome in report.follow(outcomes, len(todo)):
            error = outcome.error
            written.note(outcome.task, failed=error is not None)
            if isinstance(error, OSError) and error.errno in NOTHING_FITS:
                raise Complaint("no more results can be written there", Exit.SOME_FAILED)
    finally:
        for task in passed:
            written.note(task, failed=True)
        report.skip(passed)


def _outcomes(
    made: Local | Remote, todo: list[Task], passed: list[Task], *, album: bool | None
) -> Iterator[Outcome]:
    """What becomes of tasks; those whose results are there by their turn are noted in `passed`."""

    def left() -> Iterator[Task]:
        for task in todo:
            if task.is_done and not task.replace and not album:  # which is coloured as a whole
                passed.append(task)
            else:
                yield task

    for outcome in made.files(left()):
        if isinstance(outcome.error, FileExistsError) and outcome.task.is_done:
            passed.append(outcome.task)
        else:
            yield outcome


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
