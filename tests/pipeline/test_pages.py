"""TIFFs of which all pages become one: what they hold, and how long they may take."""

import asyncio
import io
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile

from chromaserve.errors import Busy, TooManyPixels
from chromaserve.pipeline.body import Body, Upload
from chromaserve.pipeline.options import Options
from chromaserve.pipeline.pipeline import Colored, Pipeline
from chromaserve.settings import PipelineSettings
from tests.small_network import publish

Ask = Callable[[int], Coroutine[None, None, Colored]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish(folder)
    return folder


@contextmanager
def pipeline(root: Path) -> Iterator[tuple[Pipeline, Ask]]:
    """One with 48 MiB for photos; and what colorizes a book of so many pages in the background."""
    settings = PipelineSettings(model_root=root, cache_mb=0, max_upload_mb=8, max_memory_mb=64)
    made = Pipeline(settings)
    made.models.load_default()
    order = Options(pages="all", format="tiff").order(made.models.get(None))

    async def ask(pages: int) -> Colored:
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
    page = np.random.default_rng(0).integers(0, 256, (450, 600), np.uint8)
    with tifffile.TiffWriter(file) as writer:
        for _ in range(pages):
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
