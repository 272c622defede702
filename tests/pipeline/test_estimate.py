"""What photos are reckoned to cost."""

from dataclasses import replace

import pytest

from chromaserve.pipeline.estimate import Estimate
from chromaserve.pipeline.timings import Timings

# Eight photos in 0.8 s of the model: 0.1 s each; decoding and encoding take 0.03 s of one thread.
BY_THE_MODEL = Timings(
    admission_s=0,
    decode_s=0.01,
    queue_s=5,
    inference_s=0.8,
    batch=8,
    calls=1,
    encode_s=0.02,
    total_s=6,
    model_s=0.1,
)
# A large photo: 3 s of one thread.
BY_ENCODING = replace(BY_THE_MODEL, decode_s=1, encode_s=2)


def pace(*seen: Timings, threads: int = 2, pixels: int = 1_000_000) -> Estimate:
    made = Estimate(threads)
    for timings in seen:
        made.note(timings, pixels)
    return made


def test_photos_at_the_models_pace() -> None:
    assert pace(BY_THE_MODEL).seconds(30, 30e6) == pytest.approx(3)


def test_two_calls_at_once_halve_the_models_share() -> None:
    made = pace(replace(BY_THE_MODEL, calls=2, model_s=0.05))
    assert made.seconds(30, 30e6) == pytest.approx(1.5)


def test_an_answer_that_was_kept_says_nothing_of_the_models_pace() -> None:
    kept = replace(BY_THE_MODEL, queue_s=0, inference_s=0, batch=0, calls=0, looks=0, model_s=0)
    assert pace(BY_THE_MODEL, *[kept] * 50).seconds(30, 0) == pytest.approx(3)
    assert pace(BY_ENCODING, *[replace(kept, decode_s=1, encode_s=2)] * 50).seconds(
        10, 10e6
    ) == pytest.approx(15)


def test_tiles_cost_the_model_as_much_as_photos() -> None:
    panorama = replace(BY_THE_MODEL, looks=18, model_s=1.8, inference_s=2.4)
    assert pace(panorama).seconds(30, 0) == pytest.approx(3)
    assert pace(BY_THE_MODEL).seconds(18, 1e6) == pytest.approx(1.8)


def test_photos_at_the_pace_of_decoding_and_encoding_where_that_is_slower() -> None:
    assert pace(BY_ENCODING, threads=2).seconds(10, 10e6) == pytest.approx(15)
    assert pace(BY_ENCODING, threads=4).seconds(10, 10e6) == pytest.approx(7.5)
    # Half as large ones in half the time, until the model is the slower one.
    assert pace(BY_ENCODING, threads=2).seconds(10, 5e6) == pytest.approx(7.5)
    assert pace(BY_ENCODING, threads=2).seconds(10, 0) == pytest.approx(1)


def test_what_others_helped_is_work_too() -> None:
    alone = replace(BY_ENCODING, decode_s=0.6, encode_s=1, helped_s=1.4)
    assert pace(alone, threads=2).seconds(10, 10e6) == pytest.approx(15)


def test_small_photos_fixed_costs_are_not_taken_for_a_price_by_the_pixel() -> None:
    made = Estimate(1)
    for _ in range(10):
        made.note(BY_THE_MODEL, 10_000)  # 3 µs a pixel
        made.note(replace(BY_ENCODING, batch=80, model_s=0.01), 10_000_000)  # 0.3 µs a pixel
    assert made.seconds(1, 10e6) == pytest.approx(3, rel=0.1)


def test_nothing_known_yet_is_soon() -> None:
    assert not pace().known
    assert pace().seconds(200, 1e9) == 0
    assert pace().retry_after_s(0) == 2


def test_old_photos_are_forgotten() -> None:
    assert pace(BY_ENCODING, *[BY_THE_MODEL] * 200).seconds(1, 1e6) == pytest.approx(0.1, rel=0.01)


@pytest.mark.parametrize(("seconds", "told"), [(0.1, 1), (3.0, 3), (3.1, 4), (5000, 120)])
def test_retry_after_is_whole_seconds_within_reason(seconds: float, told: int) -> None:
    assert pace(BY_THE_MODEL).retry_after_s(seconds) == told
