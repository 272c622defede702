"""Many clients at once."""

import asyncio
import io
import json
import re
import time
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from app.settings import Settings
from tests.conftest import Server, Start
from tests.sample_photos import NAMES, decoded, encoded, load

COLORIZE = "/colorize"


def photos(count: int) -> list[bytes]:
    """Different photos, all of them small."""
    sources = [Image.fromarray(load(name)).convert("L") for name in NAMES]
    return [encoded(sources[i % len(sources)].resize((200 + i, 150)), "JPEG") for i in range(count)]


async def all_at_once(
    server: Server, given: list[bytes], path: str = COLORIZE
) -> list[httpx.Response]:
    limits = httpx.Limits(max_connections=len(given))
    async with httpx.AsyncClient(base_url=server.url, timeout=300, limits=limits) as client:
        return await asyncio.gather(
            *(client.post(path, files={"file": ("p.jpg", each)}) for each in given)
        )


def batch_of(response: httpx.Response) -> int:
    found = re.search(r'inference;desc="batch=(\d+)"', response.headers["server-timing"])
    assert found
    return int(found[1])


def test_64_at_once_are_all_answered_in_batches_as_if_each_were_alone(
    start_small: Start, tmp_path: Path
) -> None:
    busy = tmp_path / "busy"
    command = ("-m", "tests.app.broken_engine", str(busy))
    server = start_small(command, max_batch=4, max_wait_s=120)
    server.wait_ready()
    given = photos(64)
    with server.client() as http:
        alone = [http.post(COLORIZE, files={"file": ("p.jpg", each)}) for each in given]
        limit = http.get("/models").json()["max_batch"]

        async def scenario() -> list[httpx.Response]:
            busy.write_text("wait")
            answers = asyncio.create_task(all_at_once(server, given))
            while (await asyncio.to_thread(http.get, "/models")).json()["load"]["accepted"] < 64:
                await asyncio.sleep(0.01)  # leave the core to the service
            busy.unlink()
            return await answers

        together = asyncio.run(scenario())
    assert [response.status_code for response in together] == [200] * 64
    batches = [batch_of(response) for response in together]
    assert 1 < max(batches) <= limit == 4
    for one, other in zip(alone, together, strict=True):
        # A photo's colours do not depend on its company, to a rounding.
        difference = decoded(one.content).astype(int) - decoded(other.content)
        assert np.abs(difference).max() <= 1


@pytest.mark.slow
def test_a_request_with_many_photos_does_not_hold_up_a_single_one(start_server: Start) -> None:
    server = start_server()
    server.wait_ready()
    many = [("file", (f"{i}.jpg", each)) for i, each in enumerate(photos(24))]

    async def scenario() -> tuple[httpx.Response, httpx.Response, int]:
        async with httpx.AsyncClient(base_url=server.url, timeout=300) as client:
            large = asyncio.create_task(client.post(COLORIZE, files=many))
            told = {"accepted": 0, "photos": 0}
            while told["accepted"] + told["photos"] < 24:
                await asyncio.sleep(0.01)  # leave the core to the service
                told = (await client.get("/models")).json()["load"]
            single = await client.post(COLORIZE, files={"file": photos(1)[0]})
            done = (await client.get("/models")).json()["load"]["photos"]
            return single, await large, done

    single, large, done = asyncio.run(scenario())
    assert single.status_code == large.status_code == 200
    # What was under way already, and its own batch; most of the 24 came after it.
    assert done <= 15
    with zipfile.ZipFile(io.BytesIO(large.content)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert [photo["status"] for photo in manifest["photos"]] == [200] * 24


@pytest.mark.slow
def test_health_answers_while_photos_are_worked_on(server: Server) -> None:
    async def scenario() -> None:
        work = asyncio.create_task(all_at_once(server, photos(24)))
        answers = 0
        # A second is what a probe of Kubernetes waits for by default.
        async with httpx.AsyncClient(base_url=server.url, timeout=1) as client:
            while not work.done():
                assert (await client.get("/healthz")).status_code == 200
                assert (await client.get("/readyz")).status_code == 200
                answers += 1
        assert {response.status_code for response in await work} == {200}
        assert answers > 1

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_client_that_leaves_harms_nobody(server: Server, http: httpx.Client) -> None:
    async def scenario() -> None:
        async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
            leaving = [
                asyncio.create_task(client.post(COLORIZE, files={"file": each}))
                for each in photos(12)
            ]
            staying = asyncio.create_task(all_at_once(server, photos(4)))
            await asyncio.wait(leaving, return_when=asyncio.FIRST_COMPLETED)
            for task in leaving:
                task.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)
            assert {response.status_code for response in await staying} == {200}

    asyncio.run(scenario())
    while (now := http.get("/models").json()["load"])["accepted"]:
        time.sleep(0.01)  # leave the core to the service
    assert (now["memory_mb"], now["uploads_mb"], now["waiting"]) == (0, 0, 0)


@pytest.fixture
def narrow(start_small: Start) -> Server:
    """A service with room for four photos, and for two of six megapixels."""
    server = start_small(max_queue=4, max_photos=4, max_memory_mb=448, max_upload_mb=8)
    server.wait_ready()
    return server


def high_water_mb(server: Server) -> float:
    """The most resident memory that the process ever had (Linux)."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


@pytest.mark.slow
def test_memory_stays_bounded_and_the_rest_is_told_to_come_back(narrow: Server) -> None:
    with narrow.client() as http:
        http.post(COLORIZE, files={"file": ("warm.jpg", photos(1)[0])}).raise_for_status()
        before = high_water_mb(narrow)
        # Different ones: equal photos would be colorized once. 20 of them would take 1 GB.
        ramp = Image.linear_gradient("L").resize((3000, 2000))
        six_megapixels = [encoded(ramp.point(lambda v, i=i: v - i), "JPEG") for i in range(20)]
        answers = asyncio.run(all_at_once(narrow, six_megapixels))
        statuses = {response.status_code for response in answers}
        assert statuses == {200, 503}
        for response in answers:
            if response.status_code == 503:
                assert int(response.headers["retry-after"]) > 0
                assert response.headers["content-type"] == "application/problem+json"
        now = http.get("/models").json()["load"]
        # One of them at least, at 8 bytes a pixel; how many meet is a matter of speed.
        assert 45 < now["memory_peak_mb"] <= now["memory_bound_mb"]
        assert now["memory_mb"] == now["uploads_mb"] == now["accepted"] == 0
        # Accounting is not wishing: the process grew by no more than the bound.
        assert high_water_mb(narrow) - before <= 448
        http.post(COLORIZE, files={"file": ("again.jpg", photos(1)[0])}).raise_for_status()


def test_a_photo_that_takes_too_long_is_given_up_with_all_it_held(start_small: Start) -> None:
    server = start_small(photo_timeout_s=0.05)
    server.wait_ready()
    with server.client() as http:
        large = encoded(Image.new("L", (4000, 3000), 90), "JPEG")
        late = http.post(COLORIZE, files={"file": large})
        assert late.status_code == 504
        assert late.json()["type"] == "/problems/photo-timeout"
        load = http.get("/models").json()["load"]
        assert (load["memory_mb"], load["uploads_mb"], load["accepted"]) == (0, 0, 0)


def test_the_default_bounds_fit_together() -> None:
    settings = Settings()
    assert 2 * settings.max_upload_bytes <= settings.upload_memory_bytes
    assert settings.max_photos <= settings.max_queue
