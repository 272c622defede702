"""Threads for one kind of work, requests in turn."""

import asyncio
import threading

import pytest

from chromaserve.photos.free_cores import FreeCores
from chromaserve.pipeline.stages import Stage


async def busy(stage: Stage) -> tuple[threading.Event, "asyncio.Task[bool]"]:
    """The stage's one thread held by a first job until the event is set."""
    begun, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hold() -> bool:
        loop.call_soon_threadsafe(begun.set)
        return go.wait(60)

    first = asyncio.create_task(stage.run("holder", hold))
    await begun.wait()
    return go, first


def test_flows_take_turns() -> None:
    async def scenario() -> None:
        stage, done = Stage("test", 1), list[str]()
        go, first = await busy(stage)
        jobs = [
            asyncio.create_task(stage.run(name[0], done.append, name))
            for name in ("a1", "a2", "a3", "b1", "c1", "c2")
        ]
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(first, *jobs)
        assert done == ["a1", "b1", "c1", "a2", "c2", "a3"]
        stage.close()

    asyncio.run(scenario())


def test_work_of_those_that_leave_is_never_begun() -> None:
    async def scenario() -> None:
        stage, done = Stage("test", 1), list[int]()
        go, first = await busy(stage)
        jobs = [asyncio.create_task(stage.run("flow", done.append, n)) for n in range(3)]
        await asyncio.sleep(0)
        jobs[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await jobs[1]
        go.set()
        await asyncio.gather(first, jobs[0], jobs[2])
        assert done == [0, 2]
        stage.close()

    asyncio.run(scenario())


def test_who_leaves_in_the_middle_waits_for_the_thread() -> None:
    async def scenario() -> None:
        stage = Stage("test", 1)
        go, first = await busy(stage)
        first.cancel()
        await asyncio.sleep(0)
        assert not first.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await first
        stage.close()

    asyncio.run(scenario())


def test_errors_reach_the_caller_and_the_thread_goes_on() -> None:
    async def scenario() -> None:
        stage = Stage("test", 1)
        with pytest.raises(ValueError, match="invalid literal"):
            await stage.run("flow", int, "x")
        assert await stage.run("flow", int, "7") == 7
        stage.close()

    asyncio.run(scenario())


def test_a_photo_has_help_where_it_is_alone() -> None:
    async def scenario() -> None:
        cores = FreeCores(2)
        stage = Stage("test", 2, cores)
        met = threading.Barrier(2, timeout=60)

        def threads(together: bool) -> int:
            seen: set[threading.Thread] = set()

            def work(_: int) -> threading.Thread:
                if together:
                    met.wait()
                return threading.current_thread()

            cores.each(range(2), work, seen.add, pixels=10**8)
            return len(seen)

        assert await stage.run("alone", threads, True) == 2
        go, other = await busy(stage)
        assert await stage.run("beside another", threads, False) == 1
        go.set()
        await other
        stage.close()
        cores.close()

    asyncio.run(scenario())
