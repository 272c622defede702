"""One server and one size of photo: saturation, then latency at shares of it."""

import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

from benchmarks.serving.load import Answers, closed_loop, open_loop
from benchmarks.serving.photos import CONTENT_TYPE, Size
from benchmarks.serving.processes import Tree

READY_S = 480
OVERDRIVE = 3  # of what the server did in a closed loop: batches are full
SATURATED = 0.95  # a server that answers more than this share of what is sent could do more
HIGH = 0.8  # of its own saturation

Record = dict[str, Any]
Say = Callable[[str], None]


def wait_until_ready(url: str, body: Path, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Send photos until one is answered.

    Raises:
        RuntimeError: the server ended, or does not answer.
    """
    until = time.monotonic() + READY_S
    said = "nothing"
    while time.monotonic() < until and process.poll() is None:
        try:
            answer = httpx.post(
                url, content=body.read_bytes(), headers={"content-type": CONTENT_TYPE}, timeout=60
            )
            if answer.status_code == 200:
                return
            said = f"{answer.status_code} {answer.text[:200]}"
        except httpx.TransportError as error:
            said = type(error).__name__
        time.sleep(0.5)
    tail = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"the server is not ready; it answered {said}. Its log:\n{tail}")


def difference(url: str, body: Path, size: Size, reference: Path) -> Record:
    """How far the answer is from the first contender's, in 8-bit codes; that one leaves its own."""
    answer = httpx.post(
        url, content=body.read_bytes(), headers={"content-type": CONTENT_TYPE}, timeout=120
    )
    answer.raise_for_status()
    if not answer.content.startswith(b"\x89PNG"):
        raise RuntimeError("the answer is not a PNG")
    pixels = _decoded(answer.content)
    if pixels.shape != (size.height, size.width, 3):
        raise RuntimeError(f"the answer has the shape {pixels.shape}")
    if not reference.exists():
        reference.write_bytes(answer.content)
    apart = cv2.absdiff(pixels, _decoded(reference.read_bytes()))
    return {"mean": round(float(np.mean(apart)), 4), "png_bytes": len(answer.content)}


def _decoded(png: bytes) -> Any:  # noqa: ANN401 - OpenCV's arrays
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)


def measure(
    url: str, body: Path, size: Size, tree: Tree, seconds: float, timed: int, say: Say
) -> Record:
    """All steps of a cell of the table.

    Args:
        url: where photos are posted.
        body: the file that is posted.
        size: of the photo.
        tree: the server's processes.
        seconds: that requests are sent for, a step, but for that at 80%.
        timed: requests of that one.
        say: is told how it goes.
    """
    count = max(size.clients, round(size.warm_up * min(1.0, seconds / size.seconds)))
    closed = closed_loop(url, body, size.clients, count)
    estimate = len(closed.took_s) / max(closed.ended_s, 1e-3)
    if not closed.took_s:
        raise RuntimeError(f"no photo of {size.name} was answered: {closed.failed}")
    tree.peak_mb()
    saturation = _saturate(url, body, OVERDRIVE * estimate, seconds, tree)
    most = saturation["throughput"]
    say(f"{most:.2f} photos/s, {saturation['cpu_s']:.3f} CPU s a photo,"
        f" {saturation['peak_mb']:.0f} MiB")  # fmt: skip
    rate = HIGH * most
    record: Record = {
        "saturation": saturation,
        "high": _latency(open_loop(url, body, rate, max(seconds, timed / rate)), rate),
        "common": _latency(open_loop(url, body, size.common_rate, seconds), size.common_rate),
    }
    high = record["high"]["took_s"]
    say(f"p50 {statistics.median(high or [0]):.2f} s, worst {max(high, default=0):.2f} s at 80%")
    return record


def _saturate(url: str, body: Path, rate: float, seconds: float, tree: Tree) -> Record:
    for _ in range(3):
        before = tree.cpu_s()
        answers = open_loop(url, body, rate, seconds)
        cpu_s = tree.cpu_s() - before
        throughput = answers.rate(seconds)
        if throughput < SATURATED * rate:
            break
        rate *= OVERDRIVE
    return {
        "offered": round(rate, 3),
        "throughput": round(throughput, 4),
        "cpu_s": round(cpu_s / max(1, len(answers.took_s)), 4),
        "peak_mb": round(tree.peak_mb(), 1),
        "sent": answers.sent,
        "failed": answers.failed,
    }


def _latency(answers: Answers, rate: float) -> Record:
    return {
        "offered": round(rate, 3),
        "took_s": [round(t, 4) for t in answers.took_s],
        "sent": answers.sent,
        "failed": answers.failed,
    }
