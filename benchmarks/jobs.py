"""Jobs: what they cost beside requests, and what becomes of one when a process is killed.

    python -m benchmarks.jobs cost --photos 200
    python -m benchmarks.jobs kill --photos 200 [--database postgresql://…]

`cost` sends the same photos as one job and, as the baseline, by /colorize in requests of 64, in
turn, and tells the time and the service's CPU time; and it asks for single photos alone, beside a
job, and beside the same photos sent by somebody else as requests. `kill` has two processes share a
folder, kills one with SIGKILL when half of the photos are done, and counts: by the job's records,
by what the two processes say that they have coloured, and each photo's result is asked of /colorize
again and compared.
"""

import argparse
import json
import signal
import statistics
import tempfile
import threading
import time
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import httpx
import numpy as np

from benchmarks.overload import percentiles
from benchmarks.serving.photos import SIZES, jpeg
from benchmarks.serving.processes import Service, service

REQUEST = 64
SINGLES = 20


def photos(count: int, size: str) -> list[bytes]:
    """So many photos, no two alike: one, shifted round by another number of columns each."""
    chosen = next(each for each in SIZES if each.name == size)
    first = cv2.imdecode(np.frombuffer(jpeg(chosen), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert first is not None
    found = []
    for number in range(count):
        shifted = np.roll(first, number, axis=1)
        found.append(cv2.imencode(".jpg", shifted, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())
    return found


def serving(folder: Path, database: str, cache_mb: int = 0) -> AbstractContextManager[Service]:
    """The service with jobs, which several may share."""
    return service(
        folder, timeout_s=600, cache_mb=cache_mb, jobs=folder / "queue", jobs_database=database,
        max_wait_s=600, photo_timeout_s=600,
    )  # fmt: skip


def files(given: list[bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("file", (f"{number}.jpg", data)) for number, data in enumerate(given)]


def job(http: httpx.Client, given: list[bytes]) -> tuple[str, float]:
    """A job's id, and the seconds until it was accepted."""
    start = time.perf_counter()
    answer = http.post("/jobs", files=files(given)).raise_for_status()
    return answer.json()["id"], time.perf_counter() - start


def wait(http: httpx.Client, identity: str, until: int | None = None) -> dict[str, object]:
    while True:
        told: dict[str, object] = http.get(f"/jobs/{identity}").raise_for_status().json()
        done = told["done"]
        assert isinstance(done, int)
        if "ended" in told or (until is not None and done >= until):
            return told
        time.sleep(0.1)


def requests(http: httpx.Client, given: list[bytes]) -> None:
    for start in range(0, len(given), REQUEST):
        http.post("/colorize", files=files(given[start : start + REQUEST])).raise_for_status()


def singles(http: httpx.Client, photo: bytes) -> list[float]:
    took = []
    for _ in range(SINGLES):
        start = time.perf_counter()
        http.post("/colorize", files={"file": photo}).raise_for_status()
        took.append(time.perf_counter() - start)
    return took


def cost(given: list[bytes], folder: Path, database: str, rounds: int) -> dict[str, object]:
    count = len(given)
    accept, whole, fetched, plain = [], [], [], []
    cpu_job, cpu_plain = [], []
    with serving(folder, database) as served:
        http, tree = served.http, served.tree
        requests(http, given[:REQUEST])  # warm
        for _ in range(rounds):
            cpu_s = tree.cpu_s()
            start = time.perf_counter()
            identity, took = job(http, given)
            wait(http, identity)
            whole.append(time.perf_counter() - start)
            accept.append(took)
            start = time.perf_counter()
            http.get(f"/jobs/{identity}/results").raise_for_status()
            fetched.append(time.perf_counter() - start)
            cpu_job.append(tree.cpu_s() - cpu_s)
            cpu_s = tree.cpu_s()
            start = time.perf_counter()
            requests(http, given)
            plain.append(time.perf_counter() - start)
            cpu_plain.append(tree.cpu_s() - cpu_s)
        alone = singles(http, given[0])
        identity, _ = job(http, given)
        wait(http, identity, until=1)
        beside_job = singles(http, given[0])
        left = wait(http, identity, until=0)
        http.delete(f"/jobs/{identity}")
        crowd = threading.Thread(target=requests, args=(http, given))
        crowd.start()
        time.sleep(1)
        beside_requests = singles(http, given[0])
        crowd_ended = not crowd.is_alive()
        crowd.join()

    def per_photo(seconds: list[float]) -> str:
        each = [1000 * s / count for s in seconds]
        return f"{statistics.median(each):.1f} ({min(each):.1f} to {max(each):.1f})"

    return {
        "photos": count,
        "rounds": rounds,
        "ms a photo, median (least to most)": {
            "until 202": per_photo(accept),
            "from the request to the job's end": per_photo(whole),
            "results fetched as a ZIP": per_photo(fetched),
            "the same by /colorize, sent and received": per_photo(plain),
            "CPU, by a job": per_photo(cpu_job),
            "CPU, by /colorize": per_photo(cpu_plain),
        },
        "a single photo": {
            "alone": percentiles(alone),
            "beside a job": percentiles(beside_job),
            "of which were done in the meantime": left["done"],
            "beside the same as requests": percentiles(beside_requests),
            "these ended before": crowd_ended,
        },
    }


def coloured(http: httpx.Client) -> int:
    """Photos that a process has coloured since its start."""
    lines = http.get("/metrics").raise_for_status().text.splitlines()
    return sum(int(float(x.split()[-1])) for x in lines if 'total{outcome="colorized"}' in x)


def kill(given: list[bytes], folder: Path, database: str) -> dict[str, object]:
    count = len(given)
    with serving(folder, database) as one, serving(folder, database) as another:
        survivor, other, process = one.http, another.http, another.process
        identity, _ = job(other, given)
        before = wait(survivor, identity, until=count // 2)
        by_other = coloured(other)
        process.send_signal(signal.SIGKILL)
        killed_at = time.perf_counter()
        told = wait(survivor, identity)
        took_s = time.perf_counter() - killed_at
        by_survivor = coloured(survivor)
        names = []
        with survivor.stream("GET", f"/jobs/{identity}/events") as stream:
            for line in stream.iter_lines():
                if line.startswith("data: ") and '"index"' in line:
                    names.append(json.loads(line[6:])["index"])
        alike = 0
        for number, photo in enumerate(given):
            result = survivor.get(f"/jobs/{identity}/results/{number}").raise_for_status()
            again = survivor.post("/colorize", files={"file": photo}).raise_for_status()
            alike += result.content == again.content
        # Each attempt's result has its number in its name.
        kept = (folder / "queue" / "results" / identity).iterdir()
        attempts = Counter(path.suffix.lstrip(".") for path in kept)
    return {
        "photos": count,
        "done when one of two processes was killed": before["done"],
        "state": told["state"],
        "done": told["done"],
        "failed": told["failed"],
        "coloured by the killed one until just before, and by the other": [by_other, by_survivor],
        "photos told of as done, and how many different ones": [len(names), len(set(names))],
        "results that are /colorize's own, byte by byte": alike,
        "results by the attempt that made them": attempts,
        "seconds from the kill to the end": round(took_s, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs", description=__doc__)
    parser.add_argument("what", choices=("cost", "kill"))
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--size", default="256²", choices=[size.name for size in SIZES])
    parser.add_argument("--database", default="", help="by default SQLite")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    given = photos(arguments.photos, arguments.size)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.what == "cost":
            told = cost(given, Path(folder), arguments.database, arguments.rounds)
        else:
            told = kill(given, Path(folder), arguments.database)
    print(json.dumps({"size": arguments.size, **told}, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
