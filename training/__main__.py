"""The command line of training: scan, train, evaluate, publish and more."""

import argparse
import ctypes
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from chromaserve.store.errors import ModelStoreError

from .commands import fitting, measuring, photos
from .commands.arguments import Command
from .errors import TrainingError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h


def parser() -> argparse.ArgumentParser:
    """Build the argument parser."""
    top = argparse.ArgumentParser(prog="chromaserve-train", description=__doc__)
    stages = top.add_subparsers(dest="stage", required=True)

    def add(name: str, command: Command) -> argparse.ArgumentParser:
        sub = stages.add_parser(name, help=command.__doc__)
        sub.set_defaults(command=command)
        return sub

    for module in (photos, fitting, measuring):
        module.add_stages(add)
    return top


def keep_freed_memory() -> None:
    """Have glibc keep what a batch frees for the next one. Call it before threads are started.

    By default it gives 100 MB of taps back to the system and takes them anew, page by page, with
    every batch: a quarter of the CPU of a fit from kept taps. Nothing is done where glibc is not.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    if mallopt(M_MMAP_THRESHOLD, 2**30):  # older ones refuse it
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_ARENA_MAX, 1)


def main() -> None:
    """Run one stage; errors that a user can mend come as one line and exit code 2."""
    from pydantic import ValidationError

    keep_freed_memory()
    args = parser().parse_args()
    try:
        args.command(args)
    except (TrainingError, ModelStoreError, ValidationError, OSError) as e:
        print(f"chromaserve-train: {e}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
