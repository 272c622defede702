"""The command line as the command itself describes it."""

import re
from collections.abc import Sequence

import typer
from typer.cli import get_docs_for_click

from chromaserve.command_line.main import command


def command_line(_: Sequence[str]) -> str:
    """Usage, arguments and options of `chromaserve` and of each of its subcommands."""
    group = typer.main.get_command(command)
    context = typer.Context(group, info_name="chromaserve")
    page = get_docs_for_click(obj=group, ctx=context, name="chromaserve", indent=1)
    # The list of subcommands cuts their descriptions short; each has a heading of its own.
    page = re.sub(r"\*\*Commands\*\*:\n\n(\*.*\n)+\n", "", page)
    # A paragraph that is an example, in the terminal's help, is one here too.
    return re.sub(r"\n\n(ffmpeg -.+(?:\n.+)*)", r"\n\n```sh\n\1\n```", page)
