"""From the command to `/readyz`, and the first photos then: how long each takes, and the memory.

    python -m benchmarks.start --runs 5

Each start has photos of one size. The first is as quick as those after it where nothing is left to
be loaded, compiled or allocated when the service says that it is ready.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

import httpx
import psutil

from benchmarks.serving.photos import CONTENT_TYPE, SIZES, Size, form, jpeg
from benchmarks.serving.processes import free_port

_LONGEST_S = 120.0
_PHOTOS = 5


@dataclass(frozen=True)
class Start:
    """What one came to."""

    ready_s: float
    memory_mb: float
    tensorflow: bool
    photos_ms: list[float]


def start(size: Size) -> Start:
    """Start a service, send photos of a size one by one, and end it."""
    port, body = free_port(), form(jpeg(size))
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "app"],
        env={**os.environ, "CHROMASERVE_PORT": str(port), "CHROMASERVE_CACHE_MB": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            while True:
                try:
                    if http.get("/readyz").is_success:
                        break
                except httpx.TransportError:
                    pass
                if process.poll() is not None or time.perf_counter() - began > _LONGEST_S:
                    raise SystemExit("the service did not start")
                time.sleep(0.02)
            ready_s = time.perf_counter() - began
            seen = psutil.Process(process.pid)
            memory_mb = seen.memory_info().rss / 2**20
            mapped = any("tensorflow" in file.path for file in seen.memory_maps())
            took = []
            for _ in range(_PHOTOS):
                asked = time.perf_counter()
                answer = http.post(
                    "/colorize", content=body, headers={"content-type": CONTENT_TYPE}
                )
                took.append(1000 * (time.perf_counter() - asked))
                answer.raise_for_status()
    finally:
        process.terminate()
        process.wait(_LONGEST_S)
    return Start(ready_s, memory_mb, mapped, took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5, help="of each size of photos")
    count = parser.parse_args().runs
    runs = {size.name: list[Start]() for size in SIZES[:2]}
    for _ in range(count):
        for size in SIZES[:2]:
            run = start(size)
            runs[size.name].append(run)
            print(
                f"{run.ready_s:6.2f} s {run.memory_mb:6.0f} MiB "
                f" {'with' if run.tensorflow else 'without'} TensorFlow; {size.name}, ms:"
                + "".join(f" {ms:.0f}" for ms in run.photos_ms),
                flush=True,
            )
    every = [run for these in runs.values() for run in these]
    print(f"median {statistics.median(run.ready_s for run in every):.2f} s")
    for name, these in runs.items():
        each = zip(*(run.photos_ms for run in these), strict=True)
        print(f"{name}, medians, ms:" + "".join(f" {statistics.median(ms):.0f}" for ms in each))


if __name__ == "__main__":
    main()
