"""Exit statuses of the command; errors and warnings told in a sentence."""

import errno
import logging
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from io import TextIOWrapper
from pathlib import Path

import typer


class Exit(IntEnum):
    """What a script can tell by; docs/how-to/command-line.md lists them."""

    DONE = 0
    SOME_FAILED = 1
    USAGE = 2
    NOTHING_DONE = 3
    """No photo was found, or none could be colorized."""
    NO_SERVICE = 4
    """It cannot be reached, is too busy for long, or refuses the key."""
    NO_MODEL = 5
    """It is missing or damaged, or cannot run on this machine."""
    NO_PORT = 6
    """It is taken, or is not for this user; of `serve`."""
    INTERRUPTED = 130


STATUSES = """Exit status: 0 all done; 1 some photos failed; 2 wrong use; 3 no photo was found or
none could be colorized; 4 the service cannot be reached or refuses; 5 the model cannot run; 6 the
port cannot be had; 130 interrupted."""


class Complaint(Exception):  # noqa: N818 - not all of them are errors
    """The command ends with a sentence and a status."""

    def __init__(self, sentence: str, status: Exit = Exit.USAGE) -> None:
        super().__init__(sentence)
        self.status = status


NOTHING_FITS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Of an error where nothing can be written any more."""


def ready_streams() -> None:
    """Have standard streams that can be written to, before anything is opened.

    A file that is opened has the number of one that is closed, and a library's words for standard
    error would go into a photo. What an encoding does not know is written as its number.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - for the process
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def say(sentence: str) -> None:
    """A line of the command's own on standard error, if that takes any."""
    with suppress(OSError):
        print(f"chromaserve: {printable(' '.join(sentence.split()))}", file=sys.stderr, flush=True)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def tell_warnings() -> None:
    """From now on tell what the parts warn of, on standard error."""
    lines = _Lines(logging.WARNING)
    logging.getLogger("chromaserve").addHandler(lines)
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged files, which are told anyway


def printable(words: str) -> str:
    """Without control characters, which names may have and a terminal would obey."""
    return "".join(c if c.isprintable() else "\ufffd" for c in words)


@contextmanager
def complaints() -> Iterator[None]:
    """End the command with a sentence and a status, whatever goes wrong in the block."""
    try:
        yield
    except KeyboardInterrupt:
        say("interrupted; what is written is complete, and running it again goes on from there")
        raise typer.Exit(Exit.INTERRUPTED) from None
    except BrokenPipeError:
        _write_no_more()
        raise typer.Exit(Exit.SOME_FAILED) from None
    except typer.Exit:
        raise
    except Exception as error:
        if os.environ.get("CHROMASERVE_LOG_LEVEL", "").lower() == "debug":
            raise
        say(sentence(error))
        if isinstance(error, OSError) and error.errno in NOTHING_FITS:
            _write_no_more()
        raise typer.Exit(status_of(error)) from None


def _write_no_more() -> None:
    """Whoever read our output has seen enough, or takes nothing: the interpreter must not flush
    into it again."""
    with suppress(OSError, AttributeError):  # it is closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does; only the main thread can hear of signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def status_of(error: Exception) -> Exit:
    """The status that an error ends the command with."""
    if isinstance(error, Complaint):
        return error.status
    if isinstance(error, OSError) and error.errno in NOTHING_FITS:
        return Exit.SOME_FAILED
    return _STATUSES.get(_first_name(error), Exit.NOTHING_DONE)


def sentence(error: Exception) -> str:
    """An error in words; one that is not foreseen with its type."""
    if isinstance(error, Complaint) or _first_name(error) in _STATUSES:
        return by_options(str(getattr(error, "detail", "") or error))
    if isinstance(error, OSError):
        said = error.strerror or str(error)
        return f"{error.filename}: {said}" if error.filename else said
    if isinstance(error, ImportError):
        return f"a package is missing: {error}. Install chromaserve anew"
    return f"unexpected {type(error).__name__}: {error} (CHROMASERVE_LOG_LEVEL=debug tells more)"


def without_name(error: Exception, photo: Path) -> str:
    """The same for a line that has the photo's name already."""
    return sentence(error).removeprefix(f"{photo}: ")


def by_options(said: str) -> str:
    """What a sentence says of a request's options, in the command's: --pages all for pages=all."""
    said = said.replace("Send `Authorization: Bearer KEY` or `X-API-Key: KEY`", "Give --api-key")
    said = said.replace("album=true", "--album")
    return re.sub(r"\b(damaged|format|pages)=(\w+)", r"--\1 \2", said)


# By name: asking for the classes would import what most commands do not need.
_STATUSES = {
    "ServiceError": Exit.NOTHING_DONE,
    "InvalidOptions": Exit.USAGE,
    "CredentialsUnusable": Exit.USAGE,
    "ModelStoreError": Exit.NO_MODEL,
    "ModelNotFound": Exit.NO_MODEL,
    "NoGpu": Exit.NO_MODEL,
    "BadOptions": Exit.USAGE,
    "BadPhoto": Exit.NOTHING_DONE,
    "ClientError": Exit.NO_SERVICE,
}


def _first_name(error: Exception) -> str:
    """The most specific of the error's types that has a status."""
    return next((t.__name__ for t in type(error).__mro__ if t.__name__ in _STATUSES), "")
