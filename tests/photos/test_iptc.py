"""IPTC's captions as old programs have written them, read as ExifTool does."""

import io
import json
import shutil
import struct
import subprocess
import time
import tracemalloc
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect
from chromaserve.photos.png_reading import read_texts
from tests.photos.test_metadata import result
from tests.sample_photos import encoded, small

CAPTION = b"\x1c\x01\x5a\x00\x03\x1b%G\x1c\x02\x78\x00\x07Harvest\x1c\x02\x50\x00\x04Anna"
IIM, BLOCKS = 33723, 34377
BYTE, LONG, UNDEFINED = 1, 4, 7
BLOCK = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(CAPTION)) + CAPTION + bytes(len(CAPTION) % 2)
OTHER = b"8BIM\x03\xed\0\0" + struct.pack(">I", 16) + bytes(16)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def swapped(data: bytes) -> bytes:
    return b"".join(padded(data)[i : i + 4][::-1] for i in range(0, len(padded(data)), 4))


def tiff(tag: int, kind: int, said: bytes, order: str = "<") -> bytes:
    """A grey TIFF with one more tag (TIFF 6.0, section 2)."""
    pixels = small("L").tobytes()
    width, height = small("L").size
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (277, 1), (278, height)]
    behind = 8 + 2 + 12 * (len(tags) + 3) + 4
    tags += [(273, behind + len(said)), (279, len(pixels))]
    rows = [(number, LONG, 1, value) for number, value in tags]
    rows.append((tag, kind, len(said) // (4 if kind == LONG else 1), behind))
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(rows))
    out += b"".join(struct.pack(f"{order}HHII", *row) for row in sorted(rows))
    return out + bytes(4) + said + pixels


def jp2(said: bytes) -> bytes:
    kind = uuid.UUID("2c4c0100-8504-40b9-a03e-562148d6dfeb").bytes
    box = struct.pack(">I4s", 24 + len(said), b"uuid") + kind + said
    return encoded(small("L"), "JPEG2000") + box


FILES: dict[str, Callable[[str], bytes]] = {
    "numbers in order": lambda order: tiff(IIM, LONG, padded(CAPTION), order),
    "numbers the other way round": lambda order: tiff(IIM, LONG, swapped(CAPTION), order),
    "the same, called bytes": lambda order: tiff(IIM, BYTE, swapped(CAPTION), order),
    "bytes": lambda order: tiff(IIM, UNDEFINED, CAPTION, order),
    "among Photoshop's blocks": lambda order: tiff(BLOCKS, BYTE, OTHER + BLOCK + OTHER, order),
}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("name", FILES)
def test_captions_of_a_tiff_go_along(name: str, order: str) -> None:
    data = FILES[name](order)
    for output in ("png", "jpeg", "tiff"):
        made = result(output, data=data)
        found = decode(made, inspect(made, max_pixels=10**6, max_side=10**4)).metadata
        assert found.iptc == CAPTION
    assert read_texts(result("png", data=data)).iptc == CAPTION


@pytest.mark.skipif(not shutil.which("exiftool"), reason="ExifTool is not installed")
@pytest.mark.parametrize("name", FILES)
def test_exiftool_finds_the_same_in_photo_and_result(name: str, tmp_path: Path) -> None:
    photo, made = tmp_path / "photo.tif", tmp_path / "made.tif"
    photo.write_bytes(FILES[name]("<"))
    made.write_bytes(result("tiff", data=photo.read_bytes()))
    said = subprocess.run(
        ["exiftool", "-j", "-IPTC:all", str(photo), str(made)], capture_output=True, check=True
    )
    for each in json.loads(said.stdout):
        assert (each["Caption-Abstract"], each["By-line"]) == ("Harvest", "Anna")


def test_captions_among_the_blocks_of_a_jpeg_2000_go_along() -> None:
    made = result("jpeg", data=jp2(OTHER + BLOCK))
    with Image.open(io.BytesIO(made)) as image:
        assert image.info["photoshop"][0x0404] == CAPTION


@pytest.mark.parametrize("said", [b"abc\x1c", b"8BIM\4\0\0\0" + bytes(4)])
def test_what_is_far_too_long_is_left_out_at_little_cost(said: bytes) -> None:
    """Numbers of another order, of which each would be an object; very many blocks."""
    data = jp2(said * ((12 << 20) // len(said)))
    header = inspect(data, max_pixels=10**6, max_side=10**4)
    tracemalloc.start()
    start = time.process_time()
    found = decode(data, header).metadata
    took, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.iptc, found.lost) == (b"", ("IPTC",))
    assert peak < 64 << 20
    assert took < 1


def test_nonsense_does_not_go_along_and_is_told() -> None:
    for order in "<>":
        data = tiff(IIM, LONG, b"nonsense", order)
        found = decode(data, inspect(data, max_pixels=10**6, max_side=10**4)).metadata
        assert (found.iptc, found.lost) == (b"", ("IPTC",))
        empty = tiff(IIM, LONG, bytes(8), order)
        found = decode(empty, inspect(empty, max_pixels=10**6, max_side=10**4)).metadata
        assert (found.iptc, found.lost) == (b"", ())
