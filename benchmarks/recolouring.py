"""The same photo again with other options: how long it takes where the model's answer is kept.

    python -m benchmarks.recolouring --repeats 9

Starts the service and sends a photo of 1 and one of 12 megapixels, one request at a time, with each
way of post-processing and with ten hints: once with a vividness that the photo did not have before,
so that the model has to run, and at once again with the same, so that it need not.
"""

import argparse
import json
import re
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import get_args

import httpx
import numpy as np

from benchmarks.serving.photos import SIZES, Size, jpeg
from benchmarks.serving.processes import Tree, service
from chromaserve.store.contract import Postprocess

HINTS = 10
COLOURS = ("#a03030", "#8a5a30", "#2e6b3a", "#3a5f8a", "#c8a878")


def kinds(size: Size) -> dict[str, dict[str, str]]:
    """What is asked for, by what the table calls it."""
    rng = np.random.default_rng(0)
    hints = [
        {"x": round(x), "y": round(y), "color": COLOURS[i % len(COLOURS)]}
        for i, (x, y) in enumerate(rng.uniform((0, 0), (size.width, size.height), (HINTS, 2)))
    ]
    asked: dict[str, dict[str, str]] = {m: {"postprocess": m} for m in get_args(Postprocess)}
    return asked | {f"guided, {HINTS} hints": {"postprocess": "guided", "hints": json.dumps(hints)}}


def send(http: httpx.Client, photo: bytes, **fields: str) -> tuple[float, str]:
    """Milliseconds of a request, and what Server-Timing says of the model's part."""
    start = time.perf_counter()
    answer = http.post("/colorize", files={"file": photo}, data=fields)
    took = 1000 * (time.perf_counter() - start)
    answer.raise_for_status()
    described = re.search('inference;desc="([^"]+)"', answer.headers["server-timing"])
    assert described
    return took, described[1]


def measure(http: httpx.Client, tree: Tree, repeats: int) -> None:
    """Print the table."""
    print("| photo | asked for | model runs, ms | kept, ms | model runs, CPU ms | kept, CPU ms |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    vividness = 0
    for size in SIZES[1:]:
        photo = jpeg(size)
        for name, fields in kinds(size).items():
            took: dict[str, list[float]] = {"batch=1": [], "cached": []}
            cpu: dict[str, list[float]] = {"batch=1": [], "cached": []}
            for _ in range(repeats):
                vividness += 1
                given = fields | {"vividness": str(vividness / 1e4)}
                for expected in took:
                    before = tree.cpu_s()
                    ms, how = send(http, photo, **given)
                    assert how == expected, how
                    took[how].append(ms)
                    cpu[how].append(1000 * (tree.cpu_s() - before))
            figures = [median(values) for each in (took, cpu) for values in each.values()]
            told = " | ".join(f"{figure:.0f}" for figure in figures)
            print(f"| {size.name} | `{name}` | {told} |", flush=True)


def main() -> None:
    """Start the service and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, service(Path(name), cache_mb=64) as served:
        measure(served.http, served.tree, options.repeats)


if __name__ == "__main__":
    main()
