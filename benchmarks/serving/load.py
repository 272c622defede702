"""The load: h2load (nghttp2), and what it logs of each request.

In an open loop a connection is opened at every tick of a clock, whatever became of those before,
and carries one request. In a closed loop so many clients wait for their answers.
"""

import shutil
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.serving.photos import CONTENT_TYPE

MISSING = (
    "h2load is missing, the load generator of nghttp2."
    " Debian and Ubuntu: apt install nghttp2-client. Homebrew: brew install nghttp2."
)
GIVE_UP_S = 120  # longer than any contender's own time-out
STEADY_FROM = 0.2  # of the sending time: the queue has formed by then


@dataclass(frozen=True)
class Answers:
    """What became of a step's requests."""

    sent: int
    began_s: list[float]
    """Of those answered with 200, when they were sent, from the first on."""
    took_s: list[float]
    failed: dict[str, int]
    """Others by status; "none": no answer."""

    @property
    def ended_s(self) -> float:
        """When the last good answer was there, from the first request on."""
        return max((b + t for b, t in zip(self.began_s, self.took_s, strict=True)), default=0.0)

    def rate(self, seconds: float) -> float:
        """Good answers a second in steady state, while requests were sent for so many seconds.

        The slope of a line through the answers by least squares: counts between two instants
        would hang on where batches, which end together, happen to fall.
        """
        ends = np.sort(np.add(self.began_s, self.took_s))
        order = np.arange(len(ends))
        steady = (ends >= STEADY_FROM * seconds) & (ends <= seconds)
        if steady.sum() < 4:  # too few for a line: all of them over all the time that they took
            return len(ends) / float(ends[-1]) if len(ends) else 0.0
        return float(np.polyfit(ends[steady], order[steady], 1)[0])


def require_h2load() -> None:
    """Raise SystemExit with what to install where there is no h2load."""
    if shutil.which("h2load") is None:
        raise SystemExit(MISSING)


def version() -> str:
    """h2load's version."""
    done = subprocess.run(["h2load", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def open_loop(url: str, body: Path, rate: float, seconds: float) -> Answers:
    """Send about `rate` requests a second for so many seconds, then wait for the last answers."""
    period_ms = max(1, round(1000 / rate))  # h2load counts in whole ones
    count = max(2, round(1000 * seconds / period_ms))
    clock = ["--rate=1", f"--rate-period={period_ms}ms"]
    return _run(url, body, count, [*clock, f"--clients={count}"])


def closed_loop(url: str, body: Path, clients: int, count: int) -> Answers:
    """So many clients, each with one request at a time, until `count` are answered."""
    return _run(url, body, count, [f"--clients={clients}"])


def _run(url: str, body: Path, count: int, how: list[str]) -> Answers:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "requests.tsv"
        words = ["h2load", "--h1", f"--requests={count}", *how, f"--data={body}",
                 f"--header=content-type: {CONTENT_TYPE}", f"--log-file={log}",
                 f"--connection-active-timeout={GIVE_UP_S}", url]  # fmt: skip
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if not log.exists():
            raise RuntimeError(f"h2load failed: {done.stdout}{done.stderr}")
        return parse(log.read_text(), count)


def parse(log: str, sent: int) -> Answers:
    """A log of h2load: start in µs since the epoch, status, µs to the end of the answer."""
    rows = [tuple(map(int, line.split("\t")[:3])) for line in log.splitlines()]
    first = min((start for start, _, _ in rows), default=0)
    good = [(start, took) for start, status, took in rows if status == 200]
    failed = Counter("none" if s < 0 else str(s) for _, s, _ in rows if s != 200)
    failed["none"] += sent - len(rows)
    return Answers(
        sent,
        [(start - first) / 1e6 for start, _ in good],
        [took / 1e6 for _, took in good],
        {status: n for status, n in sorted(failed.items()) if n},
    )
