"""Many photos by the client: in order, as they come, in requests that the service takes."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from chromaserve import AsyncClient, BadOptions, BadPhoto, Client, Result, Retries
from tests.client.faulty import Fault, Proxy
from tests.conftest import Server
from tests.sample_photos import decoded, encoded, small

QUICK = Retries(attempts=3, budget_s=30, base_s=0.01, cap_s=0.02)
LIMIT = 8  # photos in one request, of the tests' server


@pytest.fixture
def client(proxy: Proxy) -> Iterator[Client]:
    with Client(proxy.url, retries=QUICK) as opened:
        yield opened


def photo(width: int) -> bytes:
    return encoded(small("L", (width, 40)), "PNG")


def folder_of(path: Path, widths: range) -> list[Path]:
    files = []
    for width in widths:
        files.append(path / f"{width}.png")
        files[-1].write_bytes(photo(width))
    return files


def widths(results: list[Result]) -> list[int]:
    return [result.size[0] for result in results]


def test_photos_come_in_order_and_each_failure_in_its_place(
    client: Client, proxy: Proxy, http: httpx.Client, tmp_path: Path
) -> None:
    (tmp_path / "again").mkdir()
    first, second = range(50, 60), range(58, 66)
    photos: list[Path | bytes] = [*folder_of(tmp_path, first)]
    photos[3:3] = [b"not a photo", tmp_path / "missing.png"]
    photos += folder_of(tmp_path / "again", second)
    done = list(client.colorize_many(photos, vividness=0.2, per_request=12))
    assert [each.position for each in done] == list(range(len(photos)))
    assert isinstance(done[3].outcome, BadPhoto)
    assert done[3].outcome.slug == "unsupported-format"
    assert isinstance(done[4].outcome, FileNotFoundError)
    assert done[4].name == "missing.png"
    results = [each.outcome for each in done if isinstance(each.outcome, Result)]
    assert widths(results) == [*first, *second]
    names = [result.name for result in results]
    assert names[8:12] == ["58.png", "59.png", "58-2.png", "59-2.png"]
    assert len(set(names)) == len(names)
    alone = http.post("/colorize", files={"file": photo(50)}, params={"vividness": "0.2"}).content
    assert abs(decoded(results[0].data).astype(int) - decoded(alone)).max() <= 1
    # The first request was too long; by its answer the client knows better.
    assert max(seen.photos for seen in proxy.seen[2:]) <= LIMIT


def test_a_photo_is_there_while_others_are_still_to_come(client: Client, proxy: Proxy) -> None:
    taken = itertools.count()
    one = photo(60)
    endless = (one for _ in taken)
    big = encoded(small("L", (180, 140)), "PNG")
    size = len(client.colorize(big).data)
    proxy.faults.append(Fault(hold_after=size + 1000))
    stream = client.colorize_many(itertools.chain([big], endless), per_request=4, requests=2)
    first = next(stream)  # the rest of its answer is held back
    assert isinstance(first.outcome, Result)
    assert first.outcome.size == (180, 140)
    assert next(taken) <= 3 * 4
    proxy.release.set()
    rest = [each.outcome for each in itertools.islice(stream, 9)]
    assert all(isinstance(outcome, Result) for outcome in rest)
    stream.close()  # type: ignore[attr-defined]


def test_what_came_before_a_connection_broke_is_not_sent_again(
    client: Client, proxy: Proxy, server: Server, tmp_path: Path
) -> None:
    photos = folder_of(tmp_path, range(100, 106))
    with Client(server.url) as direct:
        wanted = list(direct.colorize_many(photos))
    sizes = [len(each.outcome.data) for each in wanted if isinstance(each.outcome, Result)]
    proxy.faults.extend([Fault(cut_after=sum(sizes[:3])), Fault(503)])
    done = list(client.colorize_many(photos))
    assert [each.position for each in done] == list(range(6))
    assert [isinstance(each.outcome, Result) for each in done] == [True] * 6
    assert [seen.photos for seen in proxy.seen] == [6, 4, 4]


def test_an_error_of_the_whole_ends_it_and_one_of_all_photos_does_not(
    client: Client, proxy: Proxy
) -> None:
    with pytest.raises(BadOptions):
        list(client.colorize_many([photo(50)] * 3, vividness=2))
    outcomes = [each.outcome for each in client.colorize_many([b"1", b"2", b"3"])]
    assert [type(outcome) for outcome in outcomes] == [BadPhoto] * 3
    [alone] = client.colorize_many([b"1"])
    assert isinstance(alone.outcome, BadPhoto)
    proxy.faults.append(Fault(413, body=b"<h1>Too large for this proxy</h1>"))
    [large] = client.colorize_many([photo(50)])
    assert isinstance(large.outcome, BadPhoto)
    assert list(client.colorize_many([])) == []
    with pytest.raises(ValueError, match="per_request"):
        next(client.colorize_many([b"1"], per_request=0))
    with pytest.raises(ValueError, match="one result a photo"):
        next(client.colorize_many([b"1"], pages="all"))


def test_bodies_beyond_the_byte_limit_are_split(client: Client, proxy: Proxy) -> None:
    heavy = encoded(small("RGB", (900, 900)), "BMP")  # 2.4 MB; a request may have 8 MiB
    outcomes = [each.outcome for each in client.colorize_many([heavy] * 4, format="webp")]
    assert [isinstance(outcome, Result) for outcome in outcomes] == [True] * 4
    assert len(proxy.seen) > 2


def test_asynchronously_too_and_leaving_early_ends_the_requests(server: Server) -> None:
    async def some() -> list[int]:
        async with AsyncClient(server.url) as client:
            stream = client.colorize_many((photo(w) for w in itertools.count(50)), per_request=3)
            found = []
            async for each in stream:
                assert isinstance(each.outcome, Result)
                found.append(each.outcome.size[0])
                if len(found) == 7:
                    break
            await stream.aclose()  # type: ignore[attr-defined]
            others = asyncio.all_tasks() - {asyncio.current_task()}
            if others:  # about to end; one that nobody reads from never would
                _, pending = await asyncio.wait(others, timeout=10)
                assert not pending
            return found

    assert asyncio.run(some()) == list(range(50, 57))
