"""Who is accepted, and who is turned away at once because it would take too long."""

import time
from contextlib import ExitStack

import pytest

from chromaserve.errors import Busy, WouldBeLate
from chromaserve.pipeline.backlog import Backlog
from chromaserve.pipeline.estimate import Estimate
from chromaserve.pipeline.timings import Timings

MEGAPIXEL = 1_000_000


def backlog(max_photos: int = 1000, max_wait_s: float = 10) -> Backlog:
    """A photo takes 0.1 s of the model, a megapixel 0.05 s of decoding and encoding."""
    pace = Estimate(threads=1)
    timings = Timings(
        admission_s=0,
        decode_s=0.02,
        queue_s=0,
        inference_s=0.4,
        batch=4,
        calls=1,
        encode_s=0.03,
        total_s=1,
        model_s=0.1,
    )
    pace.note(timings, MEGAPIXEL)
    return Backlog(pace, max_photos=max_photos, max_wait_s=max_wait_s)


def test_a_request_is_accepted_whole_or_not_at_all() -> None:
    accepted = backlog(max_photos=10)
    eight = accepted.accept([MEGAPIXEL] * 8)
    with pytest.raises(Busy):
        accepted.accept([MEGAPIXEL] * 3)
    accepted.accept([MEGAPIXEL] * 2)
    with pytest.raises(Busy):
        accepted.check()
    eight.close()
    eight.close()
    assert accepted.photos == 2
    accepted.accept([MEGAPIXEL] * 8)


def test_waits_are_reckoned_by_photos_and_by_pixels() -> None:
    accepted = backlog()
    assert accepted.wait_s() == 0
    for _ in range(30):
        accepted.accept([MEGAPIXEL])
    assert accepted.wait_s() == pytest.approx(3)
    accepted.accept([60 * MEGAPIXEL])  # 90 megapixels in all, 4.5 s; 31 photos, 3.1 s
    assert accepted.wait_s() == pytest.approx(4.5)


def test_close_ups_are_reckoned_with_while_they_are_looked_at() -> None:
    accepted = backlog()
    ticket = accepted.accept([MEGAPIXEL])
    with ticket.further(9):
        assert accepted.wait_s() == pytest.approx(1)
    assert accepted.wait_s() == pytest.approx(0.1)


def test_there_is_time_for_as_many_looks_as_others_leave() -> None:
    accepted = backlog()
    ticket = accepted.accept([MEGAPIXEL])
    assert accepted.looks_in_time(ticket, 2.25) == 10  # half of it, and one look is to be
    hurried = accepted.accept([MEGAPIXEL], deadline_s=1)
    assert accepted.looks_in_time(hurried, 100) <= 3
    assert accepted.looks_in_time(ticket, 100) <= 3  # which would make the other one late
    hurried.close()
    accepted.accept([MEGAPIXEL])
    for _ in range(8):
        accepted.accept([MEGAPIXEL])
    assert accepted.looks_in_time(ticket, 2.25) == 1
    assert accepted.looks_in_time(ticket, 1) == 0
    assert accepted.looks_in_time(accepted.behind(MEGAPIXEL), 1) > 1000
    nothing_known = Backlog(Estimate(threads=1), max_photos=9, max_wait_s=9)
    assert nothing_known.looks_in_time(ticket, 0.1) > 1000


def test_there_is_time_for_close_ups_that_have_nobody_refused() -> None:
    accepted = backlog(max_wait_s=10)
    alone = accepted.accept([MEGAPIXEL])
    assert accepted.looks_in_time(alone, 120) > 500
    tickets = [accepted.accept([MEGAPIXEL]) for _ in range(40)]
    with ExitStack() as looked_at:
        for ticket in (alone, *tickets):
            if accepted.looks_in_time(ticket, 120) >= 9:
                looked_at.enter_context(ticket.further(9))
        assert 4.1 < accepted.wait_s() <= 5


def test_all_photos_of_a_request_are_in_time_before_one_is_looked_at_closely() -> None:
    accepted = backlog()
    ticket = accepted.accept([MEGAPIXEL] * 40, deadline_s=20)
    took_s = 0.0
    for _ in range(40):
        ticket.since = time.perf_counter() - took_s
        more = min(9, accepted.looks_in_time(ticket, 120))
        took_s += 0.1 * (1 + more)
        ticket.done(MEGAPIXEL)
    assert 10 < took_s < 20


def test_close_ups_do_not_count_as_waits_that_were_not_foreseen() -> None:
    accepted = backlog()
    for _ in range(20):
        ticket = accepted.accept([MEGAPIXEL], looks=6)
        with ticket.further(9):
            ticket.since = time.perf_counter() - 1.5  # as 15 looks take
        ticket.done(MEGAPIXEL, 6, telling=True)
        ticket.close()
    accepted.accept([MEGAPIXEL], looks=10)
    assert accepted.wait_s() == pytest.approx(1, rel=0.05)


def test_tiles_are_reckoned_with() -> None:
    accepted = backlog()
    ticket = accepted.accept([MEGAPIXEL, MEGAPIXEL], looks=19)  # a panorama and a photo
    assert accepted.photos == 2
    assert accepted.wait_s(2) == pytest.approx(1.9)
    ticket.done(MEGAPIXEL, 18)
    assert accepted.wait_s(2) == pytest.approx(0.1)
    ticket.close()
    with pytest.raises(WouldBeLate):
        accepted.accept([MEGAPIXEL], deadline_s=1, looks=18)
    accepted.accept([MEGAPIXEL], deadline_s=1)


def test_pages_that_become_one_are_reckoned_with_and_have_a_turn_each() -> None:
    accepted = backlog()
    with pytest.raises(WouldBeLate):
        accepted.accept([30 * MEGAPIXEL], deadline_s=2.9, looks=30, turns=30)
    ticket = accepted.accept([30 * MEGAPIXEL], deadline_s=12, looks=30, turns=30)
    assert accepted.photos == 1
    assert accepted.wait_s() == pytest.approx(0.1)
    assert accepted.wait_s(10) == pytest.approx(1)
    # Of half the time 3 s are for what is seen in any case.
    assert accepted.looks_in_time(ticket, 120, pages=30) == 0
    assert accepted.looks_in_time(ticket, 120, pages=2) > 0
    accepted.accept([MEGAPIXEL], looks=10)
    before = accepted.wait_s()
    ticket.since -= 20  # page by page: nothing that is of waits
    ticket.done(30 * MEGAPIXEL, 30, 30, telling=True)
    assert accepted.wait_s() == pytest.approx(before - 0.1)


def test_a_reference_is_reckoned_with_until_it_is_looked_at() -> None:
    accepted = backlog()
    ticket = accepted.accept([MEGAPIXEL], looks=2, beside=9 * MEGAPIXEL)
    assert accepted.photos == 1
    assert accepted.wait_s() == pytest.approx(0.5)  # ten megapixels; two looks are 0.2 s
    ticket.prepared(9 * MEGAPIXEL)
    assert accepted.wait_s() == pytest.approx(0.1)
    ticket.close()
    with pytest.raises(WouldBeLate):
        accepted.accept([MEGAPIXEL], deadline_s=0.4, looks=2, beside=9 * MEGAPIXEL)


def test_an_album_is_reckoned_with_twice_until_all_of_it_is_seen() -> None:
    accepted = backlog()
    ticket = accepted.accept([MEGAPIXEL] * 4, looks=8, beside=4 * MEGAPIXEL)
    assert accepted.wait_s(4) == pytest.approx(0.8)
    ticket.prepared(4 * MEGAPIXEL, 4)
    assert accepted.wait_s(4) == pytest.approx(0.4)


def test_a_large_request_counts_by_its_turns() -> None:
    accepted = backlog()
    accepted.accept([MEGAPIXEL] * 64)
    assert accepted.wait_s(1) == pytest.approx(0.1)
    assert accepted.wait_s(20) == pytest.approx(2)
    assert accepted.wait_s(100) == pytest.approx(6.4)


def test_done_photos_hold_up_nobody() -> None:
    accepted = backlog()
    ticket = accepted.accept([MEGAPIXEL, 3 * MEGAPIXEL])
    ticket.done(3 * MEGAPIXEL)
    assert accepted.wait_s(10) == pytest.approx(0.1)
    ticket.done(MEGAPIXEL)
    assert accepted.wait_s(10) == 0
    assert accepted.photos == 0  # whoever is slow to take them


def test_a_request_whose_client_takes_nothing_is_in_nobodys_way() -> None:
    accepted = backlog(max_photos=64)
    ticket = accepted.accept([MEGAPIXEL] * 64)
    ticket.resting = True
    assert accepted.photos == accepted.wait_s(10) == 0
    accepted.accept([MEGAPIXEL] * 64).close()
    ticket.resting = False
    with pytest.raises(Busy):
        accepted.check()


def test_who_would_wait_too_long_is_refused_at_once_and_told_when_to_come() -> None:
    accepted = backlog(max_wait_s=10)
    tickets = [accepted.accept([MEGAPIXEL]) for _ in range(101)]
    for refused in (accepted.check, lambda: accepted.accept([MEGAPIXEL])):
        with pytest.raises(Busy, match="would wait 10 s"):
            refused()
    assert accepted.retry_after_s == 11
    for ticket in tickets[:2]:
        ticket.close()
    accepted.accept([MEGAPIXEL])


def test_a_deadline_that_cannot_be_met_is_refused_at_once() -> None:
    accepted = backlog()
    for _ in range(30):
        accepted.accept([MEGAPIXEL])
    with pytest.raises(WouldBeLate, match=r"about 3\.1 s now, more than the 3 s"):
        accepted.accept([MEGAPIXEL], deadline_s=3)
    accepted.accept([MEGAPIXEL], deadline_s=4)
    with pytest.raises(WouldBeLate):  # its own work counts too
        backlog().accept([MEGAPIXEL] * 20, deadline_s=1)


def test_estimates_follow_what_waits_really_were() -> None:
    accepted = backlog()
    for _ in range(30):
        accepted.accept([MEGAPIXEL])
    for _ in range(100):
        accepted.learn(foreseen_s=3, took_s=6)
    assert accepted.wait_s() == pytest.approx(6, rel=0.01)
    for _ in range(100):
        accepted.learn(foreseen_s=0.01, took_s=6)  # nothing to be learned from
    assert accepted.wait_s() == pytest.approx(6, rel=0.01)


def test_photos_that_fail_at_once_say_nothing_of_waits() -> None:
    accepted = backlog()
    for _ in range(30):
        accepted.accept([MEGAPIXEL])
    before = accepted.wait_s()
    for _ in range(100):
        ticket = accepted.accept([MEGAPIXEL])
        ticket.done(MEGAPIXEL)
        ticket.close()
    assert accepted.wait_s() == before
    ticket = accepted.accept([MEGAPIXEL])
    ticket.done(MEGAPIXEL, telling=True)  # far sooner than foreseen
    ticket.close()
    assert accepted.wait_s() < before


def test_nothing_known_yet_lets_requests_in() -> None:
    fresh = Backlog(Estimate(threads=1), max_photos=64, max_wait_s=1)
    fresh.accept([MEGAPIXEL] * 64, deadline_s=1)
    with pytest.raises(Busy):
        fresh.check()
