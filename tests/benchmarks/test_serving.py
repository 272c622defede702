"""The serving benchmark's arithmetic and page, against a log and results made up by hand."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.serving.load import parse
from benchmarks.serving.photos import SIZES, jpeg
from benchmarks.serving.report import page
from benchmarks.serving.results import Results

RUN = {
    "kind": "run", "profile": "full", "command": "make bench", "date": "2026-01-02",
    "commit": "abc", "processor": "A CPU", "cores": 2, "memory_gib": 24, "system": "Linux 6",
    "python": "3.11", "load": "h2load 1.5", "tensorflow": "2.21",
    "versions": {"chromaserve-savedmodel": "chromaserve 0.1", "litserve": "litserve 0.2",
                 "chromaserve-ncnn": "chromaserve 0.1", "fastapi": "fastapi 0.165"},
}  # fmt: skip


def cell(
    contender: str, round_: int, rate: float, took: list[float], **failed: int
) -> dict[str, Any]:
    step = {"offered": rate / 2, "took_s": took, "sent": len(took), "failed": {}}
    saturation = {"offered": 2 * rate, "throughput": rate, "cpu_s": 0.25, "peak_mb": 1000.0,
                  "sent": 100, "failed": failed}  # fmt: skip
    return {
        "kind": "cell", "round": round_, "contender": contender, "size": "256²",
        "saturation": saturation, "half": step, "high": step, "common": step,
    }  # fmt: skip


RECORDS: list[dict[str, Any]] = [
    RUN,
    {"kind": "raw", "round": 1, "engine": "savedmodel", "busy": 10.0, "single": 6.0},
    {"kind": "raw", "round": 1, "engine": "ncnn", "busy": 15.0, "single": 14.0},
    cell("chromaserve-savedmodel", 1, 9.8, [0.2, 0.4]),
    cell("chromaserve-savedmodel", 2, 9.6, [0.2, 0.6]),
    cell("chromaserve-ncnn", 1, 11.0, [0.1]),
    cell("chromaserve-ncnn", 2, 12.0, [0.1]),
    cell("litserve", 1, 8.0, [0.5, 0.7]),
    cell("litserve", 2, 9.7, [0.5, 0.7], **{"503": 3, "none": 1}),
    {"kind": "failure", "round": 2, "contender": "fastapi", "message": "it ended\nlog"},
]


def test_a_log_of_h2load_is_read() -> None:
    log = "1000000\t200\t500000\n1250000\t503\t1000\n1500000\t200\t250000\n1600000\t-1\t5\n"
    answers = parse(log, sent=6)
    assert answers.began_s == [0.0, 0.5]
    assert answers.took_s == [0.5, 0.25]
    assert answers.ended_s == pytest.approx(0.75)
    assert answers.failed == {"503": 1, "none": 3}  # one logged as failed, two never logged


def test_throughput_does_not_depend_on_where_batches_end() -> None:
    # Batches of 8 end every 2 s: 4 photos/s, wherever the seconds counted begin and end.
    for shift in range(0, 2_000_000, 250_000):
        ends = [shift + 2_000_000 * (1 + n // 8) for n in range(120)]
        answers = parse("".join(f"{n}\t200\t{end - n}\n" for n, end in enumerate(ends)), sent=120)
        assert answers.rate(seconds=24) == pytest.approx(4, rel=0.03)


def test_the_page_says_what_the_figures_say() -> None:
    text = page(RECORDS)
    lines = text.splitlines()
    assert "| SavedModel | 10.00 | 6.00 |" in lines
    # Mean and spread of the rounds; 9.7 of 10 is 0.97; nobody failed.
    row = next(line for line in lines if line.startswith("| chromaserve, SavedModel | 9.70"))
    assert row == (
        "| chromaserve, SavedModel | 9.70 [9.60, 9.80] | 0.97 | 0.250 [0.250, 0.250]"
        " | 1,000 [1,000, 1,000] | 0 of 200 |"
    )
    # The median of 0.2, 0.4, 0.2 and 0.6, and of each round.
    assert any("| 0.30 [0.30, 0.40] |" in line for line in lines)
    assert "0.97 of the engine's own throughput" in text
    assert "the aim of 0.97 is met" in text
    # 11.5 / 8.85 = 1.30.
    assert "1.30 × LitServe's throughput with photos of 256²; the aim of 1.4 is missed" in text
    assert "1.50 × the SavedModel's at its busiest" in text
    # LitServe's 9.7 is above a round of ours, so the lead is not clear.
    assert "(LitServe, 8.85): ahead, within the rounds' spread." in text
    assert "chromaserve, ncnn, 256², throughput: 11.50 photos/s, 1.30 × the best peer's" in text
    assert "- LitServe, 256², at saturation: 3 × status 503, 1 × no answer" in lines
    assert "- plain FastAPI, round 2: it ended" in lines
    assert "12 MP, throughput" not in text  # not measured, so not spoken of


def test_results_outlive_an_interruption(tmp_path: Path) -> None:
    results = Results(tmp_path / "r.jsonl")
    results.append(RECORDS[3])
    with results.path.open("a") as file:
        file.write('{"kind": "cell", "rou')
    assert results.has(kind="cell", round=1, contender="chromaserve-savedmodel")
    assert not results.has(kind="cell", round=2)
    results.append(RECORDS[7])
    assert results.has(kind="cell", round=1, contender="litserve")


def test_photos_are_grey_and_the_same_every_time() -> None:
    small = SIZES[0]
    photo = jpeg(small)
    assert photo == jpeg(small)
    pixels = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_ANYCOLOR)
    assert pixels is not None
    assert pixels.shape == (small.height, small.width)
