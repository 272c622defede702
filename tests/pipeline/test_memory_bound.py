"""The bound on what is in memory at once."""

import asyncio

import pytest

from chromaserve.errors import Busy, TooManyPixels
from chromaserve.pipeline.memory import Budget, Share


def budget(total: int, *, max_waiting: int = 10, timeout_s: float = 60) -> Budget:
    return Budget(total, max_waiting=max_waiting, timeout_s=timeout_s)


async def in_line(bytes_: Budget, *amounts: int) -> list["asyncio.Task[Share]"]:
    tasks = [asyncio.create_task(bytes_.take(amount)) for amount in amounts]
    await asyncio.sleep(0)
    return tasks


def test_never_more_than_the_total_and_first_come_first_served() -> None:
    async def scenario() -> None:
        bytes_ = budget(100)
        with await bytes_.take(60):
            large, small = await in_line(bytes_, 50, 30)
            assert not large.done()
            assert not small.done()  # it would fit, but the large one was first
        with await large, await small:
            assert bytes_.used == 80
        assert bytes_.used == 0
        assert bytes_.peak <= 100

    asyncio.run(scenario())


def test_what_a_photo_no_longer_needs_lets_the_next_go_on() -> None:
    async def scenario() -> None:
        bytes_ = budget(100)
        with await bytes_.take(100) as share:
            (waiting,) = await in_line(bytes_, 90)
            share.shrink(10)
            with await waiting:
                assert bytes_.used == 100

    asyncio.run(scenario())


def test_those_that_give_up_leave_the_line() -> None:
    async def scenario() -> None:
        bytes_ = budget(100)
        with await bytes_.take(60):
            large, small = await in_line(bytes_, 90, 40)
            large.cancel()
            with await small:
                assert bytes_.used == 100
        granted, last = await in_line(bytes_, 100, 100)
        granted.result()
        with granted.result():
            last.cancel()
            await asyncio.wait({last})
        assert bytes_.used == 0

    asyncio.run(scenario())


def test_a_share_granted_to_one_that_leaves_in_the_same_moment_is_not_lost() -> None:
    async def scenario() -> None:
        bytes_ = budget(100)
        share = await bytes_.take(100)
        (leaving,) = await in_line(bytes_, 100)
        share.shrink(0)
        leaving.cancel()
        await asyncio.wait({leaving})
        assert bytes_.used == 0

    asyncio.run(scenario())


def test_waiting_is_bounded_in_number_and_time() -> None:
    async def scenario() -> None:
        bytes_ = budget(100, max_waiting=1, timeout_s=0.01)
        with await bytes_.take(100):
            waiting = asyncio.create_task(bytes_.take(1))
            await asyncio.sleep(0)
            with pytest.raises(Busy):
                await bytes_.take(1)
            with pytest.raises(Busy):
                await waiting
        assert bytes_.used == 0

    asyncio.run(scenario())


def test_what_can_never_fit_is_told_so() -> None:
    with pytest.raises(TooManyPixels):
        asyncio.run(budget(100).take(101))


def test_who_holds_bytes_takes_more_at_once_or_not_at_all() -> None:
    async def scenario() -> None:
        memory = budget(100)
        with memory.take_at_once(40), memory.take_at_once(60):
            with pytest.raises(Busy):
                memory.take_at_once(1)
            waiting = asyncio.create_task(memory.take(100))
            await asyncio.sleep(0)
        with await waiting:
            assert memory.used == 100
        assert memory.used == 0
        first = await memory.take(50)
        waiting = asyncio.create_task(memory.take(60))
        await asyncio.sleep(0)
        with pytest.raises(Busy):  # there would be room, and another was first
            memory.take_at_once(10)
        first.shrink(0)
        (await waiting).shrink(0)
        with pytest.raises(TooManyPixels):
            memory.take_at_once(101)

    asyncio.run(scenario())


def test_who_keeps_bytes_goes_before_those_who_may_wait_for_them() -> None:
    async def scenario() -> None:
        memory = budget(100)
        book, other = await memory.take(30), await memory.take(40)
        (photo,) = await in_line(memory, 90)  # waits for both
        page = asyncio.create_task(memory.take_more(50, book.amount))
        await asyncio.sleep(0)
        with pytest.raises(Busy):  # the others never give back as much
            await memory.take_more(45, other.amount)
        assert not page.done()
        other.shrink(0)
        (await page).shrink(0)
        with pytest.raises(TooManyPixels):
            await memory.take_more(71, book.amount)
        assert not photo.done()
        book.shrink(0)
        (await photo).shrink(0)
        assert memory.used == 0

    asyncio.run(scenario())


def test_who_needs_more_for_a_job_lets_those_by_that_somebody_waits_for() -> None:
    async def scenario() -> None:
        bytes_ = budget(100)
        with await bytes_.take(30, background=True) as book, await bytes_.take(30) as slow:
            page = asyncio.create_task(bytes_.take_more(50, book.amount, background=True))
            await asyncio.sleep(0)
            another = asyncio.create_task(bytes_.take(5, background=True))
            with await asyncio.wait_for(bytes_.take(10), 5):
                assert not page.done()
                assert not another.done()  # of a job, too, and behind the one that holds some
            slow.shrink(0)
            with await page, await another:
                assert bytes_.used == 85

    asyncio.run(scenario())
