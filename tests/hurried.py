"""A service that waits for less long by itself: `python -m tests.hurried [MODULE ARGUMENT...]`.

For tests of what comes after a wait of the service's own, which no setting shortens: a photo of a
process that was killed, a second try, the end of a connection whose client sends on. MODULE is what
serves, `app` by default.
"""

import runpy
import sys
from contextlib import suppress

from app import limits
from app.jobs import callbacks, jobs, work

HURRIED = ("-m", "tests.hurried")
FACTOR = 4
TRIES = 3

if __name__ == "__main__":
    work.LEASE_S /= FACTOR
    work._BEAT_S /= FACTOR
    work._PAUSE_S /= FACTOR
    work._DOUBLED = 2
    work._MOST_TRIES = TRIES
    jobs._SWEEP_S /= FACTOR
    jobs._TURN_S /= FACTOR
    with suppress(ImportError):
        from app.jobs import postgresql

        postgresql.SILENCE_S /= FACTOR
    callbacks.PAUSES_S = tuple(pause_s / FACTOR for pause_s in callbacks.PAUSES_S)  # type: ignore[assignment]
    limits._LINGER_S /= FACTOR
    sys.argv[:] = sys.argv[1:] or ["app"]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
