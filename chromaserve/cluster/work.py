"""One worker's work: parcels of photos read, colorized and written, several photos at a time."""

import math
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from chromaserve.cluster.listing import Parcel, Shard, parcels
from chromaserve.cluster.places import Place
from chromaserve.errors import BodyTooLarge, detail_of, slug_of
from chromaserve.library.colorizer import Colorizer
from chromaserve.library.colour_options import ColourOptions
from chromaserve.photos.formats import Wanted
from chromaserve.pipeline.options import Options
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
            InvalidOptions: an option is out of range.
            ModelStoreError: there is no such model version here, or it is damaged.
            ValueError: source and target lie in each other, or a photo would have several results.
            OSError: the source cannot be listed.
        """
        given = {name: value for name, value in self.options.items() if value is not None}
        Options.checked({**given, "format": self.format})
        if self.source.inside(self.target) or self.target.inside(self.source):
            raise ValueError("SRC and DST must not lie in each other")
        if self.options.get("pages") == "all" and self.format not in ("tiff", "same"):
            raise ValueError(
                "--pages all makes one file of a photo with --format tiff or same alone"
            )
        self.source.list("")
        store = ModelStore(self.model_root or BUNDLED_ROOT)
        store.verify(store.resolve(self.model or "latest"))

    def parcels(self, shard: Shard) -> Iterator[Parcel]:
        """A shard's photos; see `listing.parcels`."""
        return parcels(self.source, self.target, shard, self.format, self.parcel)


@dataclass(frozen=True)
class Outcome:
    """What became of a photo: a line of the report."""

    input: str
    output: str | None
    """None where there is none."""
    status: str
    """`done` or `failed`."""
    problem: str | None
    """What kind of failure: as the API calls it, or `unreadable` or `unwritable`."""
    detail: str | None
    seconds: float
    """From reading to having written, other photos in between."""


class Worker:
    """A process's model, and the photos that it works on."""

    def __init__(self, job: Job) -> None:
        """Load the model; blocks for seconds.

        Raises:
            ModelStoreError: it is missing, damaged, or cannot run here.
            InvalidOptions: a setting is wrong, in the job or this machine's environment.
        """
        threads = math.ceil(job.num_cpus)
        # This process is the worker's own, and sees no photo twice.
        os.environ |= {"CHROMASERVE_PHOTO_THREADS": str(threads), "CHROMASERVE_CACHE_MB": "0"}
        self._job = job
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
        """Colorize a parcel's photos; each has an outcome, in order, and none raises."""
        if parcel.fault:
            folder = f"{parcel.folder}/"
            return iter([Outcome(folder, None, "failed", "unreadable", parcel.fault, 0.0)])
        return self._pool.map(self._one, parcel.names, parcel.outputs)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()
        self._colorizer.close()

    def _one(self, name: str, result: str) -> Outcome:
        job, start = self._job, time.perf_counter()
        output: str | None = result
        slug, detail = None, None
        try:
            try:
                data = job.source.read(name, self._most_bytes + 1)
            except OSError as error:
                raise _Fault("unreadable", error) from error
            if len(data) > self._most_bytes:
                raise BodyTooLarge(f"The file has more than {self._most_bytes:,} bytes.")
            colored = self._colorizer.colorize(data, format=job.format, **job.options)
            try:
                job.target.write(str(output), colored)
            except OSError as error:
                raise _Fault("unwritable", error) from error
        except _Fault as fault:
            output, slug, detail = None, fault.slug, str(fault)
        except Exception as error:
            output, slug, detail = None, slug_of(error), detail_of(error)
        return Outcome(
            input=name,
            output=output,
            status="failed" if slug else "done",
            problem=slug,
            detail=detail,
            seconds=round(time.perf_counter() - start, 4),
        )


class _Fault(Exception):  # noqa: N818 - never leaves this module
    """Reading or writing failed; by what slug the report says it."""

    def __init__(self, slug: str, error: OSError) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.slug = slug
