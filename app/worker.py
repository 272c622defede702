"""What a process that is one of several workers shares with the others, and hears of them."""

import asyncio
import json
import logging
import os
import shutil
import signal
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from .sharing import Loads

log = logging.getLogger("chromaserve")

Gauge = tuple[str, str, dict[str, str], float]
"""What is true now: name without its prefix, meaning, labels, value."""
Said = tuple[Literal["serves"], int | None] | Literal["reload", "reloaded"]
"""To the supervisor: the version that photos get now, again every second; reload others; done."""
Told = Literal["reload", "reloaded"]
"""By the supervisor: reload; all others have."""

BEAT_S = 1.0
STATES = "worker-*.json"


@dataclass
class Worker:
    """One of several processes, as it knows itself."""

    number: int
    """From 1; who takes the place of one that died has its number."""
    folder: Path
    """For what workers share; it lasts as long as the service."""
    of: int
    """Workers that there are."""
    line: Connection
    """To the supervisor."""
    version: int | None
    """That is served already, whatever else was published since; None at the service's start."""
    waits: bool
    """Whether it takes connections only when it is ready, as others take them meanwhile."""
    _all_reloaded: deque["asyncio.Future[None]"] = field(default_factory=deque)
    _serves: int | None = None
    _beat_at: float = 0.0

    @cached_property
    def loads(self) -> Loads:
        """Whose turn it is to take a connection."""
        return Loads(self.folder, self.of)

    @property
    def is_first(self) -> bool:
        """Whether nobody was there before."""
        return self.version is None and not self.waits

    def tell(self, serves: int | None, gauges: Iterable[Gauge]) -> None:
        """Be heard of once a second, and at once where another version is served.

        Args:
            serves: the version of the model, None where photos are not taken.
            gauges: what is true of this process now.
        """
        now = asyncio.get_running_loop().time()
        if serves == self._serves and now < self._beat_at:
            return
        self._serves, self._beat_at = serves, now + BEAT_S
        self.say(("serves", serves))
        with suppress(OSError):  # a full disk
            self.note(gauges)

    def note(self, gauges: Iterable[Gauge]) -> None:
        """Leave for all workers what is true of this one now."""
        file = state_file(self.folder, self.number)
        new = file.with_suffix(".new")
        new.write_text(
            json.dumps({"number": self.number, "pid": os.getpid(), "gauges": list(gauges)})
        )
        new.replace(file)

    async def reload_others(self) -> None:
        """Have all other workers reload, and wait until they have."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._all_reloaded.append(done)
        self.say("reload")
        await done

    def hear(self) -> int:
        """Take what the supervisor says; how often this worker is to say that it has reloaded.

        A supervisor that is gone takes its workers with it: nobody else could end them.
        """
        wanted = 0
        try:
            while self.line.poll():
                told: Told = self.line.recv()
                if told == "reload":
                    wanted += 1
                elif not (done := self._all_reloaded.popleft()).cancelled():
                    done.set_result(None)
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self.line.fileno())
            log.critical("the process that looks after the workers is gone: ending")
            shutil.rmtree(self.folder, ignore_errors=True)  # what it would have removed
            signal.raise_signal(signal.SIGTERM)
        return wanted

    def say(self, said: Said) -> None:
        """Tell the supervisor; "reloaded" answers a "reload"."""
        try:
            self.line.send(said)
        except OSError:
            return  # it is gone, which `hear` sees


def state_file(folder: Path, number: int) -> Path:
    """Where a worker leaves what is true of it."""
    return folder / STATES.replace("*", str(number))
