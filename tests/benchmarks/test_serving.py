"""The serving benchmark's arithmetic and page, against a log and results made up by hand."""

from copy import deepcopy
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
    "versions": {"chromaserve-savedmodel": "chromaserve 0.1", "chromaserve-ncnn": "chromaserve 0.1",
                 "litserve-savedmodel": "litserve 0.2", "fastapi-savedmodel": "fastapi 0.165"},
}  # fmt: skip


def cell(
    contender: str, round_: int, rate: float, took: list[float], **failed: int
) -> dict[str, Any]:
    step = {"offered": rate / 2, "took_s": took, "sent": len(took), "failed": {}}
    saturation = {"offered": 2 * rate, "throughput": rate, "cpu_s": 0.25, "peak_mb": 1000.0,
                  "sent": 100, "failed": failed}  # fmt: skip
    return {
        "kind": "cell", "round": round_, "contender": contender, "size": "256²",
        "saturation": saturation, "high": step, "common": step,
    }  # fmt: skip


RECORDS: list[dict[str, Any]] = [
    RUN,
    {"kind": "raw", "round": 1, "engine": "savedmodel", "busy": 10.0, "single": 6.0},
    {"kind": "raw", "round": 1, "engine": "ncnn", "busy": 15.0, "single": 14.0},
    cell("chromaserve-savedmodel", 1, 9.8, [0.2, 0.4] * 250),
    cell("chromaserve-savedmodel", 2, 9.6, [0.2, 0.6] * 250),
    cell("chromaserve-ncnn", 1, 11.0, [0.1] * 10),
    cell("chromaserve-ncnn", 2, 12.0, [0.1] * 10),
    cell("litserve-savedmodel", 1, 8.0, [0.5, 0.7] * 250),
    cell("litserve-savedmodel", 2, 9.7, [0.5, 0.7] * 250, **{"503": 3, "none": 1}),
    cell("litserve-ncnn", 1, 10.0, [0.2] * 10),
    cell("litserve-ncnn", 2, 10.0, [0.2] * 10),
    {"kind": "failure", "round": 2, "contender": "fastapi-savedmodel", "message": "it ended\nlog"},
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
    assert "ncnn does 1.50 × what the SavedModel does" in text
    # LitServe's 9.7 is above a round of ours, so the lead is not clear.
    assert "(LitServe, SavedModel, 8.85): ahead, within the rounds' spread." in text
    # Against peers on the same engine: 11.5 / 10, not 11.5 / 8.85; 0.77 of it alone.
    assert "chromaserve, ncnn, 256², throughput: 11.50 photos/s, 1.15 × the best peer's" in text
    assert "0.77 of the engine's own throughput" in text
    assert "the aim of 0.92 is missed" in text
    assert "- LitServe, SavedModel, 256², at saturation: 3 × status 503, 1 × no answer" in lines
    assert "- plain FastAPI, SavedModel, round 2: it ended" in lines


def test_a_p99_is_told_of_a_thousand_requests() -> None:
    text = page(RECORDS)
    assert "chromaserve, SavedModel, 256², p99 at 80% of its own saturation: 0.60 s" in text
    assert "chromaserve, ncnn, 256², p99" not in text  # of twenty
    assert any("| chromaserve, ncnn | 5.75 | 0.10 [0.10, 0.10] | – | – |" in line
               for line in text.splitlines())  # fmt: skip


def test_what_was_not_answered_took_for_ever() -> None:
    records = deepcopy(RECORDS)
    for record in records:
        if record.get("contender") == "chromaserve-savedmodel":
            record["high"]["failed"] = {"500": 20}
    assert "chromaserve, SavedModel, 256², p99 at 80% of its own saturation: not answered" in page(
        records
    )


def test_the_page_speaks_of_what_was_measured() -> None:
    text = page(RECORDS)
    assert "12 MP, throughput" not in text  # not measured, so not spoken of


def test_results_outlive_an_interruption(tmp_path: Path) -> None:
    results = Results(tmp_path / "r.jsonl")
    results.append(RECORDS[3])
    with results.path.open("a") as file:
        file.write('{"kind": "cell", "rou')
    assert results.has(kind="cell", round=1, contender="chromaserve-savedmodel")
    assert not results.has(kind="cell", round=2)
    results.append(RECORDS[7])
    assert results.has(kind="cell", round=1, contender="litserve-savedmodel")


def test_photos_are_grey_and_the_same_every_time() -> None:
    small = SIZES[0]
    photo = jpeg(small)
    assert photo == jpeg(small)
    pixels = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_ANYCOLOR)
    assert pixels is not None
    assert pixels.shape == (small.height, small.width)
