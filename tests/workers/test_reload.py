"""A reload reaches all workers."""

import asyncio
import multiprocessing
import shutil
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import pytest

from app.service import Service
from app.settings import Settings
from app.supervisor import _Running, _Supervisor
from app.worker import Said, Worker
from chromaserve.store.versions import ModelStore
from tests.workers.asking import by_both, post, processes, started, wait_for_all


@pytest.mark.slow
def test_a_reload_reaches_all_and_who_comes_later_serves_what_is_served(
    tmp_path: Path, small_network: dict[str, object], small_root: Path
) -> None:
    root = tmp_path / "store"
    shutil.copytree(small_root, root)
    store = ModelStore(root)

    def publish() -> int:
        latest = store.resolve("latest")
        return store.publish(latest.path, latest.description).version

    with started(tmp_path, small_network, model_root=root, max_loaded_models=1) as server:

        def served() -> set[int]:
            answers = by_both(server)
            assert {answer.status_code for answer in answers} == {200}
            return {int(answer.headers["x-model-version"]) for answer in answers}

        old = store.versions()[-1]
        new = publish()
        assert served() == {old}
        answer = httpx.post(server.url + "/models/reload", timeout=120)
        assert answer.json() == {"version": new, "changed": True}
        assert served() == {new}
        many = post(server, 12, "/models/reload")  # each is answered, however many come at once
        assert {(answer.status_code, answer.json()["version"]) for answer in many} == {(200, new)}
        publish()
        processes(server)[0].kill()
        wait_for_all(server, times=2)
        assert served() == {new}, "nobody asked for a reload"

        aside = root.rename(tmp_path / "aside")
        processes(server)[0].kill()
        tries = 0
        while "ended with status 5; another takes its place" not in server.log.read_text():
            assert (tries := tries + 1) < 1000, "the one without a store does not end"
            assert [answer.status_code for answer in post(server, 4)] == [200] * 4
        aside.rename(root)
        wait_for_all(server, times=3)
        assert served() == {new}


def test_a_worker_is_heard_of_while_it_reloads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long that takes: who is silent is killed."""
    monkeypatch.setattr("app.worker.BEAT_S", 0.1)
    supervisor, line = multiprocessing.Pipe()
    worker = Worker(2, tmp_path, 2, line, None, waits=True)
    service, loaded = Service(Settings()), threading.Event()
    monkeypatch.setattr(service.pipeline.models, "reload", lambda **_: loaded.wait(60))

    async def said() -> Said:
        assert await asyncio.to_thread(supervisor.poll, 10), "it is silent"
        told: Said = supervisor.recv()
        return told

    async def scenario() -> None:
        supervisor.send("reload")
        serving = asyncio.create_task(service.serve_beside_others(worker))
        try:
            for _ in range(3):
                assert await said() == ("serves", None)
        finally:
            loaded.set()
        while await said() != "reloaded":
            pass
        serving.cancel()
        await asyncio.wait({serving})

    asyncio.run(scenario())


def test_a_worker_that_dies_holds_up_no_reload(tmp_path: Path) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        supervisor = _Supervisor(Settings(), [], tmp_path)
        lines: list[Connection] = []
        for number in (1, 2):
            ours, theirs = multiprocessing.Pipe()
            process = multiprocessing.get_context("spawn").Process()
            one = supervisor._running[number] = _Running(number, process, ours)
            loop.add_reader(ours.fileno(), supervisor._hear, one)
            lines.append(theirs)
        asking = Worker(1, tmp_path, 2, lines[0], None, waits=False)
        loop.add_reader(lines[0].fileno(), asking.hear)
        reloads = [asyncio.create_task(asking.reload_others()) for _ in range(2)]
        for _ in reloads:
            assert await asyncio.to_thread(lines[1].poll, 10)
            assert lines[1].recv() == "reload"
        supervisor._gone(supervisor._running[2])
        async with asyncio.timeout(10):
            await asyncio.gather(*reloads)

    asyncio.run(scenario())
