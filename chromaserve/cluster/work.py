"""One worker's work: parcels of photos read, colorized and written, several photos at a time."""

import math
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath

from chromaserve.cluster.listing import Parcel, Shard, parcels
from chromaserve.cluster.places import Place
from chromaserve.errors import BodyTooLarge, ServiceError, slug_of
from chromaserve.library.background import local_settings
from chromaserve.library.colorizer import Colorizer
from chromaserve.library.colour_options import ColourOptions
from chromaserve.library.files import of_page, pages_apart
from chromaserve.library.made import Making
from chromaserve.photos.formats import Wanted
from chromaserve.pipeline.options import Options
from chromaserve.store.errors import ModelStoreError
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore

_BATCHES_AT_ONCE = 3
"""One that is read or decoded, one in the model, one that is encoded or written."""


@dataclass(frozen=True)
class Job:
    """What is wanted: where from, where to, and how. Sent to every worker."""

    source: Place
    target: Place
    format: Wanted
    options: ColourOptions
    model: str | None
    model_root: Path | None
    num_cpus: float
    """Of a worker."""
    num_gpus: float
    parcel: int
    """Photos of a task: what is done again when its worker is lost."""

    def check(self) -> None:
        """Hold what is wanted against what is there, before a cluster is started.

        Raises:
            InvalidOptions: an option is out of range, or a setting of the environment.
            ModelStoreError: there is no such model version here, or it is damaged.
            ValueError: source and target lie in each other.
            OSError: the source cannot be listed.
        """
        given = {name: value for name, value in self.options.items() if value is not None}
        Options.checked({**given, "format": self.format})
        if self.source.inside(self.target) or self.target.inside(self.source):
            raise ValueError("SRC and DST must not lie in each other")
        self.source.list("")
        settings = local_settings(model_root=self.model_root, model_version=self.model)
        store = ModelStore(settings.model_root or BUNDLED_ROOT)
        store.verify(store.resolve(settings.model_version))

    @property
    def is_apart(self) -> bool:
        """Whether each page of a photo's file has a result of its own."""
        return self.options.get("pages") == "all" and self.format not in ("tiff", "same")

    def parcels(self, shard: Shard) -> Iterator[Parcel]:
        """A shard's photos; see `listing.parcels`."""
        making = Making.of({**self.options, "model": self.model}, model_root=self.model_root)
        return parcels(
            *(self.source, self.target, shard, self.format, self.parcel),
            apart=self.is_apart,
            making=making,
        )


@dataclass(frozen=True)
class Outcome:
    """What became of a photo: a line of the report."""

    input: str
    output: str | None
    """None where there is none."""
    status: str
    """`done` or `failed`; `already` of a page that has its result, of which no line is written."""
    problem: str | None
    """What kind of failure: as the API calls it, or `unreadable` or `unwritable`."""
    detail: str | None
    seconds: float
    """From reading to having written, other photos in between."""
    page: int | None = None
    """Of its file, where each has a result of its own."""


class Worker:
    """A process's model, and the photos that it works on."""

    def __init__(self, job: Job, ended: threading.Event | None = None) -> None:
        """Load the model; blocks for seconds.

        Args:
            job: what is wanted.
            ended: set when no photo is to be begun any more; None where it never is.

        Raises:
            ModelStoreError: it is missing, damaged, or cannot run here.
            InvalidOptions: a setting is wrong, in the job or this machine's environment.
        """
        threads = math.ceil(job.num_cpus)
        # This process is the worker's own, and sees no photo twice.
        os.environ |= {"CHROMASERVE_PHOTO_THREADS": str(threads), "CHROMASERVE_CACHE_MB": "0"}
        self._job = job
        self._ended = ended or threading.Event()
        self._colorizer = Colorizer(
            job.model,
            model_root=job.model_root,
            device="gpu" if job.num_gpus else "cpu",
            threads=threads,
        )
        background = self._colorizer.background
        self._most_bytes = background.pipeline.settings.max_upload_bytes
        at_once = _BATCHES_AT_ONCE * background.model.photos_at_once
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="photo")

    def do(self, parcel: Parcel) -> Iterator[Outcome]:
        """Colorize a parcel's photos; each has an outcome, or one a page, in order; none raises.

        Of those that are not begun before the run is to end nothing is told.
        """
        if parcel.fault:
            folder = f"{parcel.folder}/"
            return iter([Outcome(folder, None, "failed", "unreadable", parcel.fault, 0.0)])
        done = self._pool.map(self._photo, parcel.names, parcel.outputs)
        return chain.from_iterable(done)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()
        self._colorizer.close()

    def _photo(self, name: str, result: str) -> list[Outcome]:
        job, start = self._job, time.perf_counter()
        if self._ended.is_set():
            return []
        try:
            data = job.source.read(name, self._most_bytes + 1)
            if len(data) > self._most_bytes:
                raise BodyTooLarge(f"The file has more than {self._most_bytes:,} bytes.")
        except OSError as error:
            return [_failed(name, "unreadable", _told(error), start)]
        except BodyTooLarge as error:
            return [_failed(name, slug_of(error), _told(error), start)]
        if not job.is_apart:
            return [self._one(name, data, result, start)]
        return [
            self._one(name, data, str(of_page(PurePosixPath(result), page)), start, page)
            for page in pages_apart(data, job.options.get("damaged"))
            if not self._ended.is_set()
        ]

    def _one(
        self, name: str, data: bytes, output: str, start: float, page: int | None = None
    ) -> Outcome:
        job = self._job
        options: ColourOptions = {**job.options}
        if job.is_apart:
            options |= {"page": page, "pages": None}
        try:
            if job.is_apart and job.target.has(output):
                return Outcome(name, output, "already", None, None, 0.0, page)
        except OSError as error:
            return _failed(name, "unwritable", _told(error), start, page)
        try:
            colored = self._colorizer.colorize(data, format=job.format, **options)
        except Exception as error:
            return _failed(name, slug_of(error), _told(error), start, page)
        try:
            job.target.write(output, colored)
        except OSError as error:
            return _failed(name, "unwritable", _told(error), start, page)
        return Outcome(name, output, "done", None, None, _since(start), page)


def _told(error: Exception) -> str:
    """What a report says of it: our sentence, or what a store or a library raised, and its kind."""
    ours = isinstance(error, ServiceError | ModelStoreError)
    return str(error) if ours else f"{type(error).__name__}: {error}"


def _failed(
    name: str, problem: str | None, detail: str | None, start: float, page: int | None = None
) -> Outcome:
    return Outcome(name, None, "failed", problem, detail, _since(start), page)


def _since(start: float) -> float:
    return round(time.perf_counter() - start, 4)
