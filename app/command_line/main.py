"""The command's parts: one function each, put together by Typer."""

import sys

import typer

from app.__main__ import main as run_service

command = typer.Typer(name="chromaserve", no_args_is_help=True, add_completion=False)


@command.callback()
def about() -> None:
    """Give grey photos colours."""


@command.command()
def serve() -> None:
    """Serve over HTTP, with the settings of the environment."""
    raise typer.Exit(run_service())


def main() -> None:
    """Run the command; the process ends with its exit status."""
    sys.exit(command())
