"""The command line of training: scan, train, evaluate, publish and more."""

import argparse
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from chromaserve.store.errors import ModelStoreError

from .commands import fitting, measuring, photos
from .commands.arguments import Command
from .errors import TrainingError


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


def main() -> None:
    """Run one stage; errors that a user can mend come as one line and exit code 2."""
    from pydantic import ValidationError

    args = parser().parse_args()
    try:
        args.command(args)
    except (TrainingError, ModelStoreError, ValidationError, FileNotFoundError) as e:
        print(f"chromaserve-train: {e}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
