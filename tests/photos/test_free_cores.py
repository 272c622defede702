"""Strips of a photo on several threads: in order, on cores that are free, to the same bytes."""

import gc
import io
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import numpy as np
import pytest
from PIL import Image, ImageCms

from chromaserve.photos.decode import decode
from chromaserve.photos.encode import encode
from chromaserve.photos.formats import Format
from chromaserve.photos.free_cores import ALONE, FreeCores
from chromaserve.photos.header import inspect
from chromaserve.photos.png import PngLevel
from chromaserve.photos.profiles import Tables
from chromaserve.pipeline.hints import Hint
from chromaserve.pipeline.recolor import as_it_is, recolor
from chromaserve.store.contract import GuidedFilter
from tests.sample_photos import encoded, load, png16, raw

LARGE = 10**8
GUIDED = GuidedFilter(radius=8, eps=1e-4)
AB = np.random.default_rng(3).normal(0, 25, (224, 224, 2)).astype(np.float32)


@pytest.fixture
def cores() -> Iterator[FreeCores]:
    made = FreeCores(2)
    yield made
    made.close()


def test_two_threads_work_at_once_and_results_keep_their_order(cores: FreeCores) -> None:
    met = threading.Barrier(2, timeout=60)

    def work(strip: int) -> int:
        if strip < 8:
            met.wait()
        return strip

    found: list[int] = []
    cores.each(range(100), work, found.append, pixels=LARGE)
    assert found == list(range(100))


@pytest.mark.parametrize(("taken", "pixels"), [(2, LARGE), (1, 1000)])
def test_where_no_core_is_free_or_the_photo_is_small_one_thread_works(
    cores: FreeCores, taken: int, pixels: int
) -> None:
    threads: set[threading.Thread] = set()
    with ExitStack() as others:
        for _ in range(taken):
            others.enter_context(cores.taken())
        cores.each(range(50), lambda _: threading.current_thread(), threads.add, pixels=pixels)
    assert threads == {threading.current_thread()}


def test_who_helps_gives_way_to_other_work(cores: FreeCores) -> None:
    met = threading.Barrier(2, timeout=60)
    late: list[threading.Thread] = []
    with ExitStack() as others:

        def strips() -> Iterator[int]:
            for i in range(100):
                if busy:
                    late.append(threading.current_thread())
                yield i

        def put(strip: int) -> None:
            if strip == 1 and not busy:
                for _ in range(2):
                    others.enter_context(cores.taken())
                busy.append(True)

        def work(strip: int) -> int:
            if strip < 2:
                met.wait()
            return strip

        busy: list[bool] = []
        cores.each(strips(), work, put, pixels=LARGE)
    # It may have looked just before.
    assert sum(thread is not threading.current_thread() for thread in late) <= 1
    assert len(late) > 80


def test_results_that_wait_are_bounded(cores: FreeCores) -> None:
    ahead, asked, got = 0, 0, 0

    def strips() -> Iterator[int]:
        nonlocal asked, ahead
        for i in range(200):
            asked += 1
            ahead = max(ahead, asked - got)
            yield i

    def put(_: int) -> None:
        nonlocal got
        got += 1

    cores.each(strips(), lambda strip: strip, put, pixels=LARGE)
    assert (asked, got) == (200, 200)
    assert ahead <= 2 * 2 + 1


@pytest.mark.parametrize("where", ["asked for", "worked on", "put"])
def test_the_first_strip_that_fails_ends_the_photo(cores: FreeCores, where: str) -> None:
    at_work, found = set[int](), list[int]()

    def fail(place: str, strip: int) -> None:
        if place == where and strip >= 20:
            raise ValueError(f"strip {strip}")

    def strips() -> Iterator[int]:
        for i in range(100):
            fail("asked for", i)
            yield i

    def work(strip: int) -> int:
        at_work.add(strip)
        try:
            fail("worked on", strip)
        finally:
            at_work.discard(strip)
        return strip

    def put(strip: int) -> None:
        fail("put", strip)
        found.append(strip)

    for _ in range(20):
        found.clear()
        with pytest.raises(ValueError, match="strip 20"):
            cores.each(strips(), work, put, pixels=LARGE)
        assert not at_work
        assert found == list(range(20))
    cores.each(range(3), lambda strip: strip, found.append, pixels=LARGE)
    assert found[20:] == [0, 1, 2]


RGB = load("coffee.png")[::2, ::2].copy()
RGBA = np.dstack([RGB, RGB[..., 1]])
FILES = {
    "RGB": encoded(Image.fromarray(RGB), "PNG"),
    "RGBA": encoded(Image.fromarray(RGBA), "PNG"),
    "grey JPEG": encoded(Image.fromarray(RGB).convert("L"), "JPEG"),
    "16 bits": png16(RGB.astype(np.uint16) * 257),
    "16 bits, alpha": png16(RGBA.astype(np.uint16) * 257),
    "TIFF": encoded(Image.fromarray(RGB), "TIFF"),
    "small": encoded(Image.fromarray(RGB[:20, :30]), "PNG"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "output", "level", "hinted"),
    [
        ("RGB", "png", "fast", False),
        ("RGBA", "png", "small", True),
        ("grey JPEG", "png", "fast", True),
        ("16 bits", "png", "small", False),
        ("16 bits, alpha", "png", "fast", False),
        ("16 bits, alpha", "tiff", "fast", True),
        ("TIFF", "tiff", "small", False),
        ("RGB", "jpeg", "fast", False),
        ("RGBA", "webp", "fast", False),
        ("small", "png", "fast", True),
        ("small", "tiff", "fast", False),
    ],
)
@pytest.mark.parametrize("strip", [2000, 10**6], ids=["many strips", "one strip"])
def test_the_same_bytes_on_any_number_of_threads(
    file: str,
    output: Format,
    level: PngLevel,
    hinted: bool,
    strip: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chromaserve.photos.photo._STRIP", strip)
    monkeypatch.setattr("chromaserve.photos.free_cores._PIXELS_A_THREAD", 1000)
    data = FILES[file]
    header = inspect(data, max_pixels=10**7, max_side=10**4)
    hints = [Hint(x=3, y=2, color="#aa3311")] if hinted else []

    def colours(cores: FreeCores) -> list[bytes]:
        photo = decode(data, header, keep_colours=True, cores=cores)
        kept = [] if photo.colours is None else [as_it_is(photo, cores)]
        made = recolor(photo, AB, "crf" if file == "RGB" else "guided", GUIDED, hints, cores)
        return [
            photo.grey.tobytes(),
            photo.thumbnail.tobytes(),
            *(encode(image, output, level) for image in (*kept, made)),
        ]

    alone = colours(ALONE)
    for threads in (2, 3):
        cores = FreeCores(threads)
        assert colours(cores) == alone
        cores.close()


def test_threads_share_a_profile_of_tables() -> None:
    with Image.open(io.BytesIO(raw("rocket.jpg"))) as image:
        adobe = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    tables = Tables(adobe, "RGB")
    cores = FreeCores(3)
    found: list[bytes] = []
    cores.each(
        (RGB[i : i + 4] for i in range(0, len(RGB), 4)),
        lambda strip: tables.grey(strip).tobytes(),
        found.append,
        pixels=LARGE,
    )
    cores.close()
    assert b"".join(found) == tables.grey(RGB).tobytes()


def test_an_error_holds_no_photo_once_it_is_handled(cores: FreeCores) -> None:
    class Photo:
        """Something that can be watched."""

    def failing(where: str, photo: Photo) -> None:
        def strips() -> Iterator[Photo]:
            yield from [photo] * 5
            if where == "asked for":
                raise ValueError

        def work(strip: Photo) -> Photo:
            if where == "worked on":
                raise ValueError
            return strip

        cores.each(strips(), work, lambda _: None, pixels=LARGE)

    gc.disable()
    try:
        for where in ("asked for", "worked on"):
            photo = Photo()
            watched = weakref.ref(photo)
            with suppress(ValueError):
                failing(where, photo)
            del photo
            assert watched() is None
    finally:
        gc.enable()
