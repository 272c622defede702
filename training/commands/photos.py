"""Stages that look at photos: datasets, scan."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from .arguments import AddStage, add_run_stage, configuration, console, index_path, progress_bar


def add_stages(add: AddStage) -> None:
    """Add `datasets` and `scan`."""
    sub = add("datasets", datasets_command)
    sub.add_argument("--photos", type=Path, default=Path("photos"),
                     help="folder that the data sets lie below")  # fmt: skip
    add_run_stage(add, "scan", scan_command)


def datasets_command(args: argparse.Namespace) -> None:
    """List the data sets that [data] may name, and what is found of them."""
    from ..datasets import PREFIX, inspect, registry

    for name, entry in registry().items():
        found = inspect(args.photos, entry).verdict(entry)
        console.print(f"[bold]{PREFIX}{name}[/bold]  {entry.title} ({entry.kind}): {found}")
        for label, text in (("photos", entry.expected), ("place", args.photos / entry.folder),
                            ("named", ", ".join(entry.layout)), ("source", entry.source),
                            ("terms", entry.terms), ("note", entry.note)):  # fmt: skip
            if text:
                console.print(f"    {label}: {text}", highlight=False, soft_wrap=True)


def scan_command(args: argparse.Namespace) -> None:
    """Look at every photo and write the index of usable ones."""
    from ..data import Entry, scan, write_index

    with progress_bar() as progress:
        task = progress.add_task("scan", total=None)

        def counted() -> Iterator[Entry | tuple[str, str]]:
            for item in scan(args.photos, configuration(args).data):
                progress.advance(task)
                yield item

        counts = write_index(index_path(args), counted())
    for name, count in sorted(counts.items()):
        console.print(f"{count:7d}  {name}")
