"""Hostile files: refused with a sentence, at little cost, and with nothing on standard error."""

import json
import time
import tracemalloc
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from chromaserve.photos.header import inspect
from tests.conftest import serving
from tests.hostile.bombs import bombs
from tests.hostile.files import Case, cases, originals
from tests.hostile.trial import MAX_PIXELS, MAX_SIDE, REFUSALS, outcome

SEED, COUNT = 11, 2_000
MOST_MEMORY, MOST_SECONDS = 64 << 20, 2.0


def test_the_originals_are_photos_but_for_those_of_other_samples() -> None:
    found = {name: outcome(data) for name, data in originals().items()}
    others = {name: kind for name, kind in found.items() if kind != "photo"}
    assert others == dict.fromkeys(("lab.tif", "float.tif"), "UnsupportedSamples")


@pytest.mark.slow
def test_changed_files_are_photos_or_refused() -> None:
    seen: Counter[str] = Counter()
    for case in cases(SEED, COUNT):
        try:
            seen[outcome(case.data)] += 1
        except Exception as error:
            raise AssertionError(case.name) from error
    assert min(seen["photo"], seen["DamagedPhoto"]) > COUNT / 20


@pytest.mark.parametrize("case", list(bombs()), ids=lambda case: case.name)
def test_a_bomb_costs_little(case: Case) -> None:
    """Memory before it is understood, and time, in which others may have to wait for Python."""
    tracemalloc.start()
    try:
        with suppress(*REFUSALS):
            inspect(case.data, max_pixels=MAX_PIXELS, max_side=MAX_SIDE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY
    start = time.process_time()
    assert outcome(case.data) in ("photo", "DamagedPhoto", "TooManyPixels")
    assert time.process_time() - start < MOST_SECONDS


@pytest.mark.slow
def test_decoders_add_nothing_to_the_log_of_a_service(
    tmp_path: Path, small_network: dict[str, object]
) -> None:
    """Their complaints would be as many lines as a file likes, and not JSON."""
    chosen = list(cases(5, 60))[-60:]
    with serving(tmp_path, **small_network, log_format="json") as server:
        with server.client() as http:
            answers = [
                http.post("/colorize", content=case.data, headers={"Content-Type": "image/*"})
                for case in chosen
            ]
        assert {answer.status_code for answer in answers} <= {200, 413, 415, 422}
        assert server.stop() == 0
        lines = server.log.read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert len([r for r in records if r["logger"] == "chromaserve.access"]) >= len(chosen)
    assert len(records) < len(chosen) + 50
