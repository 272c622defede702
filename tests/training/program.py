"""The command line of training in the tests' own process, where TensorFlow has started already."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess
from unittest.mock import patch

from training.__main__ import main


def train_here(*arguments: str) -> CompletedProcess[str]:
    """What `python -m training` with these arguments would say, and its exit status."""
    output, errors = io.StringIO(), io.StringIO()
    status = 0
    program = patch.object(sys, "argv", ["training", *arguments])
    with program, redirect_stdout(output), redirect_stderr(errors):
        try:
            main()
        except SystemExit as e:
            status = int(e.code or 0)
    return CompletedProcess(arguments, status, output.getvalue(), errors.getvalue())
