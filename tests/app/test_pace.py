"""When a client that found no room is told to come again."""

from dataclasses import replace

import pytest

from app.pace import Pace
from app.telemetry import Timings

# Eight photos in 0.8 s of the model: 0.1 s each; decoding and encoding take 0.03 s of one thread.
BY_THE_MODEL = Timings(
    admission_s=0, decode_s=0.01, queue_s=5, inference_s=0.8, batch=8, encode_s=0.02, total_s=6
)
# A large photo: 3 s of one thread.
BY_ENCODING = replace(BY_THE_MODEL, decode_s=1, encode_s=2)


def pace(*seen: Timings, threads: int = 2) -> Pace:
    made = Pace(threads)
    for timings in seen:
        made.note(timings)
    return made


@pytest.mark.parametrize(("photos", "seconds"), [(0, 1), (1, 1), (30, 3), (31, 4), (5000, 120)])
def test_photos_at_the_models_pace(photos: int, seconds: int) -> None:
    assert pace(BY_THE_MODEL).seconds_for(photos) == seconds


def test_photos_at_the_pace_of_decoding_and_encoding_where_that_is_slower() -> None:
    assert pace(BY_ENCODING, threads=2).seconds_for(10) == 15
    assert pace(BY_ENCODING, threads=4).seconds_for(8) == 6


def test_nothing_known_yet_is_soon() -> None:
    assert pace().seconds_for(200) == 2


def test_old_photos_are_forgotten() -> None:
    assert pace(BY_ENCODING, *[BY_THE_MODEL] * 100).seconds_for(30) == 4
