"""Photos as scanners and archives store them, put together by hand from known samples."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from chromaserve.errors import DamagedPhoto
from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect
from chromaserve.photos.photo import Photo
from tests.hostile.files import chunk
from tests.photos.test_kinds import COLUMNS, RAMP, ROWS
from tests.sample_photos import encoded

Numbers = NDArray[np.int64]


def taken(data: bytes, *, accept: bool = False) -> Photo:
    return decode(data, inspect(data, max_pixels=10**6, max_side=10**4), accept_damage=accept)


def codes(bits: int, channels: int = 1) -> Numbers:
    """Samples of so many bits, [H, W] or [H, W, channels]."""
    planes = [RAMP, RAMP[::-1], RAMP[:, ::-1]][:channels]
    found: Numbers = np.rint(np.dstack(planes) * ((1 << bits) - 1)).astype(np.int64)
    return found[..., 0] if channels == 1 else found


def packed(samples: Numbers, bits: int) -> NDArray[np.uint8]:
    """Each row from a byte of its own on, most significant bits first."""
    apart = samples.reshape(len(samples), -1, 1) >> np.arange(bits - 1, -1, -1) & 1
    return np.packbits(apart.reshape(len(samples), -1).astype(np.uint8), axis=1)


def keyed_png(samples: Numbers, bits: int, key: Any) -> bytes:  # noqa: ANN401
    """With one grey or colour that is transparent."""
    kind = 0 if samples.ndim == 2 else 2
    rows = b"".join(b"\0" + row.tobytes() for row in packed(samples, bits))
    head = struct.pack(">IIBBBBB", COLUMNS, ROWS, bits, kind, 0, 0, 0)
    clear = np.asarray(key, ">u2").tobytes()
    parts = ((b"IHDR", head), (b"tRNS", clear), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def tiff(data: bytes, bits: int, photometric: int | None, **more: Any) -> bytes:  # noqa: ANN401
    """One strip, with further tags by their numbers: `t266=2`."""
    channels = 3 if photometric == 2 else 1
    tags: dict[int, Any] = {256: COLUMNS, 257: ROWS, 258: [bits] * channels, 259: 1, 273: 8}
    tags |= {277: channels, 278: ROWS, 279: len(data)}
    tags |= {} if photometric is None else {262: photometric}
    tags |= {int(name[1:]): value for name, value in more.items()}
    data += bytes(len(data) % 2)
    at = 8 + len(data)
    rows, body, behind = b"", b"", at + 2 + 12 * len(tags) + 4
    for tag, value in sorted(tags.items()):
        kind = 4 if tag in (273, 279) else 3
        raw = np.asarray(value, "<u4" if kind == 4 else "<u2").tobytes()
        rows += struct.pack("<HHI", tag, kind, np.size(value))
        rows += raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack("<I", behind + len(body))
        body += raw if len(raw) > 4 else b""
    directory = struct.pack("<H", len(tags)) + rows + bytes(4) + body
    return b"II*\0" + struct.pack("<I", at) + data + directory


MIRRORED = np.array([int(f"{i:08b}"[::-1], 2) for i in range(256)], np.uint8)


def levels(samples: Numbers, bits: int) -> Numbers:
    """Of 8 or 16 bits."""
    most = 255 if bits <= 8 else 65535
    return np.rint(samples / ((1 << bits) - 1) * most).astype(np.int64)


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8, 11, 12, 15])
def test_a_tiff_of_grey_is_read_however_its_bits_are_stored(
    bits: int, photometric: int, mirrored: bool, planar: int, compression: int
) -> None:
    samples = codes(bits)
    stored = samples if photometric else (1 << bits) - 1 - samples
    data = packed(stored, bits).tobytes()
    data = data if compression == 1 else zlib.compress(data)
    if mirrored:  # as libtiff has it: of what is compressed
        data = MIRRORED[np.frombuffer(data, np.uint8)].tobytes()
    made = tiff(data, bits, photometric, t284=planar, t266=1 + mirrored, t259=compression)
    assert np.abs(taken(made).grey.astype(int) - levels(samples, bits)).max() <= 1


@pytest.mark.parametrize("bits", [1, 2, 4, 5, 8])
def test_a_tiff_of_colours_with_few_bits_is_read(bits: int) -> None:
    samples = codes(bits, 3)
    few = taken(tiff(packed(samples, bits).tobytes(), bits, 2))
    many = taken(tiff(levels(samples, bits).astype(np.uint8).tobytes(), 8, 2))
    assert np.array_equal(few.grey, many.grey)


def test_a_part_of_a_scan_of_one_bit_is_had() -> None:
    half = packed(codes(1), 1)[: ROWS // 2].tobytes()
    made = tiff(zlib.compress(half), 1, 1, t259=8)
    with pytest.raises(DamagedPhoto, match="about 50%"):
        taken(made)
    photo = taken(made, accept=True)
    assert photo.missing == 0.5
    assert np.array_equal(photo.grey[: ROWS // 2], levels(codes(1), 1)[: ROWS // 2])


@pytest.mark.parametrize("most", [255, 65535])
def test_a_palette_of_a_tiff_may_have_256_levels(most: int) -> None:
    colours = np.rint(np.linspace(most, 0, 256)).astype(int).tolist()  # a negative
    made = tiff(codes(8).astype(np.uint8).tobytes(), 8, 3, t320=colours * 3)
    photo = taken(made)
    assert np.abs(photo.grey / np.iinfo(photo.grey.dtype).max - (1 - codes(8) / 255)).max() < 0.005


@pytest.mark.parametrize("compression", [1, 8])
def test_a_tiff_that_does_not_say_what_white_is_is_refused(compression: int) -> None:
    data = codes(8).astype(np.uint8).tobytes()
    data = data if compression == 1 else zlib.compress(data)
    with pytest.raises(DamagedPhoto, match="whether 0 is black or white"):
        taken(tiff(data, 8, None, t259=compression))


@pytest.mark.parametrize(("bits", "channels"), [(1, 1), (2, 1), (4, 1), (8, 1), (16, 1), (8, 3),
                                                (16, 3)])  # fmt: skip
def test_the_grey_or_colour_that_a_png_calls_transparent_is(bits: int, channels: int) -> None:
    samples = codes(bits, channels)
    key = samples[ROWS // 2, COLUMNS // 2]
    photo = taken(keyed_png(samples, bits, key))
    clear = (samples == key).reshape(ROWS, COLUMNS, -1).all(axis=2)
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha == 0, clear)
    assert np.array_equal(photo.alpha == np.iinfo(photo.alpha.dtype).max, ~clear)


@pytest.mark.parametrize("part", [(0.4, 0.45), (0.6, 1.0)])
@pytest.mark.parametrize("kind", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
def test_zeros_within_a_packed_strip_are_told(kind: str, part: tuple[float, float]) -> None:
    grain = np.random.default_rng(0).integers(0, 99, (200, 300), np.uint8)
    data = encoded(Image.fromarray(grain), "TIFF", compression=kind)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        ((start,), (size,)) = page.dataoffsets, page.databytecounts
    first, last = (start + int(size * each) for each in part)
    hole = data[:first] + bytes(last - first) + data[last:]
    with pytest.raises(DamagedPhoto, match="damaged"):
        taken(hole)
    if kind == "tiff_adobe_deflate" and part[1] < 1:  # which its checksum tells, but not where
        return
    photo = taken(hole, accept=True)
    whole = round(200 * (1 - photo.missing))
    assert abs(whole / 200 - part[0]) < 0.05
    assert np.array_equal(photo.grey[:whole], grain[:whole])
    assert (photo.grey[whole:] == 128).all()


CODED = {"jpeg": "L", "tiff_ccitt": "1", "group3": "1", "group4": "1"}


@pytest.mark.parametrize("filler", [None, b"\0", b"\xff"])
@pytest.mark.parametrize("kind", CODED)
def test_a_jpeg_or_fax_within_a_tiff_that_ends_too_early_is_refused(
    kind: str, filler: bytes | None
) -> None:
    sheet = Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 600), np.uint8))
    data = encoded(sheet.convert(CODED[kind]), "TIFF", compression=kind, strip_size=1 << 20)
    assert taken(data).missing == 0
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        ((start,), (size,)) = page.dataoffsets, page.databytecounts
    half = size // 2
    if filler is None:
        cut = data.replace(struct.pack("<HII", 4, 1, size), struct.pack("<HII", 4, 1, half))
        assert cut != data
    else:
        cut = data[: start + half] + filler * (size - half) + data[start + size :]
    with pytest.raises(DamagedPhoto, match="whole cannot be taken alone"):
        taken(cut)


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("kind", CODED)
def test_a_blank_sheet_that_is_a_jpeg_or_fax_is_whole(kind: str, level: int) -> None:
    sheet = Image.new("L", (600, 400), level).convert(CODED[kind])
    assert (taken(encoded(sheet, "TIFF", compression=kind)).grey == level).all()


@pytest.mark.parametrize(("tag", "reduced", "whole"), [(254, 1, 0), (255, 2, 1)])
def test_a_reduced_copy_before_the_photo_is_passed_over(tag: int, reduced: int, whole: int) -> None:
    buffer = io.BytesIO()
    grey = codes(8).astype(np.uint8)
    with tifffile.TiffWriter(buffer) as file:
        for page, kind in ((grey[::4, ::4], reduced), (grey, whole)):
            file.write(page, photometric="minisblack", extratags=[(tag, 4, 1, kind, True)])
    assert np.array_equal(taken(buffer.getvalue()).grey, grey)
