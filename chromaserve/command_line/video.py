"""`chromaserve video`: a film, or raw frames from standard input to standard output."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from chromaserve.command_line.exits import (
    Complaint,
    Exit,
    complaints,
    ended_by_sigterm,
    say,
    tell_warnings,
)
from chromaserve.command_line.shared_options import (
    Model,
    Postprocess,
    Quiet,
    Reference,
    Vividness,
    read_hints,
)

if TYPE_CHECKING:
    from chromaserve.library.colorizer import Colorizer
    from chromaserve.library.colour_options import ColourOptions

CodecName = Literal["h264", "h265", "prores", "ffv1"]


def video(
    film: Annotated[
        Path | None, typer.Argument(metavar="IN", help="A film.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="Where it goes: .mp4, .mov or .mkv.")
    ] = None,
    codec: Annotated[
        CodecName | None,
        typer.Option(help="Of OUT. Default: h264, or h265 for more than 8 bits."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT if it is there.")
    ] = False,
    smoothing: Annotated[
        float,
        typer.Option(min=0, max=1, help="How steady colours are: 0 each frame by itself."),
    ] = 0.8,
    vividness: Vividness = None,
    postprocess: Postprocess = None,
    hints: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|@FILE",
            help='Colours that you know: [{"frame": 0, "x": 410, "y": 300, "color": "#2e6b3a"}]; '
            "each with the frame that it was made on, from 0, or the time, in seconds; they follow"
            " what has them through its shot.",
        ),
    ] = None,
    reference: Reference = None,
    model: Model = None,
    quiet: Quiet = False,
    width: Annotated[
        int | None, typer.Option(min=1, help="Of frames from standard input, in pixels.")
    ] = None,
    height: Annotated[int | None, typer.Option(min=1, help="The same.")] = None,
    pixel_format: Annotated[
        Literal["rgb24", "gray"], typer.Option(help="The same, by ffmpeg's names.")
    ] = "rgb24",
) -> None:
    """Give a film colours; sound, subtitles and times stay as they are.

    A run that was stopped goes on where it was when it is started again.

    Without IN and OUT raw frames of --width and --height are read from standard input, and as many
    written as rgb24 to standard output, for those who want to call ffmpeg themselves.
    """
    with complaints():
        tell_warnings()
        if (film is None) != (out is None) or (film is None and None in (width, height)):
            raise Complaint("name the film and where the result goes: chromaserve video IN OUT")
        if film and (width or height):
            raise Complaint("--width and --height are of frames from a pipe; a film has its own")
        if not film and (codec or overwrite):
            raise Complaint("--codec and --overwrite are for films as files, not for frames")
        ends = (sys.stdin, sys.stdout)
        if film is None and any(end is None or end.isatty() for end in ends):
            raise Complaint("frames come from one pipe and go into another, which no terminal is")
        if out is not None and (out.exists() or out.is_symlink()) and not overwrite:
            raise Complaint(f"{out} is there already; --overwrite replaces it")
        if film is not None and not film.is_file():
            raise Complaint(f"there is no {film}", Exit.NOTHING_DONE)
        from chromaserve.library.colorizer import Colorizer
        from chromaserve.library.colour_options import ColourOptions

        options = ColourOptions(
            vividness=vividness,
            postprocess=postprocess,
            reference=reference,
            hints=read_hints(hints),
        )
        with Colorizer(model) as colorizer:
            if film is not None and out is not None:
                done = _film(film, out, colorizer, codec, smoothing, overwrite, options, quiet)
            elif width is not None and height is not None:
                done = _frames(width, height, colorizer, pixel_format, smoothing, options)
            else:
                raise AssertionError("seen to above")
        if not quiet:
            say(done)


def _film(
    film: Path,
    out: Path,
    colorizer: "Colorizer",
    codec: CodecName | None,
    smoothing: float,
    overwrite: bool,
    options: "ColourOptions",
    quiet: bool,
) -> str:
    """Colorize a film behind a bar; what became of it, in words."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from chromaserve.video import colorize_film

    start = time.perf_counter()
    first: list[int] = []
    with (
        Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=quiet or not sys.stderr.isatty(),
        ) as bar,
        ended_by_sigterm(),
    ):
        row = bar.add_task("frames", total=None, speed="")

        def progress(frames: int, of: int) -> None:
            if not first:
                first.append(frames - 1)
            speed = (frames - first[0]) / (time.perf_counter() - start)
            bar.update(row, completed=frames, total=of or None, speed=f"{speed:.1f} frames/s")

        report = colorize_film(
            film, out, colorizer=colorizer, codec=codec, smoothing=smoothing, replace=overwrite,
            progress=progress, tell=say, **options,
        )  # fmt: skip
    if report.damaged:
        say(f"{report.damaged} damaged pieces of {film} left out; the frames before them stay")
    kept = f" and {report.kept} of an earlier run" if report.kept else ""
    speed = report.frames / report.seconds
    return f"{film} → {out}: {report.frames} frames{kept}, {speed:.1f} a second"


def _frames(
    width: int,
    height: int,
    colorizer: "Colorizer",
    pixel_format: Literal["rgb24", "gray"],
    smoothing: float,
    options: "ColourOptions",
) -> str:
    """Colorize raw frames between the pipes; what became of them, in words."""
    from chromaserve.video import colorize_frames

    report = colorize_frames(
        sys.stdin.buffer,
        sys.stdout.buffer,
        width,
        height,
        colorizer=colorizer,
        pixel_format=pixel_format,
        smoothing=smoothing,
        **options,
    )
    if not report.frames:
        raise Complaint("no frame came from standard input", Exit.NOTHING_DONE)
    speed = f"{report.frames_per_second:.1f} a second"
    return f"{report.frames} frames in {report.seconds:.1f} s, {speed}"
