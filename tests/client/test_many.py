"""Many photos by the client: in order, as they come, in requests that the service takes."""

import asyncio
import io
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tifffile

from chromaserve import AsyncClient, BadOptions, BadPhoto, Client, Colorized, Result, Retries
from tests.client.faulty import Fault, Proxy
from tests.conftest import Server
from tests.sample_photos import decoded, encoded, small

QUICK = Retries(attempts=3, budget_s=30, base_s=0.01, cap_s=0.02)
LIMIT = 8  # photos in one request, of the tests' server


NAMES = [
    ["a.png", "scans\\photo.png", "c.png"],
    ["x\\1-a.png", "x\\0-b.png"],
    ["scans\\1-b.png", "1-c.png", "d.png"],
]


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


@pytest.mark.skipif(os.sep == "\\", reason="names cannot have it here")
@pytest.mark.parametrize("names", NAMES, ids=["plain", "the numbers of others", "one's number"])
def test_names_from_windows_do_not_mix_up_photos(
    client: Client, tmp_path: Path, names: list[str]
) -> None:
    photos = [tmp_path / name for name in names]
    for width, file in enumerate(photos, 50):
        file.write_bytes(photo(width))
    done = list(client.colorize_many(photos))
    assert [each.name for each in done] == names
    outcomes = [each.outcome for each in done]
    assert widths([each for each in outcomes if isinstance(each, Result)]) == [
        50 + i for i in range(len(names))
    ]


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


def book(widths: Sequence[int]) -> bytes:
    """A TIFF of so wide pages; where one is 0 of a page whose samples are not taken."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as made:
        for width in widths:
            kind = np.uint8 if width else np.int16
            made.write(np.full((40, width or 50), 99, kind), photometric="minisblack")
    return file.getvalue()


def told(done: list[Colorized]) -> list[tuple[int, int | str, str]]:
    """Place, width or kind of problem, and page of each."""
    found: list[tuple[int, int | str, str]] = []
    for position, _, one in done:
        if isinstance(one, Result):
            found.append((position, one.size[0], str(one.told.get("page", ""))))
        else:
            found.append((position, str(getattr(one, "slug", "unreadable")), ""))
    return found


def test_all_pages_come_at_the_place_of_their_photo(
    client: Client, proxy: Proxy, tmp_path: Path
) -> None:
    names = ("a.tif", "x-page-3.png", "b.tif", "missing.png", "c.tif", "x-page-1.gif")
    moving = [small("L", (80 + i, 40)) for i in range(3)]
    data: tuple[bytes | None, ...] = (
        *(book([50, 51, 52]), photo(60), book([61, 0, 62]), None, book([0])),
        encoded(moving[0], "GIF", save_all=True, append_images=moving[1:]),
    )
    for name, content in zip(names, data, strict=True):
        if content:
            (tmp_path / name).write_bytes(content)
    done = list(client.colorize_many([tmp_path / name for name in names], pages="all"))
    assert told(done) == [
        *((0, 50, "1 of 3"), (0, 51, "2 of 3"), (0, 52, "3 of 3")),
        (1, 60, ""),
        *((2, 61, "1 of 3"), (2, "unsupported-samples", ""), (2, 62, "3 of 3")),
        (3, "unreadable", ""),
        (4, "unsupported-samples", ""),
        (5, 80, "1 of 3"),
    ]
    assert [one.outcome.name for one in done[:4] if isinstance(one.outcome, Result)] == [
        *(f"a-page-{n}.png" for n in (1, 2, 3)),
        "x-page-3.png",
    ]
    assert max(seen.photos for seen in proxy.seen) == 5

    also_called: dict[str, Any] = {"format": "tif"}
    [short] = client.colorize_many([tmp_path / "a.tif"], pages="all", **also_called)
    [whole] = client.colorize_many([tmp_path / "a.tif"], pages="all", format="tiff")
    assert isinstance(short.outcome, Result)
    assert isinstance(whole.outcome, Result)
    assert short.outcome.data == whole.outcome.data
    assert told([whole]) == [(0, 50, "1-3 of 3")]
    outcomes = told(list(client.colorize_many([book([50] * 5)] * 3, pages="all")))
    assert [place for place, _, _ in outcomes] == [0] * 5 + [1] * 5 + [2] * 5, "split in two"
    [many] = client.colorize_many([book([50] * (LIMIT + 1))], pages="all")
    assert told([many]) == [(0, "too-many-photos", "")]
    assert client.colorize_many([photo(50)] * 9, per_request=9).__next__().position == 0


def test_pages_that_came_before_a_connection_broke_are_there_once(
    client: Client, proxy: Proxy
) -> None:
    scans = [book([100, 101, 102]), photo(90)]
    first = len(client.colorize(photo(100)).data)
    proxy.faults.extend([Fault(cut_after=2 * first), Fault(503)])
    done = list(client.colorize_many(scans, pages="all"))
    assert [(place, wide) for place, wide, _ in told(done)] == [
        *((0, 100), (0, 101), (0, 102), (1, 90))
    ]


def test_what_is_told_of_each_of_many_comes_with_it(client: Client) -> None:
    torn = encoded(small("L", (200, 200)), "JPEG")
    photos = [encoded(small("RGB", (200, 160)), "PNG"), torn[: len(torn) // 2], book([50, 60])]
    colour, damaged, pages = (
        one.outcome.told
        for one in client.colorize_many(photos, damaged="accept", colour="keep")
        if isinstance(one.outcome, Result)
    )
    assert (colour["colour"], colour["kept"]) == ("colour", True)
    assert "pixels are missing" in damaged["warnings"][0]
    assert pages["page"] == "1 of 2"
    assert "pages=all" in pages["warnings"][0]
    found = [
        one.outcome.told["confidence"]
        for one in client.colorize_many(photos[:1] * 2, confidence="figure")
        if isinstance(one.outcome, Result)
    ]
    assert len(found) == 2
    assert all(0 <= figure <= 1 for figure in found)


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


def test_photos_before_a_listing_that_breaks_are_done_first(server: Server, client: Client) -> None:
    def listed() -> Iterator[bytes]:
        yield from (photo(width) for width in range(50, 54))
        raise KeyError("the listing broke")

    def asked() -> None:
        for each in client.colorize_many(listed(), per_request=3):
            found.extend(widths([each.outcome]))  # type: ignore[list-item]

    async def asked_there() -> None:
        async with AsyncClient(server.url) as other:
            async for each in other.colorize_many(listed(), per_request=3):
                found.extend(widths([each.outcome]))  # type: ignore[list-item]

    for ask in (asked, lambda: asyncio.run(asked_there())):
        found: list[int] = []
        with pytest.raises(KeyError, match="listing"):
            ask()
        assert found == list(range(50, 54))


def test_one_photo_is_not_taken_for_many(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "1"
    path.write_bytes(photo(30))
    with path.open("rb") as opened:
        given: list[Any] = [str(path), path, photo(30), bytearray(photo(30)), opened]
        for one in given:
            with pytest.raises(TypeError, match="a list of photos"):
                next(client.colorize_many(one))
            with pytest.raises(TypeError, match="a list of photos"):
                client.submit(one)
