"""What a run tells: progress on a terminal, lines elsewhere, JSON for scripts, a last sentence."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from chromaserve.command_line.colorists import Outcome
from chromaserve.command_line.exits import Exit, by_options, printable, without_name
from chromaserve.command_line.tasks import Task

_FILMS = {".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm"}


class Report:
    """Counts outcomes and tells them."""

    def __init__(self, *, quiet: bool, as_json: bool) -> None:
        """Nothing is told yet; standard error has the words, standard output the JSON."""
        self._console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
        self._quiet = quiet
        self._json = as_json
        self._start = time.perf_counter()
        self.colorized = self.skipped = self._outdated = self._otherwise = 0
        self._failed: set[Path] = set()
        self._left_out: dict[Path, str] = {}

    @property
    def failed(self) -> int:
        """Results that failed, and were not made since: a photo may have come in parts."""
        return len(self._failed)

    def skip(self, tasks: Iterable[Task]) -> None:
        """These are done already."""
        for task in tasks:
            self.skipped += 1
            self._outdated += task.is_outdated
            self._write(task, status="skipped")

    def made_otherwise(self, count: int) -> None:
        """So many of those that are done, at least, were made with other options."""
        self._otherwise = count

    def follow(self, outcomes: Iterable[Outcome], total: int) -> Iterator[Outcome]:
        """Hand outcomes on, and tell of each: by a bar on a terminal, else by a line."""
        if self._quiet or not self._console.is_terminal or total < 2:
            for outcome in outcomes:
                self._tell(outcome, line=not self._quiet)
                yield outcome
            return
        with self._bar() as bar:
            row = bar.add_task("colorizing", total=total, speed="")
            for outcome in outcomes:
                self._tell(outcome, line=False)
                bar.update(row, advance=1, speed=f"{self._per_second:.1f} photos/s")
                yield outcome

    def written(self, tasks: Iterable[Task]) -> None:
        """These were written while the run was ended."""
        for task in tasks:
            self._tell(Outcome(task), line=not self._quiet)

    def finish(self) -> Exit:
        """Tell the sum; the status that it makes."""
        seconds = time.perf_counter() - self._start
        done = {"colorized": self.colorized, "skipped": self.skipped, "failed": self.failed}
        if self._json:
            left_out = Counter(self._left_out.values())
            self._line({"summary": {**done, "left_out": left_out, "seconds": round(seconds, 3)}})
        if not self._quiet and (self.skipped or self._left_out or sum(done.values()) > 1):
            parts = [f"{count} {what}" for what, count in done.items() if count]
            self._say(f"{', '.join(parts)} in {seconds:.1f} s{self._hint}")
            if self._left_out:
                self._say(self.all_left_out)
        if self.failed:
            worked = self.colorized or self.skipped
            return Exit.SOME_FAILED if worked else Exit.NOTHING_DONE
        return Exit.DONE

    @property
    def _hint(self) -> str:
        if not self.skipped:
            return ""
        of_them = [
            f"{count} {what}"
            for count, what in (
                (self._outdated, "older than the photo"),
                (self._otherwise, "made with other options or another model"),
            )
            if count
        ]
        known = f"; of what is there, {', '.join(of_them)}" if of_them else ""
        return f"{known}; --overwrite makes what is there already anew"

    def _tell(self, outcome: Outcome, *, line: bool) -> None:
        task, seconds = outcome.task, outcome.seconds
        if outcome.error is None:
            self.colorized += 1
            self._failed.discard(task.output)
            took = "" if seconds is None else f" ({seconds:.2f} s)"
            if line:
                self._say(f"{task.photo} → {task.output}{took}{_of_colour(outcome.told)}")
            for warning in outcome.told.get("warnings", ()):
                self._say(f"{task.photo}: {by_options(warning)}")
            seconds = seconds and round(seconds, 3)
            self._write(task, status="colorized", seconds=seconds, **outcome.told)
            return
        page = f"page {task.page}: " if task.page else ""
        self._fail(task.output, task.photo, page + without_name(outcome.error, task.photo))

    @property
    def all_left_out(self) -> str:
        """What was left out, by kind, the most first; empty where nothing was."""
        kinds = Counter(self._left_out.values())
        if not kinds:
            return ""
        said = "left out: " + ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
        return said + ("; films are for `chromaserve video`" if kinds.keys() & _FILMS else "")

    def left_out(self, path: Path, kind: str) -> None:
        """It is no photo by its name, or a result; counted once."""
        self._left_out[path] = kind

    def unreadable(self, error: OSError) -> None:
        """A folder cannot be read; told once."""
        folder = Path(error.filename)
        if folder not in self._failed:
            self._fail(folder, folder, error.strerror or str(error))

    def _fail(self, result: Path, photo: Path, problem: str) -> None:
        self._failed.add(result)
        self._say(f"{photo}: {problem}")
        if self._json:
            told = {"input": str(photo), "output": None, "status": "failed", "problem": problem}
            self._line(told)

    def _say(self, words: str) -> None:
        with suppress(OSError):  # nobody can be told
            self._console.print(printable(words), markup=False)

    def _write(self, task: Task, **more: Any) -> None:  # noqa: ANN401 - any JSON value
        if self._json:
            self._line({"input": str(task.photo), "output": str(task.output), **more})

    def _line(self, row: dict[str, Any]) -> None:
        print(json.dumps(row), file=sys.stdout, flush=True)

    @property
    def _per_second(self) -> float:
        return (self.colorized + self.failed) / (time.perf_counter() - self._start)

    def _bar(self) -> Progress:
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=self._console,
        )


def _of_colour(told: Mapping[str, Any]) -> str:
    if "confidence" in told:
        places = ", ".join(f"({each['x']:g}, {each['y']:g})" for each in told["hint_places"])
        return f", confidence {told['confidence']:.2f}; hints would help most at {places}"
    if told.get("kept"):
        return ", in colour already and left so"
    return ", which had colours of its own" if told.get("colour") == "colour" else ""
