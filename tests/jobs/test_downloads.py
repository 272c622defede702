"""A job's results as one ZIP, from a disk that hangs while they are read."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import pytest

from app.jobs.jobs import Jobs
from app.jobs.results import zipped
from app.manifest import Manifest, PhotoResult


class Disk:
    """The threads of `Jobs` that work with files."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2)
        self.reads = asyncio.Event()

    async def on_disk(self, work: Callable[..., Any], *given: object) -> Any:  # noqa: ANN401
        called = self._threads.submit(work, *given)
        if work.__name__ == "read":
            self.reads.set()
        return await asyncio.wrap_future(called)

    def let_go(self, file: IO[bytes]) -> None:
        self._threads.submit(file.close)


def manifest() -> Manifest:
    return Manifest(model_version=1, vividness=0.0, postprocess="none", media_type=None, photos=[])


def photo(index: int) -> dict[str, object]:
    told = PhotoResult(index=index, output=f"{index}.png", status=200)
    text = told.model_dump_json(exclude_none=True)
    return {"state": "done", "target": None, "told": text, "crc": 0, "bytes": 9, "n": index}


def test_under_another_server_lost_results_fail(tmp_path: Path) -> None:
    """Ray cuts an answer, so that a ZIP is seen not to be whole, where the application fails."""
    kept, lost = tmp_path / "kept", tmp_path / "lost"
    kept.write_bytes(b"nine byte")

    async def take() -> None:
        jobs = cast(Jobs, Disk())
        async for _ in await zipped(jobs, {}, manifest(), [(photo(0), kept), (photo(1), lost)]):
            pass

    with pytest.raises(FileNotFoundError):
        asyncio.run(take())


def test_a_client_that_leaves_while_a_disk_hangs_holds_up_nobody(tmp_path: Path) -> None:
    stored = tmp_path / "result"
    os.mkfifo(stored)
    goes_on = threading.Event()

    def hang() -> None:
        with stored.open("wb") as end:
            end.write(b"some")
            end.flush()
            goes_on.wait(10)

    disk = threading.Thread(target=hang)
    disk.start()

    async def scenario() -> float:
        threads = Disk()

        async def take() -> None:
            async for _ in await zipped(cast(Jobs, threads), {}, manifest(), [(photo(0), stored)]):
                pass

        taken = asyncio.create_task(take())
        await threads.reads.wait()
        began = time.monotonic()
        taken.cancel()
        with suppress(asyncio.CancelledError):
            await taken
        return time.monotonic() - began

    try:
        assert asyncio.run(scenario()) < 5
    finally:
        goes_on.set()
        disk.join()
