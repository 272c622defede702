"""One process or several on one port: photos a second, latency and memory, in turn.

    python -m benchmarks.workers --workers 1 2 --rounds 3
    python -m benchmarks.workers --workers 1 2 --kept     the network does not run

All services run at once and are asked one after the other, round by round, 16 clients at a time
(h2load), so that what else the machine does meets them alike. With --kept the network's answers are
kept from before: what is left is what Python's lock bounds in one process.
"""

import argparse
import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import httpx
import numpy as np

from benchmarks.serving.load import closed_loop, require_h2load
from benchmarks.serving.photos import SIZES, form, jpeg
from benchmarks.serving.processes import Tree, service

CLIENTS, WARM_UP = 16, 48


def all_ready(http: httpx.Client, workers: int) -> bool:
    """Whether so many processes tell of themselves."""
    text = http.get("/metrics").text
    return workers == 1 or text.count("process_resident_memory_bytes{worker=") == workers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--photos", type=int, default=200, help="of 256², a round; a fifth of 1 MP")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kept", action="store_true", help="the network does not run")
    parser.add_argument("--engine", default="auto")
    options = parser.parse_args()
    require_h2load()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as held:
        services: dict[int, tuple[str, Tree]] = {}
        for workers in options.workers:
            served = held.enter_context(
                service(Path(folder), workers=workers, cache_mb=64 if options.kept else 0,
                        max_wait_s=120, engine=options.engine)
            )  # fmt: skip
            while not all_ready(served.http, workers):
                pass
            services[workers] = served.url, served.tree
        counts = options.photos, max(CLIENTS, options.photos // 5)
        for size, photos in zip(SIZES, counts, strict=False):
            body = Path(folder) / "photo.form"
            body.write_bytes(form(jpeg(size)))
            rates: dict[int, list[float]] = {workers: [] for workers in services}
            took: dict[int, list[float]] = {workers: [] for workers in services}
            cpu: dict[int, float] = dict.fromkeys(services, 0.0)
            for url, _ in services.values():
                closed_loop(url + "/colorize", body, CLIENTS, WARM_UP)
            for _ in range(options.rounds):
                for workers, (url, tree) in services.items():
                    before = tree.cpu_s()
                    answers = closed_loop(url + "/colorize", body, CLIENTS, photos)
                    assert len(answers.took_s) == photos, answers.failed
                    cpu[workers] += tree.cpu_s() - before
                    rates[workers].append(photos / answers.ended_s)
                    took[workers] += answers.took_s
            first = rates[options.workers[0]]
            for workers, (_, tree) in services.items():
                ratios = [mine / one for mine, one in zip(rates[workers], first, strict=True)]
                p50, p99 = np.percentile(took[workers], [50, 99])
                told = {
                    "photo": size.name,
                    "workers": workers,
                    "photos/s": round(median(rates[workers]), 2),
                    "ratio to the first": [round(ratio, 3) for ratio in ratios],
                    "p50, s": round(p50, 3),
                    "p99, s": round(p99, 3),
                    "CPU a photo, ms": round(1000 * cpu[workers] / photos / options.rounds, 1),
                    "memory, MiB": round(tree.peak_mb()),
                }
                print(json.dumps(told, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
