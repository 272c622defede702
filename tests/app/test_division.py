"""What each of several workers has of the machine: threads, memory, queue, GPUs."""

import os

import pytest

from app.settings import Settings
from app.supervisor import gpus_of


def test_the_machine_is_divided_among_workers() -> None:
    whole = Settings(workers=3, engine_threads=8, photo_threads=2, max_queue=400, max_photos=64)
    parts = [whole.for_worker(number) for number in (1, 2, 3)]
    assert [part.engine_threads for part in parts] == [3, 3, 2]
    assert [part.photo_threads for part in parts] == [1, 1, 1]
    assert sum(part.max_queue for part in parts) == 400
    assert sum(part.max_memory_mb for part in parts) == pytest.approx(whole.max_memory_mb)
    assert sum(part.cache_mb for part in parts) == pytest.approx(whole.cache_mb)
    assert Settings(workers=16).for_worker(16).max_queue == 64, "a request of 64 photos fits"


@pytest.mark.parametrize(
    ("workers", "gpus", "expected"),
    [
        (2, [], ["", ""]),
        (2, ["0", "1"], ["0", "1"]),
        (2, ["0", "1", "2", "3", "4"], ["0,2,4", "1,3"]),
        (3, ["GPU-a", "GPU-b"], ["GPU-a", "GPU-b", "GPU-a"]),
    ],
)
def test_gpus_are_divided_too(workers: int, gpus: list[str], expected: list[str]) -> None:
    assert [gpus_of(n, workers, gpus) for n in range(1, workers + 1)] == expected


def test_more_workers_than_a_default_has_room_for_get_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("CHROMASERVE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CHROMASERVE_WORKERS", "16")
    assert Settings().max_memory_mb == 16 * 512
