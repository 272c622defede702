"""What became of every photo, as JSON lines, and in sum."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Self

from chromaserve.cluster.places import Place
from chromaserve.cluster.work import Outcome

LINES = 100_000
"""Of one file: an object store has a file only when it is closed."""


@dataclass
class Summary:
    """Counts of a run."""

    done: int = 0
    already: int = 0
    """Photos that had their output when the run began."""
    otherwise: int = 0
    """Folders with results that were made with other options."""
    failed: Counter[str] = field(default_factory=Counter)
    """By kind of problem."""
    seconds: float = 0
    interrupted: bool = False
    """Whether a signal ended it before all was done."""


class Report:
    """Files of JSON lines in a folder: `part-00000.jsonl` and so on; and a summary at the end."""

    def __init__(self, target: Place, folder: str) -> None:
        """Begin the first file.

        Raises:
            OSError: the target cannot be written to.
        """
        self.summary = Summary()
        self._target, self.folder = target, folder
        self._parts = 0
        self._lines = 0
        self._started = time.perf_counter()
        target.make(folder)
        # At once, as stores tell only at the end of a file that they do not take it.
        target.write(self._part(), b"")
        self._file = self._next()

    def add(self, outcome: Outcome) -> None:
        """Write what became of a photo, or of a page; of one that was there already it is counted.

        Raises:
            OSError: the target is full, or is there no more.
        """
        if outcome.status == "already":
            self.summary.already += 1
            return
        with _unwritable():
            if self._lines == LINES:
                self._file.close()
                self._file, self._lines = self._next(), 0
            self._file.write(json.dumps(asdict(outcome), ensure_ascii=False) + "\n")
        self._lines += 1
        if outcome.problem:
            self.summary.failed[outcome.problem] += 1
        else:
            self.summary.done += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error:
            with suppress(Exception):  # perhaps the same again
                self._file.close()
            return
        self.summary.seconds = time.perf_counter() - self._started
        told = {**vars(self.summary), "seconds": round(self.summary.seconds, 2)}
        with _unwritable():
            self._file.close()
            self._target.write(f"{self.folder}/summary.json", json.dumps(told).encode())

    def _next(self) -> Any:  # noqa: ANN401 - see Place.open
        file = self._target.open(self._part())
        self._parts += 1
        return file

    def _part(self) -> str:
        return f"{self.folder}/part-{self._parts:05}.jsonl"


@contextmanager
def _unwritable() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # stores raise what their libraries do
        raise OSError(f"the report cannot be written: {error}") from error
