"""TIFFs that are whole, and stored or described in ways that few programs choose."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from chromaserve.errors import DamagedPhoto, InvalidOptions, UnsupportedSamples
from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect
from chromaserve.photos.metadata import NOTHING
from chromaserve.photos.photo import Photo, Striped
from chromaserve.photos.tiff import TiffWriter
from tests.photos.test_kinds import GREY8, GREY16, RGB8, RGB16, tiff
from tests.photos.test_rare import with_tag
from tests.photos.tiff_files import of_size, written, ycbcr
from tests.sample_photos import encoded, lightness, small

LZW, JPEG, OLD_JPEG, DEFLATE = 5, 7, 6, 8
LAYERS, XMP = 37724, 700


def taken(data: bytes) -> Photo:
    return decode(data, inspect(data, max_pixels=10**6, max_side=10**4), keep_colours=True)


def blob(tag: int, size: int) -> dict[str, Any]:
    return {"extratags": [(tag, 7, size, bytes(size), True)]}


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_the_layers_of_a_document_may_be_long(compression: str | None) -> None:
    if compression:
        data = io.BytesIO()
        tags = {LAYERS: bytes(5 << 20)}
        Image.fromarray(RGB8).save(data, "TIFF", compression=compression, tiffinfo=tags)
        file = data.getvalue()
    else:
        file = tiff(RGB8, photometric="rgb", **blob(LAYERS, 5 << 20))
    assert len(file) > 5 << 20
    photo = taken(file)
    assert np.array_equal(photo.colours, RGB8)  # type: ignore[arg-type]
    assert photo.metadata.lost == ()


def test_xmp_that_is_too_long_is_left_out_and_told_of() -> None:
    options = blob(XMP, 5 << 20)
    options["extratags"].append((33432, 2, 5, b"Anna\0", True))
    photo = taken(tiff(RGB8, photometric="rgb", **options))
    assert np.array_equal(photo.colours, RGB8)  # type: ignore[arg-type]
    assert photo.metadata.exif is not None
    assert photo.metadata.exif.text(33432) == "Anna"
    assert len(photo.metadata.lost) == 1


def test_a_long_description_costs_neither_orientation_nor_profile() -> None:
    data = tiff(
        GREY16,
        photometric="minisblack",
        description="<OME/>" * 800_000,
        metadata=None,
        extratags=[(274, 3, 1, 6, True)],
    )
    photo = taken(data)
    assert np.array_equal(photo.grey, np.rot90(GREY16, -1))
    assert photo.metadata.lost == ("part of the TIFF tags",)


def test_tags_may_be_out_of_order() -> None:
    strips = [GREY8[i : i + 1].tobytes() for i in range(80)]
    tags = {**of_size(120, 80, 1, 1, 1), 259: 1}
    for unsorted in (False, True):
        photo = taken(written(tags, strips, unsorted=unsorted))
        assert np.array_equal(photo.grey, GREY8)


def test_pixels_that_spell_the_mark_of_a_raw_file_are_pixels() -> None:
    grey = GREY8.copy()
    grey[0, :2] = list(b"CR")
    data = written({**of_size(120, 80, 1, 1, 80), 259: 1}, [grey.tobytes()])
    assert data[8:10] == b"CR"
    assert np.array_equal(taken(data).grey, grey)


@pytest.mark.parametrize("packed", ["tiff_lzw", "packbits", None])
def test_samples_of_which_nothing_is_known_are_whole_numbers(packed: str | None) -> None:
    data = encoded(Image.fromarray(RGB8), "TIFF", compression=packed, tiffinfo={339: (1, 1, 1)})
    at = data.index(struct.pack("<HHI", 339, 3, 3)) + 8
    values = struct.unpack_from("<I", data, at)[0]
    data = data[:values] + struct.pack("<3H", 4, 4, 4) + data[values + 6 :]
    assert np.array_equal(taken(data).colours, RGB8)  # type: ignore[arg-type]


def test_strips_may_have_more_bytes_than_the_program_lets_pillow_have_pixels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which would be 30 megapixels of 16 bits: a strip is unpacked as if it were an image."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2_000)
    rows = np.ascontiguousarray(RGB16[..., ::-1])
    import cv2

    data = cv2.imencode(".tif", rows, [cv2.IMWRITE_TIFF_ROWSPERSTRIP, 80])[1].tobytes()
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        assert (page.compression, len(page.dataoffsets)) == (LZW, 1)
    assert np.array_equal(taken(data).colours, RGB16)  # type: ignore[arg-type]
    for packed in ("tiff_lzw", "jpeg"):
        assert taken(encoded(small(), "TIFF", compression=packed)).size == (120, 80)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("mode", ["L", "YCbCr"])
def test_the_order_of_bits_is_none_of_a_jpegs(mode: str, order: int) -> None:
    image = small("L") if mode == "L" else small().convert("YCbCr")
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", compression="jpeg", quality=97, tiffinfo={266: 1})
    photo = taken(with_tag(buffer.getvalue(), 266, order))
    off = np.abs(lightness(photo.grey) - lightness(GREY8 if mode == "L" else RGB8))
    assert off.mean() < 1.5


def old_jpeg(mode: str, part: float = 1) -> bytes:
    """As Wang's and Kodak's Imaging for Windows made them (TIFF 6.0, section 22)."""
    jpeg = encoded(small(mode), "JPEG", quality=97)
    scan = jpeg.index(b"\xff\xda")
    begin = scan + 2 + int.from_bytes(jpeg[scan + 2 : scan + 4], "big")
    jpeg = jpeg[: int(part * len(jpeg))]
    samples = 1 if mode == "L" else 3
    tags = {**of_size(120, 80, samples, 1 if mode == "L" else 6, 80), 259: OLD_JPEG}
    tags |= {512: 1, 513: 8, 514: len(jpeg), 273: 8 + begin, 279: len(jpeg) - begin}
    if samples == 3:
        tags[530] = (2, 2)
    return written(tags, [jpeg])


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpegs_of_before_1995_are_read(mode: str) -> None:
    photo = taken(old_jpeg(mode))
    off = np.abs(lightness(photo.grey) - lightness(GREY8 if mode == "L" else RGB8))
    assert off.mean() < 1.5


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpegs_of_before_1995_that_are_cut_are_told(mode: str) -> None:
    with pytest.raises(DamagedPhoto, match="cannot be taken alone"):
        taken(old_jpeg(mode, 0.6))


@pytest.mark.parametrize("down", [1, 2])
@pytest.mark.parametrize("packed", [1, DEFLATE])
def test_colours_may_be_coarser_than_luma(packed: int, down: int) -> None:
    strips, expected = ycbcr(RGB8, down)
    coded = [zlib.compress(strip) for strip in strips] if packed == DEFLATE else strips
    tags = {**of_size(120, 80, 3, 6, 16), 259: packed, 530: (2, down)}
    photo = taken(written(tags, coded))
    off = np.abs(lightness(photo.colours) - lightness(expected))  # type: ignore[arg-type]
    assert off.max() < 1


@pytest.mark.parametrize(
    ("packed", "fault"),
    [
        *(
            (packed, fault)
            for packed in (1, DEFLATE)
            for fault in ("short strip", "behind the end")
        ),
        (DEFLATE, "room"),  # zeros without compression are pixels
    ],
)
def test_coarse_colours_that_are_cut_are_told(packed: int, fault: str) -> None:
    strips, _ = ycbcr(RGB8)
    coded = [zlib.compress(strip) for strip in strips] if packed == DEFLATE else strips
    tags = {**of_size(120, 80, 3, 6, 16), 259: packed, 530: (2, 2)}
    if fault == "short strip":
        coded[2] = coded[2][: len(coded[2]) // 2]
    data = written(tags, coded)
    if fault == "behind the end":
        data = with_tag_of_strips(data, len(coded), len(data) - 100)
    if fault == "room":
        data = data.replace(coded[-1], coded[-1][:300].ljust(len(coded[-1]), b"\0"))
    with pytest.raises(DamagedPhoto, match="cannot be taken alone"):
        taken(data)


def with_tag_of_strips(data: bytes, count: int, place: int) -> bytes:
    """With its last strip at another place."""
    at = data.index(struct.pack("<HHI", 273, 3, count)) + 8
    values = struct.unpack_from("<I", data, at)[0] + 2 * (count - 1)
    return data[:values] + struct.pack("<H", place) + data[values + 2 :]


def test_what_pillow_has_no_mode_for_is_not_called_damaged() -> None:
    inks = np.dstack([RGB8, GREY8, GREY8])
    data = tiff(inks, photometric="separated", extrasamples=["unassalpha"], compression="deflate")
    with pytest.raises(UnsupportedSamples, match="kind that is not read"):
        taken(data)


def test_pages_with_numbers_of_64_bits_are_all_written() -> None:
    """Which a TIFF of 32 bits has not, so that they are left out."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, bigtiff=True) as file:
        for page in (GREY8, GREY8[::2]):
            file.write(page, extratags=[(65000, 16, 1, 7, True)], metadata=None)
    data, writer = buffer.getvalue(), TiffWriter()
    for i in range(2):
        photo = decode(data, inspect(data, max_pixels=10**6, max_side=10**4, page=i))
        pixels = np.repeat(photo.grey[..., np.newaxis], 3, axis=2)
        image = Striped(pixels.shape, np.uint8, lambda a, b, of=pixels: of[a:b])  # type: ignore[misc]
        writer.add(image, photo.metadata.for_result("keep", "us"), page=(i, 2))
    with tifffile.TiffFile(io.BytesIO(writer.finish())) as file:
        assert [page.shape for page in file.pages] == [(80, 120, 3), (40, 120, 3)]


@pytest.mark.parametrize(("page", "told"), [((1, 2), "each by its page"), (None, "a PNG")])
def test_more_than_a_tiff_holds_is_told_before_it_is_written(
    page: tuple[int, int] | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its places have 32 bits: four GiB, which are few here."""
    noise = np.random.default_rng(1).integers(0, 256, (80, 120, 3), np.uint8)
    writer, image = TiffWriter(), Striped(noise.shape, np.uint8, lambda a, b: noise[a:b])
    writer.add(image, NOTHING, page=(0, 2))
    monkeypatch.setattr("chromaserve.photos.tiff._MOST_BYTES", writer.size + 1_000)
    with pytest.raises(InvalidOptions, match=rf"the 4 GiB that a TIFF holds: .*{told}"):
        writer.add(image, NOTHING, page=page)


def test_planes_may_be_many_and_in_strips_of_a_row() -> None:
    planes = np.moveaxis(np.dstack([RGB8, GREY8, GREY8, GREY8]), 2, 0)
    data = tiff(planes, photometric="rgb", planarconfig="separate", rowsperstrip=1,
                extrasamples=["unspecified"] * 3)  # fmt: skip
    assert np.array_equal(taken(data).colours, RGB8)  # type: ignore[arg-type]


@pytest.mark.parametrize("bits", [4, 12])
def test_samples_that_are_less_their_neighbours_are_whole_bytes_or_refused(bits: int) -> None:
    """No program here writes others (TIFF 6.0, section 14); what they are is told."""
    tags = {**of_size(120, 80, 1, 1, 80), 258: bits, 259: DEFLATE, 317: 2}
    packed = zlib.compress(bytes(120 * 80 * bits // 8))
    with pytest.raises(UnsupportedSamples, match=f"samples of {bits} bits, less those before"):
        taken(written(tags, [packed]))


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_libtiff_writes_nothing_of_a_broken_file(
    mode: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data = encoded(small(mode), "TIFF", compression="tiff_lzw")
    with pytest.raises(DamagedPhoto):
        taken(data[:20] + b"\xff\x5a" * 190 + data[400:])
    assert capfd.readouterr() == ("", "")
