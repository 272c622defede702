"""`chromaserve video`: raw frames from standard input to standard output."""

import sys
from typing import Annotated, Literal

import typer

from chromaserve.command_line.exits import Complaint, Exit, complaints, say, tell_warnings
from chromaserve.command_line.shared_options import Model, Postprocess, Quiet, Vividness


def video(
    width: Annotated[int, typer.Option(min=1, help="Of every frame, in pixels.")],
    height: Annotated[int, typer.Option(min=1, help="Of every frame, in pixels.")],
    pixel_format: Annotated[
        Literal["rgb24", "gray"], typer.Option(help="Of the frames that come, by ffmpeg's names.")
    ] = "rgb24",
    smoothing: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="How steady colours are: 0 each frame by itself. Default: 0.8."
        ),
    ] = None,
    vividness: Vividness = None,
    postprocess: Postprocess = None,
    model: Model = None,
    quiet: Quiet = False,
) -> None:
    """Give a video colours: raw frames from standard input, as many as rgb24 to standard output.

    ffmpeg makes the frames and takes them:

    ffmpeg -i in.mp4 -f rawvideo -pix_fmt rgb24 - | chromaserve video --width 640 --height 480 |
    ffmpeg -f rawvideo -pix_fmt rgb24 -s 640x480 -r 25 -i - -pix_fmt yuv420p out.mp4
    """
    with complaints():
        tell_warnings()
        if sys.stdin.isatty() or sys.stdout.isatty():
            raise Complaint("frames come from one pipe and go into another, not from a terminal")
        from chromaserve.library.colorizer import Colorizer
        from chromaserve.video import DEFAULT_SMOOTHING, colorize_frames

        with Colorizer(model) as colorizer:
            report = colorize_frames(
                sys.stdin.buffer,
                sys.stdout.buffer,
                width,
                height,
                colorizer=colorizer,
                pixel_format=pixel_format,
                smoothing=DEFAULT_SMOOTHING if smoothing is None else smoothing,
                vividness=vividness,
                postprocess=postprocess,
            )
        if not report.frames:
            raise Complaint("no frame came from standard input", Exit.NOTHING_DONE)
        if not quiet:
            speed = f"{report.frames_per_second:.1f} a second"
            say(f"{report.frames} frames in {report.seconds:.1f} s, {speed}")
