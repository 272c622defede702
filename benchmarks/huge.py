"""One huge photo alone: time and memory by stage, on one thread and on all cores.

    python -m benchmarks.huge --rounds 7

JPEGs of 12 and 48 megapixels, made of a sample with grain, become PNGs. The network runs on all
cores in either case. One thread and all take turns in one process; of every stage the fastest
round counts. Memory is what the process grows by at most, from before decoding. The last line tells
what several threads come to at best on this machine.
"""

import argparse
import re
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, get_args

import numpy as np

from benchmarks.photo_path import photo_file
from chromaserve.library.background import local_settings
from chromaserve.photos.decode import decode
from chromaserve.photos.encode import encode
from chromaserve.photos.formats import Format
from chromaserve.photos.free_cores import FreeCores
from chromaserve.photos.header import inspect
from chromaserve.photos.png import PngLevel
from chromaserve.pipeline.memory import return_freed
from chromaserve.pipeline.models import LoadedModel, Models
from chromaserve.pipeline.recolor import prepare, recolor
from chromaserve.settings import usable_cores

T = TypeVar("T")

SIZES = {12: (3000, 4000), 48: (6000, 8000)}
STAGES = ("decode", "network", "recombine and encode", "in all")


@dataclass(frozen=True)
class Round:
    """One photo's way."""

    wall: dict[str, float]
    """Seconds by stage."""
    cpu: dict[str, float]
    peak: int
    """Bytes."""
    result: bytes


class Stopwatch:
    """Wall and CPU seconds of stages."""

    def __init__(self) -> None:
        self.wall = dict.fromkeys(STAGES, 0.0)
        self.cpu = dict.fromkeys(STAGES, 0.0)

    def __call__(self, stage: str, step: Callable[[], T]) -> T:
        wall, cpu = time.perf_counter(), time.process_time()
        done = step()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        for name in (stage, "in all"):
            self.wall[name] += wall
            self.cpu[name] += cpu
        return done


def status(name: str) -> int:
    """Bytes that /proc says of this process: VmRSS, or VmHWM for its peak."""
    text = Path("/proc/self/status").read_text()
    return 1024 * int(re.findall(rf"{name}:\s+(\d+)", text)[0])


def colorized(
    data: bytes, model: LoadedModel, cores: FreeCores, output: Format, level: PngLevel
) -> Round:
    """Take a photo through, as the library does."""
    return_freed()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is that of now: proc(5)
    before = status("VmRSS")
    header = inspect(data, max_pixels=10**9, max_side=10**6)
    timed = Stopwatch()
    with cores.taken():
        photo = timed("decode", lambda: decode(data, header, cores=cores))
        ab = timed(
            "network",
            lambda: model.engine.infer(prepare(photo)[np.newaxis], np.full(1, 0.5, np.float32))[0],
        )
        guided = model.description.guided_filter
        result = timed(
            "recombine and encode",
            lambda: encode(recolor(photo, ab, "guided", guided, (), cores), output, level),
        )
    return Round(timed.wall, timed.cpu, status("VmHWM") - before, result)


def measure(
    megapixels: int,
    model: LoadedModel,
    several: int,
    rounds: int,
    output: Format,
    level: PngLevel,
) -> None:
    """Print the rows of a photo."""
    data = photo_file("RGB JPEG", *SIZES[megapixels])
    ways = {1: FreeCores(1), several: FreeCores(several)}
    runs: dict[int, list[Round]] = {threads: [] for threads in ways}
    for _ in range(rounds):
        for threads, cores in ways.items():
            runs[threads].append(colorized(data, model, cores, output, level))
    assert len({run.result for each in runs.values() for run in each}) == 1, "the bytes differ"
    for stage in STAGES:
        (one, all_), (cpu_one, cpu_all) = (
            [min(getattr(run, clock)[stage] for run in runs[threads]) for threads in ways]
            for clock in ("wall", "cpu")
        )
        print(
            f"| {megapixels} MP | {stage} | {one:.3f} | {all_:.3f} | {all_ / one:.2f}"
            f" | {cpu_one:.3f} | {cpu_all:.3f} |"
        )
    peaks = " and ".join(f"{max(run.peak for run in runs[n]) / 2**20:.0f}" for n in ways)
    print(f"| {megapixels} MP | memory, MiB: {peaks} | | | | | |", flush=True)


def at_best(threads: int, rounds: int) -> float:
    """What so many threads take of one's time: zlib, on as many parts, each by itself.

    Cores that are two threads of one core come to 0.6 to 0.8, not to 0.5.
    """
    part = np.random.default_rng(0).integers(0, 16, 1 << 22, np.uint8).tobytes()
    took = {1: float("inf"), threads: float("inf")}
    for _ in range(rounds):
        for count in took:
            start = time.perf_counter()
            with ThreadPoolExecutor(count) as pool:
                list(pool.map(lambda _: zlib.compress(part, 1), range(threads)))
            took[count] = min(took[count], time.perf_counter() - start)
    return took[threads] / took[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=usable_cores(), help="all cores")
    parser.add_argument("--megapixels", type=int, nargs="+", choices=list(SIZES), default=[12, 48])
    parser.add_argument("--format", choices=get_args(Format), default="png")
    parser.add_argument("--level", choices=get_args(PngLevel), default="fast")
    options = parser.parse_args()
    model = Models(local_settings(device="cpu")).load_default()
    print(f"| photo | stage | 1 thread, s | {options.threads} threads, s | ratio | CPU s | CPU s |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for megapixels in options.megapixels:
        measure(megapixels, model, options.threads, options.rounds, options.format, options.level)
    ratio = at_best(options.threads, options.rounds)
    print(f"\nzlib on {options.threads} threads, which nothing keeps apart: {ratio:.2f}")


if __name__ == "__main__":
    main()
