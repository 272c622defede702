"""TIFFs of which all pages become one: what they hold, and how long they may take."""

import asyncio
import io
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from chromaserve.errors import Busy, TooManyPixels
from chromaserve.pipeline import steps
from chromaserve.pipeline.body import Body, Upload
from chromaserve.pipeline.foreseen import foreseen
from chromaserve.pipeline.options import Options
from chromaserve.pipeline.pipeline import Colored, Pipeline
from chromaserve.pipeline.timings import Timings
from chromaserve.settings import PipelineSettings
from tests.sample_photos import encoded, small
from tests.small_network import publish

pytestmark = pytest.mark.slow

Ask = Callable[..., Coroutine[None, None, Colored]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish(folder)
    return folder


@contextmanager
def pipeline(root: Path, **settings: Any) -> Iterator[tuple[Pipeline, Ask]]:  # noqa: ANN401
    """One with 48 MiB for photos; and what colorizes a book of so many pages in the background."""
    bounds = {"cache_mb": 0, "max_upload_mb": 8, "max_memory_mb": 64} | settings
    made = Pipeline(PipelineSettings(model_root=root, **bounds))
    made.models.load_default()

    async def ask(pages: int) -> Colored:
        order = Options(pages="all", format="tiff").order(made.models.get(None))
        upload = Upload("book.tif", book(pages))
        made.look_at([upload])
        body = Body([upload], [], await made.uploads.take(1))
        return await made.colorize(body, upload, order, made.backlog.behind(upload.pixels))

    try:
        yield made, ask
    finally:
        made.close()


def book(pages: int) -> bytes:
    """Pages that take 0.7 MiB each once they have colours, and 9 MiB or 36 while they get them."""
    file = io.BytesIO()
    random = np.random.default_rng(0)
    with tifffile.TiffWriter(file) as writer:
        for _ in range(pages):
            page = random.integers(0, 256, (450, 600), np.uint8)
            writer.write(page, photometric="minisblack", compression="deflate")
    return file.getvalue()


def test_a_book_is_done_with_what_its_pages_hold_or_refused(root: Path) -> None:
    async def scenario() -> None:
        with pipeline(root) as (made, ask):
            async with asyncio.timeout(30):
                done = await ask(20)
                with tifffile.TiffFile(io.BytesIO(done.data)) as file:
                    assert len(file.pages) == 20
                assert len(done.data) - 99 < made.memory.used <= len(done.data)
                done.share.shrink(0)
                with pytest.raises(TooManyPixels, match="more than the bound of 48"):
                    await ask(60)
                assert made.memory.used == 0

    asyncio.run(scenario())


def test_books_that_fit_one_by_one_do_not_wait_for_each_other(root: Path) -> None:
    async def scenario() -> None:
        with pipeline(root) as (made, ask):
            async with asyncio.timeout(30):
                outcomes = await asyncio.gather(
                    *(ask(40) for _ in range(3)), return_exceptions=True
                )
                done = [each for each in outcomes if isinstance(each, Colored)]
                assert done
                assert all(isinstance(each, Busy | Colored) for each in outcomes)
                for each in done:
                    each.share.shrink(0)
                (await ask(40)).share.shrink(0)
            assert made.memory.used == 0

    asyncio.run(scenario())


def test_pages_are_looked_at_closely_where_there_is_time_for_all(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everywhere = [(x, y, 30, 30) for x in (40, 300, 520) for y in (40, 200, 380)]
    monkeypatch.setattr(steps, "faces", lambda _: np.array(everywhere, np.float32))

    async def scenario() -> None:
        with pipeline(root, max_memory_mb=128, photo_timeout_s=10) as (made, _):
            a_look_s = 0.1
            made.estimate.note(Timings(0, 0, 0, a_look_s, 1, 1, 0, 1, model_s=a_look_s), 0)
            order = Options(pages="all", format="tiff").order(made.models.get(None))
            upload = Upload(None, book(20))
            made.look_at([upload])
            body = Body([upload], [], await made.uploads.take(1))
            ticket = made.backlog.accept([upload.pixels], looks=20, turns=20)
            await made.colorize(body, upload, order, ticket)
            assert 20 < made.batcher.statistics.photos <= 10 / a_look_s

    asyncio.run(scenario())


@pytest.mark.parametrize("cache_mb", [0, 64])
@pytest.mark.parametrize(
    ("options", "looks"),
    [
        ({}, 10),
        ({"proposal": 3}, 11),
        ({"confidence": "figure"}, 11),
        ({"proposals": 4}, (4 * 10 + 3, 11)),
        ({"proposals": 3, "confidence": "figure"}, (3 * 11 + 2, 12)),
        ({"pages": "all", "format": "tiff"}, 3),
    ],
)
def test_as_many_looks_are_foreseen_as_there_are(
    root: Path, options: dict[str, Any], looks: int | tuple[int, int], cache_mb: int
) -> None:
    """Of a panorama with nine tiles, or a book of three pages."""

    async def scenario() -> None:
        with pipeline(root, cache_mb=cache_mb, max_memory_mb=128) as (made, _):
            chosen = Options(**options)
            order = chosen.order(made.models.get(None))
            photo = book(3) if "pages" in options else encoded(small("L", (500, 100)), "PNG")
            body = Body([Upload(None, photo)], [], await made.uploads.take(1))
            made.look_at(body.uploads)
            body.repeat(chosen.proposals)
            expected = foreseen(body.uploads, order, made.cache)
            for i, upload in enumerate(body.uploads):
                ticket = made.backlog.behind(upload.pixels)
                (await made.colorize(body, upload, order.nth(i), ticket)).share.shrink(0)
            assert made.batcher.statistics.photos == sum(each.looks for each in expected)
            wanted = looks if isinstance(looks, int) else looks[cache_mb > 0]
            assert made.batcher.statistics.photos == wanted
            assert sum(each.turns for each in expected) == (
                3 if "pages" in options else len(expected)
            )

    asyncio.run(scenario())
