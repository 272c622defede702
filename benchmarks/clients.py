"""Load generator: N concurrent clients for S seconds; throughput, latency, statuses, memory.

    python benchmarks/clients.py photo.jpg other.png --clients 16 --seconds 60 --pid 4711

Each client sends the photos in turn, one a request, and starts the next when it has its answer.
Start the server with CHROMASERVE_CACHE_MB=0: else the network runs once a photo, and no more.
"""

import argparse
import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np


@dataclass
class Seen:
    """What the clients saw."""

    latencies_s: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    batches: Counter[int] = field(default_factory=Counter)
    rss_mb: list[float] = field(default_factory=list)


async def client(
    http: httpx.AsyncClient, number: int, photos: list[tuple[str, bytes]], until: float, seen: Seen
) -> None:
    count = number
    while (start := time.perf_counter()) < until:
        try:
            response = await http.post("/colorize", files={"file": photos[count % len(photos)]})
        except httpx.TransportError as error:
            seen.statuses[type(error).__name__] += 1
            continue
        seen.statuses[str(response.status_code)] += 1
        if response.status_code == 200:
            seen.latencies_s.append(time.perf_counter() - start)
            batch = re.search(r"batch=(\d+)", response.headers.get("server-timing", ""))
            seen.batches[int(batch[1]) if batch else 0] += 1
        elif response.status_code == 503:
            await asyncio.sleep(float(response.headers.get("retry-after", 1)))
        count += 1


async def watch(pid: int, seen: Seen) -> None:
    """Resident memory of the server, twice a second (Linux)."""
    while True:
        status = Path(f"/proc/{pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        seen.rss_mb.append(int(found[1]) / 1024 if found else 0)
        await asyncio.sleep(0.5)


async def soak(arguments: argparse.Namespace) -> Seen:
    photos = [(path.name, path.read_bytes()) for path in arguments.photos]
    seen = Seen()
    watching = asyncio.create_task(watch(arguments.pid, seen)) if arguments.pid else None
    limits = httpx.Limits(max_connections=arguments.clients)
    async with httpx.AsyncClient(base_url=arguments.url, timeout=300, limits=limits) as http:
        until = time.perf_counter() + arguments.seconds
        await asyncio.gather(
            *(client(http, n, photos, until, seen) for n in range(arguments.clients))
        )
    if watching:
        watching.cancel()
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--pid", type=int, help="the server's process, to watch its memory")
    arguments = parser.parse_args()
    start = time.perf_counter()
    seen = asyncio.run(soak(arguments))
    took = time.perf_counter() - start
    print(f"{arguments.clients} clients, {took:.1f} s")
    print(f"answers    {dict(seen.statuses)}")
    if seen.latencies_s:
        p50, p90, p99 = np.percentile(seen.latencies_s, [50, 90, 99])
        print(f"throughput {len(seen.latencies_s) / took:.2f} photos/s")
        print(f"latency    p50 {p50:.3f} s, p90 {p90:.3f} s, p99 {p99:.3f} s")
        print(f"batches    {dict(sorted(seen.batches.items()))} (photos by size of their batch)")
    if seen.rss_mb:
        print(f"memory     {seen.rss_mb[0]:.0f} MiB at first, {max(seen.rss_mb):.0f} at most,"
              f" {seen.rss_mb[-1]:.0f} at last")  # fmt: skip


if __name__ == "__main__":
    main()
