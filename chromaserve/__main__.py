"""`chromaserve`, and `python -m chromaserve`: the command, from its first moment on."""

import os
import signal
import sys


def main() -> None:
    """Run the command, which loads its modules first; the process ends with its exit status."""
    interrupts = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interrupts:  # ends it without a stack meanwhile
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if os.getpid() == 1:  # of a container: it hears no signal that it does not ask for
        signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    try:
        from chromaserve.command_line.main import main as run
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        sys.exit("chromaserve: this is the client alone; the command takes the whole package")

    if interrupts:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
