"""A long run: a real server under mixed load; memory, descriptors, threads, latency, answers.

    make soak                                        30 minutes
    python -m benchmarks.soak --minutes 6 --json soak.json

Clients send photos of several sizes, ZIPs, hints, albums, references, proposals, damaged files and
jobs, some of them cancelled, leave in the middle and have the model reloaded; after the first
quarter and at the end all of them pause, so that what the process keeps can be told from what
photos under way take. Ends with 1 where an answer was one that no client should see, or where
something grew: memory at rest by more than 2% after the first quarter, more descriptors or threads
than then, or the last sixth's p99 more than 10% above the first's; and where a file is left, of a
job that is forgotten or in the folder for temporary ones.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
import psutil

from benchmarks.soak_clients import Clients, Seen
from tests.conftest import running

GROWTH, SLOWER = 1.02, 1.10
KEEP_S = 5.0
"""How long jobs are kept, so that all are forgotten when the clients rest; each is looked for."""


def parts(seen: Seen, length_s: float) -> dict[str, float]:
    """First and last sixth after a warm-up of a quarter."""
    begin, sixth = length_s / 4, length_s * 3 / 4 / 6
    first, last = (begin, begin + sixth), (length_s - sixth, length_s)

    def of(span: tuple[float, float], values: list[tuple[float, float]], q: float) -> float:
        inside = [value for at, value in values if span[0] <= at < span[1]]
        return float(np.percentile(inside, q)) if inside else float("nan")

    told: dict[str, float] = {}
    for name, span in (("first", first), ("last", last)):
        told[f"p50_s {name}"] = of(span, seen.photo_s, 50)
        told[f"p99_s {name}"] = of(span, seen.photo_s, 99)
        told[f"rss_mb {name}"] = of(span, [(x.at_s, x.rss_mb) for x in seen.looks], 50)
        told[f"files {name}"] = of(span, [(x.at_s, x.files) for x in seen.looks], 50)
        told[f"threads {name}"] = of(span, [(x.at_s, x.threads) for x in seen.looks], 50)
    told["rss_mb most"] = max(x.rss_mb for x in seen.looks)
    told["rss_mb at rest, first"], told["rss_mb at rest, last"] = (x.rss_mb for x in seen.rests)
    return told


def verdicts(told: dict[str, float], seen: Seen) -> list[str]:
    """What is not as it should be."""
    bad = [f"{what}: {count}" for what, count in seen.wrong.items()]
    if not told["rss_mb at rest, last"] <= GROWTH * told["rss_mb at rest, first"]:
        bad.append("memory grew")
    if told["files last"] > told["files first"] + 2:
        bad.append("descriptors grew")
    if told["threads last"] > told["threads first"] + 1:
        bad.append("threads grew")
    if not told["p99_s last"] <= SLOWER * told["p99_s first"]:
        bad.append("it became slower")
    return bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--json", type=Path, help="file for every look and latency")
    options = parser.parse_args()
    seen = Seen()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), rate_limit=0) as start:
        temporary, jobs = Path(folder) / "temporary", Path(folder) / "jobs"
        temporary.mkdir()
        os.environ["TMPDIR"] = str(temporary)  # the server's; ours is asked for by now
        server = start(jobs=jobs, jobs_keep_s=KEEP_S)
        server.wait_ready()
        begun = time.perf_counter()
        length_s = 60 * options.minutes
        asyncio.run(Clients(server, seen, begun, begun + length_s).run())
        load = httpx.get(f"{server.url}/models").json()["load"]
        kept = [*jobs.glob("photos/*"), *jobs.glob("albums/*"), *jobs.glob("results/*")]
        ended = server.stop()
        kept += temporary.iterdir()
    told = parts(seen, length_s)
    print(f"{options.minutes:g} minutes, {sum(seen.answers.values())} answers")
    print(f"{load['photos']} photos coloured; load {psutil.getloadavg()[0]:.1f} of the machine")
    for what, count in sorted(seen.answers.items()):
        print(f"{count:7} {what}")
    for what, value in told.items():
        print(f"{value:9.3f} {what}")
    bad = verdicts(told, seen)
    held = load["accepted"], load["memory_mb"], load["uploads_mb"]
    bad += [f"still held at the end: {held}"] if any(held) else []
    bad += [f"{len(kept)} files left, {kept[0]} among them"] if kept else []
    bad += [f"the server ended with {ended}"] if ended else []
    print("\n".join(bad) or "all as it should be")
    if options.json:
        shown = {"looks": [vars(look) for look in seen.looks], "photo_s": seen.photo_s, **told}
        options.json.write_text(json.dumps(shown))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
