"""The clients of a long run: what they send to a server, and what they and a watcher see.

Photos of several sizes, ZIPs, hints, albums, references, proposals, damaged files and jobs.
"""

import asyncio
import itertools
import json
import socket
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from benchmarks.serving.photos import SIZES, jpeg
from tests.conftest import Server

EXPECTED = {200, 202, 413, 415, 422, 429, 503}
REFERENCE = next((Path(__file__).parent.parent / "samples" / "colour").glob("*.jpg"))
SMALL, MIDDLE, LARGE = 0, 1, 2
PAUSE_S, LOOK_S = 0.05, 1.0
MEASURED = 2
"""Clients whose photos are timed: some 2,000 in a sixth, of which 20 decide on its p99."""
REST_S = 20.0


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
        self.reference = REFERENCE.read_bytes()
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
                ("album", {"album": "true"}, [small, middle, small]),
                ("proposals", {"proposals": "3", "look": "tiles"}, [small]),
                ("confidence", {"confidence": "png"}, [middle]),
                ("cut off", {}, [large[: len(large) // 2]]),
                ("junk", {}, [b"\x89PNG\r\n\x1a\n" + bytes(4 << 20)]),
                ("wrong option", {"vividness": "7"}, [small]),
            ):
                sent = [("file", (f"{next(self.numbers)}.jpg", data)) for data in files]
                await self.post(http, what, "/colorize", params=query, files=sent)
                await asyncio.sleep(PAUSE_S)
            both = {"file": small, "reference": self.reference}
            await self.post(http, "reference", "/colorize", files=both)

    async def jobs(self, http: httpx.AsyncClient) -> None:
        """Jobs in turn: followed and fetched, an album with a reference, one that is cancelled."""
        small, middle, _ = self.photos
        for turn in itertools.count():
            if not self.on():
                return
            await self.going.wait()
            sent = [("file", (f"{n}.jpg", data)) for n, data in enumerate((small, b"none", middle))]
            sent += [("reference", ("r.jpg", self.reference))] * (turn % 3 == 1)
            answer = await http.post("/jobs", params={"album": turn % 3 == 1}, files=sent)
            self.seen.note("job", answer.status_code)
            if answer.status_code != 202:
                continue
            job = answer.headers["location"]
            if turn % 3 == 2:
                self.seen.note("job cancelled", (await http.delete(job)).status_code)
            async with http.stream("GET", f"{job}/events") as events:
                self.seen.note("job followed", events.status_code)
                async for line in events.aiter_lines():
                    if turn % 4 == 3 and line.startswith("event: photo"):
                        break  # and gone
            while (told := await http.get(job)).is_success and "ended" not in told.json():
                await asyncio.sleep(LOOK_S)
            for path in ("results", "results/0"):
                status = (await http.get(f"{job}/{path}")).status_code
                gone = turn % 3 == 2 and status == 404  # cancelled before it was done
                self.seen.note(f"job's {path}", 200 if gone else status)

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
                *(self.others(http), self.jobs(http), self.leaving(), self.managing(http)),
                *(self.watching(), self.resting(http)),
            )
            await self.rest(http)
