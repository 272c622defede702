"""Far more load than the service can take: what becomes of what it accepts and of what it refuses.

    python -m benchmarks.overload --times 10 --seconds 120

Starts the service, measures what it can do, then sends so many times as many photos a second in an
open loop (h2load), and after that one photo after another until all is as before. Meanwhile a
second client asks once a second, to see what a refusal says and how long it takes.
"""

import argparse
import json
import re
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from benchmarks.serving.load import Answers, closed_loop, open_loop, require_h2load
from benchmarks.serving.photos import CONTENT_TYPE, SIZES, form, jpeg
from benchmarks.serving.processes import Tree, service

CLIENTS, WARM_UP = 16, 160
IDLE = 5  # photos one by one, before and after


@dataclass
class Seen:
    """What the second client saw, once a second."""

    accepted_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    retry_after_s: list[int] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    health_s: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)


def ask(http: httpx.Client, body: bytes) -> tuple[httpx.Response, float]:
    start = time.perf_counter()
    answer = http.post("/colorize", content=body, headers={"content-type": CONTENT_TYPE})
    return answer, time.perf_counter() - start


def watch(url: str, body: bytes, tree: Tree, ended: threading.Event, seen: Seen) -> None:
    """Ask once a second; a request that is accepted is waited for in a thread of its own."""

    def one() -> None:
        with httpx.Client(base_url=url, timeout=60) as http:
            answer, took = ask(http, body)
        if answer.status_code == 200:
            seen.accepted_s.append(took)
        elif answer.status_code == 503 and "retry-after" in answer.headers:
            seen.refused_s.append(took)
            seen.retry_after_s.append(int(answer.headers["retry-after"]))
        else:
            seen.others.append(f"{answer.status_code}")

    with httpx.Client(base_url=url, timeout=60) as http:
        while not ended.wait(1):
            threading.Thread(target=one).start()
            start = time.perf_counter()
            http.get("/healthz").raise_for_status()
            seen.health_s.append(time.perf_counter() - start)
            seen.memory_mb.append(tree.peak_mb())


def recover(http: httpx.Client, body: bytes, limit_s: float) -> tuple[float, float]:
    """Seconds until a photo is accepted, and until one takes no longer than `limit_s`."""
    start, accepted = time.perf_counter(), float("nan")
    while True:
        answer, took = ask(http, body)
        now = time.perf_counter() - start
        if answer.status_code != 200:
            continue
        if np.isnan(accepted):
            accepted = now - took
        if took <= limit_s:
            return accepted, now - took


def percentiles(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99])
    return f"p50 {p50:.3f} s, p95 {p95:.3f} s, p99 {p99:.3f} s, most {max(seconds):.3f} s"


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    size = next(size for size in SIZES if size.name == arguments.size)
    body = form(jpeg(size))
    file = folder / "photo.form"
    file.write_bytes(body)
    with service(folder, cache_mb=0) as served:
        url, http, tree = served.url, served.http, served.tree
        tree.peak_mb()  # from here on: not what the start needed
        closed = closed_loop(f"{url}/colorize", file, CLIENTS, WARM_UP)
        capacity = len(closed.took_s) / closed.ended_s
        idle = [ask(http, body)[1] for _ in range(IDLE)]
        memory_before = tree.peak_mb()
        seen, ended = Seen(), threading.Event()
        watching = threading.Thread(target=watch, args=(url, body, tree, ended, seen))
        watching.start()
        answers: list[Answers] = []
        rate = arguments.times * capacity
        loading = threading.Thread(
            target=lambda: answers.append(
                open_loop(f"{url}/colorize", file, rate, arguments.seconds)
            )
        )
        began = time.perf_counter()
        loading.start()
        time.sleep(max(0.0, arguments.seconds - (time.perf_counter() - began)))
        in_load = list(seen.memory_mb)
        accepted_after, calm_after = recover(http, body, 1.5 * max(idle))
        ended.set()
        loading.join()
        watching.join()
        again = [ask(http, body)[1] for _ in range(IDLE)]
        metrics = http.get("/metrics").text
    (load,) = answers
    ended_in_load = np.add(load.began_s, load.took_s) <= arguments.seconds
    batches = dict(re.findall(r"batch_photos_(sum|count)(?:\{\})? ([\d.e+]+)", metrics))
    return {
        "photo": size.name,
        "capacity, photos/s (closed loop, 16 clients)": round(capacity, 2),
        "sent a second": round(load.sent / arguments.seconds, 1),
        "requests": load.sent,
        "answers by status": {"200": len(load.took_s), **load.failed},
        "photos/s done during the load": round(float(ended_in_load.sum()) / arguments.seconds, 2),
        "photos a batch, on average": round(float(batches["sum"]) / float(batches["count"]), 2),
        "latency alone": percentiles(idle),
        "latency of what was accepted": percentiles(load.took_s),
        "a refusal, as the second client saw it": percentiles(seen.refused_s),
        "Retry-After, seconds": sorted(set(seen.retry_after_s)),
        "other answers to it": seen.others,
        "/healthz during the load": percentiles(seen.health_s),
        "memory, MiB: before, quarters of the load": [
            round(memory_before),
            *(round(max(part)) for part in map(list, np.array_split(in_load, 4)) if part),
        ],
        "after the load's end: accepted again after, s": round(accepted_after, 2),
        "after the load's end: as fast as alone again after, s": round(calm_after, 2),
        "latency alone afterwards": percentiles(again),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=float, default=10, help="of what the service can do")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--size", choices=[size.name for size in SIZES], default=SIZES[0].name)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    require_h2load()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(arguments, Path(folder))
    for name, value in figures.items():
        print(f"{name}: {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
