"""A folder that hangs, as on another machine: `-m tests.hurried tests.jobs.hanging SIGN FOLDER`.

While the file SIGN is there, opening, removing and listing what is in FOLDER does not come back;
but for the queue, which is not on such a disk. Each time that is printed, with what it is.
"""

import os
import sys
import time
from pathlib import Path

from app.__main__ import main

sign, folder = Path(sys.argv[1]), sys.argv[2]


def wait(event: str, arguments: tuple[object, ...]) -> None:
    if event not in ("open", "os.remove", "os.listdir", "os.scandir") or not sign.exists():
        return
    if str(arguments[0]).startswith(folder) and "sqlite" not in str(arguments[0]):
        os.write(1, f"hangs: {arguments[0]}\n".encode())  # at once, whoever else does
        while sign.exists():
            time.sleep(0.01)


if __name__ == "__main__":
    sys.addaudithook(wait)
    sys.exit(main())
