"""The micro-batcher, with an engine that a test can hold and break."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from chromaserve.engines import Distribution, Features
from chromaserve.errors import Busy, EngineFailed, NotReady
from chromaserve.pipeline.batching import Batcher
from chromaserve.pipeline.waiting import Float, Inference


class Held:
    """An engine that starts a batch only when it is let go, and fails on black photos."""

    name = "held"
    device = "test"
    has_distribution = False
    has_features = False

    def __init__(self, max_batch: int, streams: int = 1) -> None:
        self.alone = (self,)
        self.max_batch = max_batch
        self.streams = streams
        self.go = threading.Semaphore(0)
        self.begun: asyncio.Queue[int] = asyncio.Queue()
        self.loop = asyncio.get_running_loop()
        self.batches: list[list[float]] = []

    def infer(self, L: NDArray[np.float32], vividness: NDArray[np.float32]) -> Float:
        self.loop.call_soon_threadsafe(self.begun.put_nowait, len(L))
        assert self.go.acquire(timeout=60)
        self.batches.append(vividness.tolist())
        if (L == 0).all(axis=(1, 2, 3)).any():
            raise RuntimeError("out of memory")
        return cast(Float, np.concatenate([L, L * vividness[:, None, None, None]], axis=3))

    def distribution(self, L: Float) -> Distribution:
        raise NotImplementedError

    def features(self, L: Float) -> Features:
        raise NotImplementedError

    def infer_with_features(self, L: Float, vividness: Float) -> tuple[Float, Features]:
        raise NotImplementedError

    def release(self, count: int = 1000) -> None:
        self.go.release(count)


@asynccontextmanager
async def held(max_batch: int, max_waiting: int = 100) -> AsyncIterator[tuple[Batcher, Held]]:
    """A batcher whose engine is busy with a first photo, so that whatever comes next waits."""
    batcher, engine = Batcher(max_waiting), Held(max_batch)
    first = asyncio.create_task(batcher.submit(engine.alone, photo(1), 0, ""))
    assert await engine.begun.get() == 1
    try:
        yield batcher, engine
    finally:
        engine.release()
        await asyncio.wait({first})
        await asyncio.to_thread(batcher.close)


def photo(value: float) -> Float:
    return np.full((224, 224, 1), value, np.float32)


async def submitted(
    batcher: Batcher, engine: Held, *values: float, flow: str = ""
) -> list[asyncio.Task[object]]:
    """Tasks of photos that are in the queue; a photo of value v has vividness v / 100."""
    before = batcher.waiting
    tasks: list[asyncio.Task[object]] = [
        asyncio.create_task(batcher.submit(engine.alone, photo(v), v / 100, flow)) for v in values
    ]
    while batcher.waiting < before + len(values):
        await asyncio.sleep(0)
    return tasks


@pytest.mark.parametrize(
    ("limit", "expected"), [(1, [1, 1, 1, 1, 1, 1]), (4, [1, 4, 1]), (8, [1, 5])]
)
def test_photos_that_wait_together_go_together(limit: int, expected: list[int]) -> None:
    async def scenario() -> None:
        async with held(limit) as (batcher, engine):
            tasks = await submitted(batcher, engine, 10, 20, 30, 40, 50)
            engine.release()
            results = await asyncio.gather(*tasks)
            assert [len(batch) for batch in engine.batches] == expected
            assert batcher.statistics.largest_batch == max(expected)
            assert batcher.statistics.photos == 6
            for result, value in zip(results, (10, 20, 30, 40, 50), strict=True):
                # Each its own photo and its own vividness, whoever was in the batch.
                assert result.ab[0, 0].tolist() == pytest.approx([value, value * value / 100])  # type: ignore[attr-defined]

    asyncio.run(scenario())


def test_a_full_queue_turns_photos_away() -> None:
    async def scenario() -> None:
        async with held(8, max_waiting=2) as (batcher, engine):
            tasks = await submitted(batcher, engine, 10, 20)
            with pytest.raises(Busy, match="2 photos are waiting already"):
                await batcher.submit(engine.alone, photo(30), 0, "")
            engine.release()
            await asyncio.gather(*tasks)
            await batcher.submit(engine.alone, photo(30), 0, "")

    asyncio.run(scenario())


def test_further_looks_at_a_photo_take_nobodys_place() -> None:
    async def scenario() -> None:
        async with held(8, max_waiting=2) as (batcher, engine):
            tasks = await submitted(batcher, engine, 10)
            for value in range(20):
                look = batcher.submit(engine.alone, photo(value + 1), 0, "", further=True)
                tasks.append(asyncio.create_task(look))
            while batcher.waiting < 21:
                await asyncio.sleep(0)
            tasks += await submitted(batcher, engine, 20)
            with pytest.raises(Busy):
                await batcher.submit(engine.alone, photo(30), 0, "")
            engine.release()
            await asyncio.gather(*tasks)

    asyncio.run(scenario())


def test_a_photo_that_the_model_fails_on_fails_alone() -> None:
    async def scenario() -> None:
        async with held(2) as (batcher, engine):
            tasks = await submitted(batcher, engine, 0, 10, 20, 30)
            engine.release()
            bad, beside, good, last = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(bad, EngineFailed)
            assert not isinstance(beside, BaseException)
            assert "memory" not in str(bad)
            assert not isinstance(good, BaseException)
            assert not isinstance(last, BaseException)
            assert batcher.statistics.failed_batches == 2  # the pair, and the black one alone
            assert batcher.failures == 0

    asyncio.run(scenario())


def test_photos_of_clients_that_left_never_reach_the_model() -> None:
    async def scenario() -> None:
        async with held(8) as (batcher, engine):
            tasks = await submitted(batcher, engine, 10, 20, 30)
            tasks[1].cancel()
            await asyncio.wait({tasks[1]})
            assert batcher.waiting == 2
            engine.release()
            await asyncio.gather(tasks[0], tasks[2])
            assert engine.batches[1] == pytest.approx([0.1, 0.3])

    asyncio.run(scenario())


def test_two_models_do_not_share_a_batch() -> None:
    async def scenario() -> None:
        async with held(8) as (batcher, engine):
            other = Held(8)
            mixed = [
                *await submitted(batcher, engine, 10),
                *await submitted(batcher, other, 20, flow="other"),
                *await submitted(batcher, engine, 30),
            ]
            engine.release()
            other.release()
            await asyncio.gather(*mixed)
            assert engine.batches[1] == pytest.approx([0.1, 0.3])
            assert other.batches[0] == pytest.approx([0.2])

    asyncio.run(scenario())


def test_closing_finishes_what_waits_and_takes_no_more() -> None:
    async def scenario() -> None:
        async with held(2) as (batcher, engine):
            tasks = await submitted(batcher, engine, 10, 20, 30)
            closing = asyncio.create_task(asyncio.to_thread(batcher.close))
            engine.release()
            await closing
            await asyncio.gather(*tasks)
            with pytest.raises(NotReady):
                await batcher.submit(engine.alone, photo(40), 0, "")

    asyncio.run(scenario())


def test_a_large_request_does_not_hold_up_small_ones() -> None:
    async def scenario() -> None:
        async with held(4) as (batcher, engine):
            many = await submitted(batcher, engine, *range(1, 65), flow="many")
            singles = [
                *await submitted(batcher, engine, 91, flow="one"),
                *await submitted(batcher, engine, 92, flow="another"),
            ]
            engine.release()
            await asyncio.gather(*many, *singles)
            # The next batch has both singles, though 64 photos came before them.
            first = engine.batches[1]
            assert sorted(first) == pytest.approx([0.01, 0.02, 0.91, 0.92])
            # Nothing is lost or repeated, and a request's own photos keep their order.
            seen = [v for batch in engine.batches[1:] for v in batch]
            assert [v for v in seen if v < 0.9] == pytest.approx([n / 100 for n in range(1, 65)])
            assert max(map(len, engine.batches)) == 4

    asyncio.run(scenario())


def test_replicas_are_fed_from_one_queue() -> None:
    async def scenario() -> None:
        batcher = Batcher(100)
        replicas = Held(2), Held(2)
        tasks = []
        for value in range(len(replicas)):
            # The second photo finds the first device busy, and goes to the second.
            tasks.append(asyncio.create_task(batcher.submit(replicas, photo(value + 1), 0, "")))
            begun = [asyncio.create_task(each.begun.get()) for each in replicas]
            await asyncio.wait(begun, return_when=asyncio.FIRST_COMPLETED)
            for task in begun:
                task.cancel()
        later = [
            asyncio.create_task(batcher.submit(replicas, photo(value), value / 100, ""))
            for value in (10, 20, 30, 40)
        ]
        while batcher.waiting < 4:
            await asyncio.sleep(0)
        for each in replicas:
            each.release()
        results = await asyncio.gather(*tasks, *later)
        await asyncio.to_thread(batcher.close)
        assert [float(result.ab[0, 0, 0]) for result in results] == [1, 2, 10, 20, 30, 40]
        assert all(each.batches[0] == [0.0] for each in replicas)
        batches = [batch for each in replicas for batch in each.batches[1:]]
        assert sorted(batches) == [pytest.approx([0.1, 0.2]), pytest.approx([0.3, 0.4])]

    asyncio.run(scenario())


def test_photos_are_shared_out_among_the_calls_that_an_engine_takes_at_once() -> None:
    async def scenario() -> None:
        batcher, engine = Batcher(100), Held(8, streams=3)
        tasks: list[asyncio.Task[Inference]] = []
        for value in (1, 2, 3):
            # Each begins at once, alone, though the ones before it are not done.
            tasks.append(asyncio.create_task(batcher.submit(engine.alone, photo(value), 0, "")))
            assert await engine.begun.get() == 1
        tasks += [
            asyncio.create_task(batcher.submit(engine.alone, photo(value), value / 100, ""))
            for value in range(10, 22)
        ]
        while batcher.waiting < 12:
            await asyncio.sleep(0)
        engine.release(1)  # of three calls two are busy: the free one takes all that it may
        assert await engine.begun.get() == 8
        engine.release()
        results = await asyncio.gather(*tasks)
        await asyncio.to_thread(batcher.close)
        assert [float(result.ab[0, 0, 0]) for result in results] == [1, 2, 3, *range(10, 22)]
        assert [result.batch for result in results[:11]] == [1, 1, 1, *[8] * 8]
        assert max(result.calls for result in results) <= 3
        assert results[2].calls > 1

    asyncio.run(scenario())


def test_a_model_that_hangs_in_several_calls_takes_photos_again_when_all_are_back() -> None:
    async def scenario() -> None:
        batcher, engine = Batcher(100), Held(1, streams=2)
        stuck = []
        for value in (1, 2):
            stuck.append(asyncio.create_task(batcher.submit(engine.alone, photo(value), 0, "")))
            assert await engine.begun.get() == 1
        assert batcher.hanging(0) == [engine.alone, engine.alone]
        batcher.give_up(engine.alone)
        for task in stuck:
            with pytest.raises(EngineFailed):
                await task
        for still_hanging in (2, 1):
            with pytest.raises(NotReady):
                await batcher.submit(engine.alone, photo(3), 0, "")
            engine.release(1)
            while len(engine.batches) < 3 - still_hanging:
                await asyncio.sleep(0)
        engine.release()
        while True:
            try:
                after = await batcher.submit(engine.alone, photo(3), 0, "")
                break
            except NotReady:  # the second thread is on its way back
                await asyncio.sleep(0)
        assert after.ab[0, 0, 0] == 3
        await asyncio.to_thread(batcher.close)

    asyncio.run(scenario())


@pytest.mark.parametrize("limit", [1, 2, 3, 8])
def test_no_mix_of_requests_and_models_exceeds_the_limit(limit: int) -> None:
    async def scenario() -> None:
        random = np.random.default_rng(limit)
        batcher, models = Batcher(1000), [Held(limit), Held(limit)]
        tasks: list[asyncio.Task[Inference]] = []
        for request in range(40):
            model = models[random.integers(2)]
            for _ in range(random.integers(1, 3 * limit + 1)):
                value = len(tasks) + 1
                tasks.append(
                    asyncio.create_task(
                        batcher.submit(model.alone, photo(value), value / 1000, request)
                    )
                )
        while batcher.waiting < len(tasks) - limit:
            await asyncio.sleep(0)
        leaving = random.choice(len(tasks), len(tasks) // 4, replace=False)
        for i in leaving:
            tasks[i].cancel()
        await asyncio.sleep(0)
        for model in models:
            model.release()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(batcher.close)
        for i, result in enumerate(results):
            assert isinstance(result, asyncio.CancelledError) == (i in leaving)
            if not isinstance(result, BaseException):
                assert result.ab[0, 0, 0] == i + 1
                assert 1 <= result.batch <= limit
        sizes = [len(batch) for model in models for batch in model.batches]
        assert max(sizes) <= limit
        # Batches are full for as long as enough of one model's photos wait.
        assert sizes.count(limit) >= len(sizes) - 2 - 2 * limit

    asyncio.run(scenario())


class Broken(Held):
    """An engine that does on black photos what a test says, and answers others at once."""

    def __init__(self, max_batch: int, answer: Callable[[Float], Float]) -> None:
        super().__init__(max_batch)
        self.answer = answer

    def infer(self, L: NDArray[np.float32], vividness: NDArray[np.float32]) -> Float:
        self.batches.append(vividness.tolist())
        return self.answer(np.concatenate([L, L], axis=3))


def exits(_: Float) -> Float:
    raise SystemExit(3)


def test_an_engine_that_wants_to_end_the_thread_does_not() -> None:
    async def scenario() -> None:
        batcher, engine = Batcher(100), Broken(1, exits)
        for failures in (1, 2):
            with pytest.raises(EngineFailed):
                await batcher.submit(engine.alone, photo(1), 0, "")
            assert batcher.failures == failures
        engine.answer = lambda ab: ab
        await batcher.submit(engine.alone, photo(1), 0, "")
        assert batcher.failures == 0
        await asyncio.to_thread(batcher.close)

    asyncio.run(scenario())


def test_of_answers_those_that_are_no_numbers_fail_and_no_others() -> None:
    async def scenario() -> None:
        async with held(8) as (batcher, busy):
            engine = Broken(8, lambda ab: np.where(ab == 7, np.nan, ab))
            tasks = await submitted(batcher, cast(Held, engine), 5, 7, 9)
            busy.release()
            fine, bad, too = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(bad, EngineFailed)
            assert not isinstance(fine, BaseException)
            assert not isinstance(too, BaseException)
            assert len(engine.batches) == 1

    asyncio.run(scenario())


def test_an_engine_that_hangs_is_given_up_and_another_serves() -> None:
    async def scenario() -> None:
        async with held(8) as (batcher, stuck):
            waiting = await submitted(batcher, stuck, 10)
            while not batcher.hanging(0):
                await asyncio.sleep(0)
            assert batcher.hanging(3600) == []
            [engines] = batcher.hanging(0)
            assert engines is stuck.alone
            batcher.give_up(engines)
            with pytest.raises(NotReady):
                await waiting[0]
            with pytest.raises(NotReady):
                await batcher.submit(stuck.alone, photo(1), 0, "")
            fresh = Broken(8, lambda ab: ab)
            await batcher.submit(fresh.alone, photo(1), 0, "")
            while batcher.hanging(0):
                await asyncio.sleep(0)

    asyncio.run(scenario())
