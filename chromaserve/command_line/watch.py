"""Folders watched: photos that come or change are colorized once they are completely written."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from watchfiles import watch

from chromaserve.command_line.tasks import Task
from chromaserve.command_line.written import Stamp, Written, stamp_of

_SETTLE_S = 0.3
"""A photo that was written to later than this ago may not be complete."""
_LOOK_MS = 500


def watched(
    folders: list[Path],
    tasks: Callable[[], list[Task]],
    written: Written,
    *,
    overwrite: bool,
    poll: bool,
) -> Iterator[list[Task]]:
    """Yield what there is to do, now and after each change, for ever.

    A photo that could not be colorized is not tried again before it changes: it may have been
    looked at while somebody was still writing it.

    Args:
        folders: to watch, with the folders in them.
        tasks: gives all tasks of the folders, looking at them anew.
        written: results of this run, made anew when their photos change.
        overwrite: so is what was there before.
        poll: look again and again, where the system tells of no changes.
    """
    tried: dict[Path, Stamp] = {}  # by results: a photo may have several
    waits = True  # for the first look, when the folders are being watched already
    changes = watch(
        *folders,
        watch_filter=None,
        debounce=_LOOK_MS,
        rust_timeout=_LOOK_MS,
        yield_on_timeout=True,
        force_polling=poll or None,  # None: as watchfiles does by its own settings
    )
    for changed in changes:
        if not changed and not waits:
            continue
        waits, ready = False, []
        for task in tasks():
            stamp = stamp_of(task.photo)
            if stamp is None or tried.get(task.output) == stamp:
                continue
            # A result's time says little: its photo may have changed while it was made, or have
            # been replaced by an older one.
            anew = written.is_of_another(task.output, stamp) or (overwrite and task.is_outdated)
            if task.is_done and not anew:
                continue
            if time.time_ns() - stamp[0] < _SETTLE_S * 1e9:
                waits = True
                continue
            tried[task.output] = stamp
            ready.append(task.anew() if anew else task)
        if ready:
            yield ready
