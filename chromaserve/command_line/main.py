"""The command: its parts, one function each, put together by Typer.

Each part imports what it needs when it runs, so that `--help` and shell completion are quick.
"""

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from chromaserve.command_line.batch import batch
from chromaserve.command_line.benchmark import benchmark
from chromaserve.command_line.colorize import colorize
from chromaserve.command_line.exits import STATUSES, complaints, ready_streams
from chromaserve.command_line.info import info
from chromaserve.command_line.inspect import inspect
from chromaserve.command_line.jobs import jobs
from chromaserve.command_line.models import models
from chromaserve.command_line.serve import serve
from chromaserve.command_line.verify import verify
from chromaserve.command_line.video import video

command = typer.Typer(
    name="chromaserve",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(asked: bool) -> None:
    if asked:
        try:
            print(version("chromaserve"))
        except PackageNotFoundError:
            print("not installed")
        raise typer.Exit


@command.callback()
def about(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version."),
    ] = False,
) -> None:
    """Give grey photos colours: here, by a service, or as a service."""


for part in (colorize, inspect, verify, video, batch, serve, info, benchmark):
    command.command(epilog=STATUSES)(part)
command.add_typer(models, name="models", epilog=STATUSES)
command.add_typer(jobs, name="jobs", epilog=STATUSES)


def main() -> None:
    """Run the command; the process ends with its exit status."""
    ready_streams()
    try:
        with complaints():  # of --help and --version, which are told before a command runs
            command()
    except typer.Exit as ended:
        sys.exit(ended.exit_code)
