"""HEIC and AVIF: as telephones make them, and as somebody makes them who means harm."""

import resource
import struct
import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from chromaserve.errors import DamagedPhoto, TooManyPixels, UnsupportedSamples
from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect
from chromaserve.photos.photo import Photo
from tests.photos.heif_files import (
    avif,
    box,
    clap,
    coded,
    coded_avif,
    full,
    grid,
    heic,
    ispe,
    put_together,
    wide_avif,
    wide_heic,
)
from tests.sample_photos import lightness, small


def taken(data: bytes, max_pixels: int = 10**6) -> Photo:
    return decode(data, inspect(data, max_pixels=max_pixels, max_side=10**4))


@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_stands_upright_once(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Kodak"
    image = small("L")
    image.putpixel((0, 0), 0)
    make = heic if kind == "HEIC" else avif
    photo = taken(make(image.convert("RGB"), exif=exif.tobytes()))
    image.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(image))
    assert photo.grey.shape == upright.shape
    assert np.abs(lightness(photo.grey) - lightness(upright)).mean() < 0.5
    kept = photo.metadata.for_result("keep", "us").exif
    assert kept is not None
    assert (kept.number(0x0112), kept.text(0x010F)) == (1, "Kodak")


def test_tiles_become_one_photo() -> None:
    whole = small("L").resize((300, 200))
    padded = Image.new("L", (384, 256))
    padded.paste(whole)
    tiles = [
        padded.crop((x, y, x + 128, y + 128)).convert("RGB")
        for y in range(0, 256, 128)
        for x in range(0, 384, 128)
    ]
    photo = taken(grid(tiles, 3, (300, 200)))
    assert photo.size == (300, 200)
    assert np.abs(lightness(photo.grey) - lightness(np.asarray(whole))).max() < 2


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("mirror", [None, 0, 1])
@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
def test_what_is_to_be_shown_is_cut_out_then_turned_then_mirrored(
    kind: str, mirror: int | None, turn: int
) -> None:
    image = small("L")
    made = (coded if kind == "HEIC" else coded_avif)(image.convert("RGB"))
    says = [ispe(*image.size), full(b"pixi", b"\3\10\10\10"), made[0]]
    says.append(clap(31, 17, 6, 9, image.size))  # a small part: libheif alone takes no such one
    says += [box(b"irot", bytes([turn]))] * bool(turn)
    says += [] if mirror is None else [box(b"imir", bytes([mirror]))]
    item, brand = (b"hvc1", b"heic") if kind == "HEIC" else (b"av01", b"avif")
    photo = taken(put_together([(item, made[1], says)], brand=brand))
    wanted = np.rot90(np.asarray(image)[9:26, 6:37], turn)
    wanted = {None: wanted, 0: wanted[::-1], 1: wanted[:, ::-1]}[mirror]
    assert photo.grey.shape == wanted.shape
    assert np.abs(lightness(photo.grey) - lightness(wanted)).mean() < 0.5


def test_a_part_that_lies_outside_or_hides_a_large_picture_is_refused() -> None:
    image = small()
    configuration, data = coded(image)
    plain = [ispe(*image.size), configuration]
    for part in ((60, 40, 100, 9), (0, 17, 6, 9), (200, 17, -9, 9)):
        with pytest.raises(DamagedPhoto):
            taken(put_together([(b"hvc1", data, [*plain, clap(*part, image.size)])]))
    hidden = put_together([(b"hvc1", data, [*plain, clap(31, 17, 6, 9, image.size)])])
    with pytest.raises(TooManyPixels):
        taken(hidden, max_pixels=120 * 80 - 1)


def test_the_same_as_another_picture_but_turned() -> None:
    image = small("L")
    configuration, data = coded(image.convert("RGB"))
    says = [ispe(*image.size), configuration]
    turned = [ispe(*image.size), box(b"irot", b"\1")]
    items = [(b"iden", b"", turned), (b"hvc1", data, says)]
    photo = taken(put_together(items, [(b"dimg", 1, [2])]))
    wanted = np.rot90(np.asarray(image))
    assert photo.grey.shape == wanted.shape
    assert np.abs(lightness(photo.grey) - lightness(wanted)).max() < 1
    for again in ([1], [2, 2], [3]):  # itself, two, none
        with pytest.raises(DamagedPhoto):
            taken(put_together(items, [(b"dimg", 1, again)]))


@pytest.mark.parametrize("narrow", [False, True])
def test_greys_of_an_avif_reach_white_in_either_range(narrow: bool) -> None:
    options = [cv2.IMWRITE_AVIF_DEPTH, 10, cv2.IMWRITE_AVIF_QUALITY, 100]
    values = np.tile(np.linspace(64, 940, 120).astype(np.uint16), (80, 1))
    done, made = cv2.imencode(".avif", values, options)
    assert done
    data = made.tobytes()
    at = data.index(b"nclx") + 10
    assert data[at] == 0x80  # full
    photo = taken(data[:at] + b"\0" + data[at + 1 :] if narrow else data)
    black, white = (64, 940) if narrow else (0, 1023)  # BT.2100, table 9
    off = photo.grey / 65535 - (values - black) / (white - black)
    assert photo.colour == "grey"
    assert np.abs(off).max() < 0.01


@pytest.mark.parametrize("make", [wide_heic, wide_avif])
def test_ten_bits_keep_their_levels(make: Callable[..., bytes]) -> None:
    ramp = np.tile((np.arange(1024) << 6 | np.arange(1024) >> 4).astype(np.uint16), (64, 1))
    photo = taken(make(np.dstack([ramp] * 3)))
    levels = len(np.unique(photo.grey[32]))
    assert levels > 900
    assert np.abs(photo.grey[32].astype(int) - ramp[32]).mean() < 100


def test_a_wide_gamut_by_numbers_is_not_taken_for_srgb() -> None:
    image = Image.new("RGB", (64, 64), (250, 30, 30))
    said = {"save_nclx_profile": True, "transfer_characteristic": 13}
    plain = taken(heic(image, color_primaries=1, **said)).grey[32, 32]
    wide = taken(heic(image, color_primaries=12, **said)).grey[32, 32]
    assert plain.astype(int) != wide.astype(int)
    numbers = b"nclx" + struct.pack(">HH", 12, 13)
    wide_range = heic(image, color_primaries=12, **said).replace(numbers, b"nclx\0\x09\0\x10")
    with pytest.raises(UnsupportedSamples, match="high dynamic range"):
        taken(wide_range)


@pytest.mark.slow
def test_a_picture_larger_than_it_says_is_refused_before_it_has_room() -> None:
    """A decoder makes room for what the coded picture says of itself."""
    large = Image.new("RGB", (4096, 4096))
    bomb = grid([large], 1, (64, 64), said=(64, 64))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DamagedPhoto):
        taken(bomb)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 << 10
    with pytest.raises(DamagedPhoto):  # and where it says so, but the whole is small
        taken(grid([large], 1, (64, 64)))


def test_a_tile_named_very_often_is_refused() -> None:
    tile = Image.new("RGB", (128, 128))
    with pytest.raises(DamagedPhoto):
        taken(grid([tile], 200, (128, 128), repeat=40_000))
    with pytest.raises(DamagedPhoto):
        taken(grid([tile], 30, (128, 128), repeat=900))


@pytest.mark.parametrize("unit", [b"\0\0\0\0", b"\0\0\0\2\x42\1"])
def test_very_many_units_cost_little(unit: bytes) -> None:
    """Where the coded picture is named last, so that all that follows it is its own."""
    data = heic(small())
    at = data.index(b"mdat") + 4
    place = data.index(b"iloc")
    old = struct.pack(">I", len(data) - at)
    bomb = unit * (8_000_000 // len(unit))
    assert data.count(old, place) >= 1
    data = data[: at - 8] + b"\0\0\0\0mdat" + data[at:] + bomb
    data = data[:place] + data[place:].replace(old, struct.pack(">I", len(data) - at), 1)
    begun = time.process_time()
    with pytest.raises(DamagedPhoto):
        inspect(data, max_pixels=10**6, max_side=10**4)
    assert time.process_time() - begun < 0.5


def test_the_size_of_the_whole_counts() -> None:
    tile = Image.new("RGB", (128, 128))
    with pytest.raises(TooManyPixels):
        taken(grid([tile], 1, (30_000, 30_000)))


@pytest.mark.parametrize("make", [heic, avif])
def test_cut_anywhere_it_is_damaged(make: Callable[..., bytes]) -> None:
    data = make(small())
    for end in [*range(12, 700, 23), len(data) * 3 // 4]:
        with pytest.raises(DamagedPhoto):
            taken(data[:end])
