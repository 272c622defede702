"""What a photo takes in memory, measured against what it is accounted for."""

import io
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from chromaserve.color.close_ups import close_ups
from chromaserve.color.reference import Seen
from chromaserve.color.tiles import joined, tiling
from chromaserve.color.vividness import livened
from chromaserve.photos.header import inspect
from chromaserve.photos.photo import Photo
from chromaserve.pipeline.memory_needed import (
    BYTES_PER_PHOTO,
    MATCH_BYTES,
    memory_for,
    memory_for_close_ups,
)
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.recolor import Close, prepare_tiles, recolor
from chromaserve.pipeline.reference import Reference
from chromaserve.store.contract import Blend, GuidedFilter, Postprocess
from tests.photos.certificates import certified
from tests.photos.heif_files import avif, heic, wide_avif, wide_heic
from tests.sample_photos import encoded, load, png16, raw

pytestmark = pytest.mark.slow

MEASURE = """
import os, re, sys
from pathlib import Path
import numpy as np
from chromaserve.color.tiles import joined, tiling
from chromaserve.pipeline.recolor import as_it_is, prepare_tiles, recolor
from chromaserve.pipeline.memory_needed import memory_needed
from chromaserve.pipeline.hints import Hint
from chromaserve.photos.credentials import Credentials
from chromaserve.photos.decode import decode
from chromaserve.photos.encode import encode
from chromaserve.photos.free_cores import FreeCores
from chromaserve.photos.header import inspect
from chromaserve.store.contract import GuidedFilter

guided = GuidedFilter(radius=8, eps=1e-4)
cores = FreeCores(16)
ab = np.random.default_rng(1).normal(0, 30, (224, 224, 2)).astype(np.float32)

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])

hints = [Hint(x=i, y=i % 50, color="#336699") for i in range(50)]

def work(path, output, method, *more):
    hinted = "hinted" in more
    data = open(path, "rb").read()
    header = inspect(data, max_pixels=10**8, max_side=10**5)
    kept = method == "kept"
    photo = decode(data, header, keep_colours=kept, accept_damage=True, cores=cores)
    del data
    if kept:
        encode(as_it_is(photo, cores), output)
        return memory_needed(header, output, "none", keeps_colours=True)
    colours, looks = ab, 1
    if method == "tiles":
        method, found = "guided", tiling(*photo.size, "tiles") if min(photo.size) > 999 else None
        if found:
            seen, looks = prepare_tiles(photo, found, cores), 1 + found.count
            colours = joined(ab, seen, [ab.copy() for _ in seen], found)
    result = recolor(photo, colours, method, guided, hints if hinted else (), cores)
    data = encode(result, output)
    if credentials:
        credentials.of(None, header.format, b"", "keep").sign(data, output, "", recoloured=True)
    return memory_needed(
        header, output, method, hinted=hinted, looks=looks, signed=credentials is not None
    )

files = [Path(each) for each in sys.argv[3:] if each.endswith(".pem")]
credentials = Credentials(*files) if files else None

work(sys.argv[1], *sys.argv[3:])  # a small one: libraries' own memory
before = peak()
needed = work(sys.argv[2], *sys.argv[3:])
# The file itself is counted among the uploads.
print(peak() - before - os.path.getsize(sys.argv[2]), needed)
"""


# What an encoder tries changes neither what a decoder holds nor the size of the picture.
QUICK: dict[str, object] = {"quality": 60, "enc_params": {"preset": "ultrafast"}}


@cache
def large() -> NDArray[np.uint8]:
    photo = np.asarray(Image.fromarray(load("astronaut.png")).resize((2100, 2000)))
    noise = np.random.default_rng(0).integers(0, 9, photo.shape)
    return np.clip(photo.astype(int) + noise, 0, 255).astype(np.uint8)


def file_of(kind: str, rgb: NDArray[np.uint8]) -> bytes:
    rgba = np.dstack([rgb, rgb[..., :1]])
    kinds: dict[str, Callable[[], bytes]] = {
        "rgb.jpg": lambda: encoded(Image.fromarray(rgb), "JPEG"),
        "adobe.jpg": lambda: encoded(Image.fromarray(rgb), "JPEG", icc_profile=profile_of_rocket()),
        "rgba.png": lambda: encoded(Image.fromarray(rgba), "PNG", compress_level=1),
        "rgba.webp": lambda: encoded(Image.fromarray(rgba), "WEBP", method=0),
        "wide.png": lambda: png16(rgba.astype(np.uint16) * 257),
        "wide.tif": lambda: wide_tiff(rgba),
        "float.tif": lambda: cv2.imencode(
            ".tif",
            (rgb / 255).astype(np.float32),
            [cv2.IMWRITE_TIFF_COMPRESSION, 5, cv2.IMWRITE_TIFF_ROWSPERSTRIP, len(rgb)],
        )[1].tobytes(),
        "cut.webp": lambda: cut_webp(rgba),
        "rgb.jp2": lambda: encoded(Image.fromarray(rgb), "JPEG2000"),
        "rgba.heic": lambda: heic(Image.fromarray(rgba), **QUICK),
        "wide.heic": lambda: wide_heic(rgb.astype(np.uint16) * 257, **QUICK),
        "rgba.avif": lambda: avif(Image.fromarray(rgba)),
        "wide.avif": lambda: wide_avif(rgb.astype(np.uint16) * 257),
    }
    return kinds[kind]()


def cut_webp(rgba: NDArray[np.uint8]) -> bytes:
    data = encoded(Image.fromarray(rgba), "WEBP", lossless=True, method=0)
    return data[: len(data) * 9 // 10]


def profile_of_rocket() -> bytes:
    with Image.open(io.BytesIO(raw("rocket.jpg"))) as image:
        return bytes(image.info["icc_profile"])  # Adobe RGB


def wide_tiff(rgba: NDArray[np.uint8]) -> bytes:
    buffer, strip = io.BytesIO(), len(rgba)
    tifffile.imwrite(
        buffer,
        rgba.astype(np.uint16) * 257,
        photometric="rgb",
        extrasamples=["unassalpha"],
        compression="deflate",
        rowsperstrip=strip,
    )
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "output", "method"),
    [
        ("rgb.jpg", "png", "guided"),
        ("adobe.jpg", "tiff", "kept"),
        ("rgba.png", "png", "none"),
        ("rgba.webp", "webp", "guided"),
        ("wide.png", "png", "tv"),
        ("wide.tif", "tiff", "none"),
        ("float.tif", "tiff", "none"),
        ("cut.webp", "png", "none"),
        ("rgb.jp2", "jpeg", "none"),
        ("rgba.heic", "png", "none"),
        ("wide.heic", "png", "none"),
        ("rgba.avif", "png", "none"),
        ("wide.avif", "png", "none"),
        ("rgb.jpg", "png", "crf"),
        ("rgb.jpg", "png", "guided hinted"),
        ("rgb.jpg", "png", "tiles"),
        ("rgb.jpg", "png", "guided signed"),
        ("wide.png", "png", "none signed"),
        ("wide.tif", "tiff", "none signed"),
    ],
)
def test_a_photo_takes_no_more_than_it_is_accounted_for(
    tmp_path: Path, kind: str, output: str, method: str
) -> None:
    photo = large()
    (tmp_path / "large").write_bytes(file_of(kind, photo))
    (tmp_path / "small").write_bytes(file_of(kind, photo[:64, :64]))
    arguments = [str(tmp_path / "small"), str(tmp_path / "large"), output, *method.split()]
    if "signed" in method:
        files = certified(tmp_path)
        arguments += [str(files.certificate), str(files.key)]
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    took, accounted = map(int, measured.stdout.split())
    assert took <= accounted
    # Not a made-up large number either: that would keep photos waiting for nothing.
    assert took >= accounted / 3


@pytest.mark.parametrize("size", [(612, 408), (900, 900), (3000, 2200), (5000, 2000)])
@pytest.mark.parametrize(("count", "method"), [(1, "guided"), (150, "guided"), (1, "tv")])
def test_close_ups_take_no_more_than_they_are_accounted_for(
    size: tuple[int, int], count: int, method: Postprocess
) -> None:
    """Few of them no less than many: what all are joined in is as large."""
    width, height = size
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (height, width), np.uint8)
    L = rng.uniform(0, 100, (224, 224)).astype(np.float32)
    photo = Photo(grey, None, np.uint8, L)
    tiles = tiling(width, height, "auto")
    ab = rng.normal(0, 30, (*(tiles.size if tiles else (224, 224)), 2)).astype(np.float32)
    corners = rng.uniform((0, 0), (width - 30, height - 30), (count, 2))
    faces = np.hstack([corners, np.full((count, 2), 30)]).astype(np.float32)
    blend = Blend(asked=(0, 1), contrast=(0, 0.3), scale=(1, 1.5))
    tracemalloc.start()
    try:
        found = close_ups(width, height, tiles, faces)
        assert found
        seen = prepare_tiles(photo, found)
        answers = [rng.standard_normal((224, 224, 2), np.float32) for _ in seen]
        close = Close(livened(joined(ab, seen, answers, found), 0.5, blend), found.share())
        before = tracemalloc.get_traced_memory()[1]
        del seen, answers
        tracemalloc.reset_peak()
        guided = GuidedFilter(radius=8, eps=1e-4)
        recolor(photo, ab, method, guided, close=close).pixels()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    order = Order(cast(Any, None), 0.5, method, "png")
    header = inspect(encoded(Image.fromarray(grey), "PNG"), max_pixels=10**8, max_side=10**5)
    more = memory_for_close_ups(order, header, 2**30)
    assert before < BYTES_PER_PHOTO + more
    accounted = memory_for(order, header, signed=False) + more
    assert peak + grey.nbytes < accounted
    assert not memory_for_close_ups(order, header, 2**20)


def test_matching_with_a_reference_takes_no_more_than_it_is_accounted_for() -> None:
    rng = np.random.default_rng(0)
    row = np.abs(rng.standard_normal(28 * 28 * 512 + 14 * 14 * 512)).astype(np.float32)
    look = rng.uniform(0, 100, (224, 224, 1)).astype(np.float32)
    ab = rng.normal(0, 30, (224, 224, 2)).astype(np.float32)
    fine, coarse = np.split(row[::-1].copy(), [28 * 28 * 512])
    seen = Seen(fine.reshape(28, 28, 512), coarse.reshape(14, 14, 512), look[::4, ::4, 0])
    reference = Reference(seen, ab[::4, ::4].copy())
    tracemalloc.start()
    try:
        reference.applied([ab], look, row)
        peak = tracemalloc.get_traced_memory()[1] + row.nbytes
    finally:
        tracemalloc.stop()
    assert MATCH_BYTES / 4 < peak < MATCH_BYTES
