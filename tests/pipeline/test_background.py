"""Photos in the background: taken where nobody who waits has work, in queue, batches and memory."""

import asyncio
from dataclasses import dataclass

from chromaserve.pipeline.backlog import Backlog
from chromaserve.pipeline.estimate import Estimate
from chromaserve.pipeline.memory import Budget
from chromaserve.pipeline.queue import RoundRobin
from tests.pipeline.test_batching import held, photo


@dataclass(frozen=True)
class Flow:
    name: str
    background: bool


JOB, OTHER_JOB, GUEST = Flow("job", True), Flow("other", True), Flow("guest", False)


def test_a_flow_in_the_background_waits_for_all_others() -> None:
    queue: RoundRobin[str] = RoundRobin()
    for flow, item in ((JOB, "a"), (JOB, "b"), (OTHER_JOB, "c"), (GUEST, "x"), (GUEST, "y")):
        queue.push(flow, item)
    assert len(queue) == 5
    assert queue.first() == "x"
    assert queue.first(lambda item: item < "x") == "a"
    assert queue.take(4) == ["x", "y"]  # nobody who waits shares a batch with the background
    queue.push(GUEST, "z")
    assert queue.take(9) == ["z"]
    queue.discard(JOB, "a")
    assert queue.take(1) == ["b"]
    assert queue.take(9) == ["c"]
    assert len(queue) == 0


def test_the_model_takes_the_background_last() -> None:
    async def scenario() -> None:
        async with held(4) as (batcher, engine):
            tasks = []
            for flow, value in ((JOB, 10), (JOB, 20), (OTHER_JOB, 30), (GUEST, 40), (JOB, 50)):
                submit = batcher.submit(engine.alone, photo(value), value / 100, flow)
                tasks.append(asyncio.create_task(submit))
                while batcher.waiting < len(tasks):
                    await asyncio.sleep(0)
            engine.release()
            await asyncio.gather(*tasks)
            by_batch = [[round(100 * v) for v in batch] for batch in engine.batches[1:]]
            assert by_batch == [[40], [10, 30, 20, 50]]

    asyncio.run(scenario())


def test_memory_goes_to_the_background_last_and_for_as_long_as_it_takes() -> None:
    async def scenario() -> None:
        budget, order = Budget(10, max_waiting=1, timeout_s=0.001), []

        async def take(name: str, amount: int, *, background: bool) -> None:
            with await budget.take(amount, background=background):
                order.append(name)

        with await budget.take(10):
            jobs = [
                asyncio.create_task(take(name, 3, background=True)) for name in ("first", "second")
            ]
            await asyncio.sleep(0.01)  # longer than who is not in the background waits
            budget._timeout_s = 60
            guest = asyncio.create_task(take("guest", 10, background=False))
            await asyncio.sleep(0)
        await asyncio.gather(*jobs, guest)
        assert order == ["guest", "first", "second"]
        assert budget.used == 0

    asyncio.run(scenario())


def test_the_background_takes_nobodys_place() -> None:
    async def scenario() -> None:
        backlog = Backlog(Estimate(2), max_photos=1, max_wait_s=10)
        assert backlog.behind(10**6).background
        assert backlog.photos == 0
        assert not backlog.accept([100]).background

    asyncio.run(scenario())
