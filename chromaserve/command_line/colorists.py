"""What colorizes for the command: the model in this process, or a running service."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from chromaserve.command_line.exits import Complaint, Exit, status_of, tell_warnings
from chromaserve.command_line.tasks import Task
from chromaserve.photos.formats import Wanted

if TYPE_CHECKING:
    from chromaserve.client import Client, Result


@dataclass(frozen=True)
class Outcome:
    """What became of a task."""

    task: Task
    seconds: float | None = None
    error: Exception | None = None
    told: Mapping[str, Any] = field(default_factory=dict)
    """What else is known of the photo: `colour`, and perhaps `kept`, `page`, `warnings`,
    `confidence` with `hint_places`."""


class Local:
    """The model in this process, with options that it was made with."""

    def __init__(self, options: dict[str, Any]) -> None:
        """Load the model; `options` as the command's: vividness, model, format and so on."""
        from chromaserve.library.colorizer import Colorizer

        tell_warnings()
        chosen = dict(options)
        model, max_pixels = chosen.pop("model"), chosen.pop("max_pixels")
        with _loading():
            self.colorizer = Colorizer(model, max_pixels=max_pixels)
        self._options = chosen

    def data(self, photo: bytes) -> bytes:
        """One encoded photo; errors are raised."""
        return self.colorizer.colorize(photo, **self._options)

    def files(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Photos to files, several at a time, outcomes in order; tasks are taken lazily."""
        for alike, options in _alike(tasks, self._options):
            yield from self._files(alike, options)

    def _files(self, tasks: Iterable[Task], options: dict[str, Any]) -> Iterator[Outcome]:
        taken: list[Task] = []
        places = ((task.photo, task.output, task.replace) for task in _noted(tasks, taken))
        format: Wanted = options.pop("format")
        for done in self.colorizer.outcomes(places, format, **options):
            task = taken.pop(0)
            if isinstance(done, Exception):
                yield Outcome(task, error=done)
            else:
                yield Outcome(task, done.seconds, told=done.told.members() if done.told else {})

    def close(self) -> None:
        """End its threads."""
        self.colorizer.close()


@contextmanager
def _loading() -> Iterator[None]:
    """Tell somebody at a terminal what takes a second or two."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status("loading the model…"):
        yield


class Remote:
    """A running service."""

    def __init__(self, client: "Client", options: dict[str, Any]) -> None:
        """Connect to nothing yet."""
        self._client = client
        self._options = {name: value for name, value in options.items() if value is not None}

    def data(self, photo: bytes) -> bytes:
        """See `Local`."""
        return self._client.colorize(photo, **self._options).data

    def files(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """See `Local`."""
        for alike, options in _alike(tasks, self._options):
            yield from self._files(alike, options)

    def _files(self, tasks: Iterable[Task], options: dict[str, Any]) -> Iterator[Outcome]:
        if options.get("hints") and not options.get("album"):
            for task in tasks:  # a request with hints is for one photo
                yield self._written(task, self._client.colorize(task.photo, **options))
            return
        taken: list[Task] = []
        photos = (task.photo for task in _noted(tasks, taken))
        for _, _, outcome in self._client.colorize_many(photos, **options):
            yield self._written(taken.pop(0), outcome)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    @staticmethod
    def _written(task: Task, outcome: "Result | Exception") -> Outcome:
        from chromaserve.library.files import write_whole

        if isinstance(outcome, Exception):
            return Outcome(task, error=outcome)
        try:
            write_whole(task.output, outcome.data, replace=task.replace)
        except OSError as error:
            return Outcome(task, error=error)
        return Outcome(task, told=outcome.told)


@dataclass(frozen=True)
class Service:
    """A service that is to do it, as the command names it."""

    url: str | None
    """Without one the model in this process does it."""
    api_key: str | None = None
    patience_s: float | None = None
    """How long it may be away once it has answered."""

    def client(self) -> "Client":
        """A client of it.

        Raises:
            Complaint: the URL or the key is none.
        """
        from chromaserve.client import Client, Retries

        bounds = Retries() if self.patience_s is None else Retries(budget_s=self.patience_s)
        try:
            return Client(self.url or "", api_key=self.api_key, retries=bounds)
        except ValueError as error:
            raise Complaint(str(error)) from error


@contextmanager
def colorist(service: Service, options: dict[str, Any]) -> Iterator[Local | Remote]:
    """The service, or without one the model in this process; closed with the block."""
    made = Local(options) if service.url is None else Remote(service.client(), options)
    try:
        with answers(service.url):
            yield made
    finally:
        made.close()


@contextmanager
def answers(url: str | None) -> Iterator[None]:
    """Name the service in the complaint where it gives no answer."""
    if url is None:
        yield
        return
    from chromaserve.client import AnswerTooLarge, ProblemError, Unreachable

    try:
        yield
    except Unreachable as error:
        raise Complaint(f"no service at {url}: {error}", Exit.NO_SERVICE) from error
    except AnswerTooLarge as error:
        raise Complaint(f"what answers at {url} is not taken: {error}", Exit.NO_SERVICE) from error
    except ProblemError as error:
        if error.slug == "jobs-off":  # it may be another service than the one that was meant
            raise Complaint(f"{url}: {error.detail}", status_of(error)) from error
        if error.slug:
            raise
        raise Complaint(f"{url} answered {error}", status_of(error)) from error


def _noted(tasks: Iterable[Task], taken: list[Task]) -> Iterator[Task]:
    for task in tasks:
        taken.append(task)
        yield task


def _alike(
    tasks: Iterable[Task], options: dict[str, Any]
) -> Iterator[tuple[Iterable[Task], dict[str, Any]]]:
    """Tasks in a row that are done together, with the options that their results need."""
    if options["format"] not in ("tiff", "same"):
        options = {**options, "pages": None}  # each has a task of its own
    for own, alike in groupby(tasks, _own):
        yield alike, {**options, **own}


def _own(task: Task) -> dict[str, Any]:
    """What a task asks for; the first proposal is what everyone gives."""
    own: dict[str, Any] = {"proposal": task.proposal} if task.proposal > 1 else {}
    if task.confidence:
        own = {"confidence": "png", "format": "png", "pages": None}
    return {**own, "page": task.page, "pages": None} if task.page else own
