"""What the parts log, told as lines of the command."""

import logging

from chromaserve.command_line.exits import say

_ONCE = "converting"


class _Lines(logging.Handler):
    """Warnings and errors, and why the first start on a machine takes long."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING or record.getMessage().startswith(_ONCE):
            say(record.getMessage())


def tell_notes() -> None:
    """Tell them from now on, on standard error."""
    lines = _Lines()
    logger = logging.getLogger("chromaserve")
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
