"""A long run: a real server under mixed load; memory, descriptors, threads, latency, answers.

    make soak                                        30 minutes
    python -m benchmarks.soak --minutes 6 --json soak.json

Clients send photos of several sizes and formats, ZIPs, hints, damaged files and tensors, leave in
the middle, read slowly and have the model reloaded; after the first quarter and at the end all of
them pause, so that what the process keeps can be told from what photos under way take. Ends with 1
where an answer was one that no client should see, or where something grew: memory at rest by more
than 2% after the first quarter, more descriptors or threads than then, or the last sixth's p99 more
than 10% above the first's.
"""

import argparse
import asyncio
import itertools
import json
import socket
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import psutil

from benchmarks.serving.photos import SIZES, jpeg
from tests.conftest import Server, running

GROWTH, SLOWER = 1.02, 1.10
EXPECTED = {200, 413, 415, 422, 429, 503}
SMALL, MIDDLE, LARGE = 0, 1, 2
PAUSE_S, LOOK_S = 0.05, 1.0
MEASURED = 2
"""Clients whose photos are timed: some 2,000 in a sixth, of which 20 decide on its p99."""
REST_S = 15.0


@dataclass
class Look:
    """What the process had at a moment."""

    at_s: float
    rss_mb: float
    files: int
    threads: int


@dataclass
class Seen:
    """What clients and the watcher saw."""

    answers: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    photo_s: list[tuple[float, float]] = field(default_factory=list)
    """When a small photo was asked for, and how long it took."""
    rests: list[Look] = field(default_factory=list)
    """With no photo under way."""
    looks: list[Look] = field(default_factory=list)

    def note(self, what: str, status: int) -> None:
        self.answers[f"{what} {status}"] += 1
        if status not in EXPECTED:
            self.wrong[f"{what} {status}"] += 1


class Clients:
    """The kinds of client, until a moment."""

    def __init__(self, server: Server, seen: Seen, start: float, until: float) -> None:
        self.server, self.seen = server, seen
        self.start, self.until = start, until
        self.photos = [jpeg(size) for size in SIZES]
        self.numbers = itertools.count()
        self.going = asyncio.Event()
        self.going.set()

    def on(self) -> bool:
        return time.perf_counter() < self.until

    async def post(self, http: httpx.AsyncClient, what: str, path: str, **sent: object) -> float:
        await self.going.wait()
        begun = time.perf_counter()
        try:
            answer = await http.post(path, **sent)  # type: ignore[arg-type]
        except httpx.HTTPError as error:
            self.seen.wrong[f"{what} {type(error).__name__}"] += 1
            return 0.0
        self.seen.note(what, answer.status_code)
        if answer.status_code == 503:
            await asyncio.sleep(1)
        return time.perf_counter() - begun if answer.status_code == 200 else 0.0

    async def one(self, http: httpx.AsyncClient) -> None:
        """A measured client: a small photo, again and again."""
        photo = self.photos[SMALL]
        while self.on():
            await self.going.wait()
            at_s = time.perf_counter() - self.start
            took_s = await self.post(http, "photo", "/colorize", files={"file": photo})
            if took_s:
                self.seen.photo_s.append((at_s, took_s))
            await asyncio.sleep(PAUSE_S)

    async def others(self, http: httpx.AsyncClient) -> None:
        """All else in turn."""
        small, middle, large = self.photos
        hints = json.dumps([{"x": 9, "y": 9, "color": "#804020"}])
        while self.on():
            for what, query, files in (
                ("large", {"format": "webp"}, [large]),
                ("zip", {}, [small, large, b"no photo", middle]),
                ("hints", {"hints": hints, "postprocess": "crf"}, [small]),
                ("cut off", {}, [large[: len(large) // 2]]),
                ("junk", {}, [b"\x89PNG\r\n\x1a\n" + bytes(4 << 20)]),
                ("wrong option", {"vividness": "7"}, [small]),
            ):
                sent = [("file", (f"{next(self.numbers)}.jpg", data)) for data in files]
                await self.post(http, what, "/colorize", params=query, files=sent)
                await asyncio.sleep(PAUSE_S)

    async def leaving(self) -> None:
        """Asks, and is gone before the answer; or takes a little of it and goes."""
        host, port = self.server.url.removeprefix("http://").split(":")
        body = self.photos[LARGE]
        head = (
            "POST /colorize HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        for turn in itertools.count():
            if not self.on():
                return
            await self.going.wait()
            reader, writer = await asyncio.open_connection(host, int(port), family=socket.AF_INET)
            writer.write(head.encode() + body[: len(body) // (1 + turn % 2)])
            if turn % 4 == 0:
                await reader.read(1000)
            else:
                await asyncio.sleep(0.2)
            writer.transport.abort()
            self.seen.answers["left"] += 1
            await asyncio.sleep(1)

    async def managing(self, http: httpx.AsyncClient) -> None:
        """Asks how it goes, and for reloads."""
        while self.on():
            await self.going.wait()
            await self.post(http, "reload", "/models/reload")
            for path in ("/metrics", "/models", "/readyz", "/openapi.json", "/"):
                self.seen.note(path, (await http.get(path)).status_code)
            await asyncio.sleep(2)

    async def watching(self) -> None:
        while self.on():
            if self.going.is_set():
                self.seen.looks.append(self.look())
            await asyncio.sleep(LOOK_S)

    def look(self) -> Look:
        process = psutil.Process(self.server.process.pid)
        return Look(
            time.perf_counter() - self.start,
            process.memory_info().rss / 2**20,
            process.num_fds(),
            process.num_threads(),
        )

    async def rest(self, http: httpx.AsyncClient) -> None:
        """All wait until nothing is under way, and a while longer."""
        self.going.clear()
        while (await http.get("/models")).json()["load"]["accepted"]:
            await asyncio.sleep(LOOK_S)
        await asyncio.sleep(REST_S)
        self.seen.rests.append(self.look())
        self.going.set()

    async def resting(self, http: httpx.AsyncClient) -> None:
        """After the first quarter."""
        await asyncio.sleep((self.until - self.start) / 4)
        await self.rest(http)

    async def run(self) -> None:
        async with httpx.AsyncClient(base_url=self.server.url, timeout=120) as http:
            await asyncio.gather(
                *(self.one(http) for _ in range(MEASURED)),
                *(self.others(http), self.leaving(), self.managing(http)),
                *(self.watching(), self.resting(http)),
            )
            await self.rest(http)


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
        server = start()
        server.wait_ready()
        begun = time.perf_counter()
        length_s = 60 * options.minutes
        asyncio.run(Clients(server, seen, begun, begun + length_s).run())
        load = httpx.get(f"{server.url}/models").json()["load"]
        ended = server.stop()
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
    bad += [f"the server ended with {ended}"] if ended else []
    print("\n".join(bad) or "all as it should be")
    if options.json:
        shown = {"looks": [vars(look) for look in seen.looks], "photo_s": seen.photo_s, **told}
        options.json.write_text(json.dumps(shown))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
