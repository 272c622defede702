"""What Ray costs: a folder by the library in one process, and by `batch` with workers.

    python -m benchmarks.batch
    python -m benchmarks.batch --photos 400 --names 100000

Photos are the samples at 256 pixels a side, again and again, on this machine's disk. Each way does
the same folder. Beside the time of all it is told what does not depend on what else the machine
does: CPU seconds a photo, of all processes that took part.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from PIL import Image

from chromaserve.cluster.places import Place
from chromaserve.cluster.report import Report, Summary
from chromaserve.cluster.run import joined, run
from chromaserve.cluster.work import Job
from chromaserve.library.colorizer import Colorizer
from chromaserve.settings import usable_cores

SAMPLES = Path(__file__).parent.parent / "samples" / "grey"
FOLDERS = 8


class Clock:
    """Times of progress, and CPU seconds of this process and those that it started."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.seen: list[tuple[float, int, float]] = []

    def note(self, photos: int) -> None:
        """So many are done now."""
        if not self.seen or photos > self.seen[-1][1]:
            self.seen.append((time.perf_counter() - self.start, photos, cpu_s()))

    def line(self, way: str) -> str:
        """All of it, and the rate between the first tenth of the photos and the last."""
        end_s, photos, cpu = self.seen[-1]
        first = next(each for each in self.seen if each[1] >= photos / 10)
        steady = (photos - first[1]) / max(end_s - first[0], 1e-9)
        each_ms = 1000 * (cpu - first[2]) / max(photos - first[1], 1)
        return (
            f"{way:34} {end_s:6.1f} s in all, first after {self.seen[0][0]:5.1f} s;"
            f" then {steady:6.2f} photos/s, {each_ms:6.1f} ms CPU a photo"
        )


_CPU: dict[psutil.Process, float] = {}
"""CPU seconds of each process when it was last seen: workers end before the last photo is told."""


def cpu_s() -> float:
    """CPU seconds so far of this process and all that were below it."""
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        _CPU[process] = times.user + times.system
    return sum(_CPU.values())


def make_photos(folder: Path, count: int) -> list[Path]:
    """The samples, squeezed to 256 × 256, as JPEGs in a few folders."""
    samples = [Image.open(path).convert("L").resize((256, 256)) for path in SAMPLES.iterdir()]
    paths = []
    for n in range(count):
        paths.append(folder / f"{n % FOLDERS}" / f"{n:06}.jpg")
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        samples[n % len(samples)].save(paths[-1], quality=90)
    return paths


def by_the_library(photos: list[Path], target: Path) -> str:
    """One process, as `chromaserve colorize` does a folder."""
    clock = Clock()
    with Colorizer(device="cpu") as colorizer:
        results = colorizer.colorize_many(photos, output=lambda photo: target / f"{photo.name}.png")
        for n, _ in enumerate(results, start=1):
            clock.note(n)
    return clock.line(f"library, {usable_cores()} threads")


def by_batch(source: Path, target: Path, workers: int, cpus: int, parcel: int) -> str:
    """On a Ray cluster of this machine, which is started for it."""
    clock = Clock()
    did(source, target, workers, cpus, parcel, lambda now: clock.note(now.done))
    return clock.line(f"batch, {workers} workers of {cpus} threads")


def did(
    source: Path,
    target: Path,
    workers: int,
    cpus: int,
    parcel: int,
    on_progress: Callable[[Summary], None],
) -> Summary:
    from_, to = Place.of(str(source)), Place.of(str(target))
    job = Job(from_, to, "png", {}, None, None, cpus, 0, parcel)
    with joined(None), Report(to, "_reports/benchmark") as report:
        return run(job, report, workers, on_progress)


def again(folder: Path, names: int, parcel: int) -> str:
    """A folder tree in which everything is done: listing and comparing alone."""
    for n in range(names):
        for path in (
            folder / "in" / f"{n % 64}" / f"{n}.jpg",
            folder / "out" / f"{n % 64}" / f"{n}.png",
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
    seen: list[tuple[float, int]] = []
    did(
        *(folder / "in", folder / "out", 1, 1, parcel),
        lambda now: seen.append((time.perf_counter(), now.already)),
    )
    assert seen[-1][1] == names
    rate = (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])
    return f"{names:,} photos that are done already: {rate:,.0f} a second, {parcel} a parcel"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--parcel", type=int, default=16)
    parser.add_argument("--names", type=int, default=20_000)
    chosen = parser.parse_args()
    cores = usable_cores()
    os.environ["CHROMASERVE_CACHE_MB"] = "0"  # photos come again here
    print(f"{cores} cores, load before {psutil.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        photos = make_photos(folder / "photos", chosen.photos)
        print(by_the_library(photos, folder / "library"), flush=True)
        for workers, cpus in ((1, cores), (cores, 1)):
            target = folder / f"batch-{workers}"
            print(by_batch(folder / "photos", target, workers, cpus, chosen.parcel), flush=True)
            shutil.rmtree(target)
        print(again(folder / "again", chosen.names, 64))
    print(f"load after {psutil.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
