"""GIF, PNG, WebP, BMP and EXIF that are whole, and of which some programs make something else."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from chromaserve.color.lab import srgb_to_L
from chromaserve.errors import DamagedPhoto, TooManyPixels
from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect
from chromaserve.photos.icc import srgb_profile
from chromaserve.photos.photo import Photo, Striped
from chromaserve.photos.png import png
from tests.hostile.files import chunk
from tests.photos.heif_files import avif
from tests.photos.test_kinds import GREY8, RGB8, RGB16
from tests.photos.test_metadata import XMP, result
from tests.photos.test_profiles import L_of, with_gamma
from tests.sample_photos import encoded, png16, small


def taken(data: bytes, *, accept: bool = False) -> Photo:
    header = inspect(data, max_pixels=10**6, max_side=10**4)
    return decode(data, header, accept_damage=accept, keep_colours=True)


@pytest.mark.parametrize("clear", [None, 0])
@pytest.mark.parametrize("place", [(0, 0), (30, 20), (0, 20)])
def test_a_gif_is_clear_around_a_first_picture_that_is_smaller(
    place: tuple[int, int], clear: int | None
) -> None:
    """As browsers show it; the colour that it names for its background none of them shows."""
    image = small("L", (60, 40)).quantize(64)
    options = {} if clear is None else {"transparency": clear}
    whole = encoded(image, "GIF", **options)
    at = whole.index(b",", 13 + 3 * 64)
    data = whole[:6] + struct.pack("<2H", 120, 80) + whole[10 : at + 1]
    data += struct.pack("<2H", *place) + whole[at + 5 :]
    photo = taken(data)
    assert photo.size == (120, 80)
    left, top = place
    inside = slice(top, top + 40), slice(left, left + 60)
    expected = np.zeros((80, 120), np.uint8)
    expected[inside] = 255 if clear is None else 255 * (np.asarray(image) != clear)
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha, expected)
    assert np.array_equal(photo.grey[inside][expected[inside] > 0],
                          taken(whole).grey[expected[inside] > 0])  # fmt: skip


PIXELS = {"grey": encoded(small("L"), "PNG"), "16 bits": png16(RGB16),
          "colour": encoded(small("RGB", (900, 600)), "PNG"),
          "palette": encoded(small().quantize(64), "PNG")}  # fmt: skip


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("kind", PIXELS)
def test_a_png_may_have_a_wrong_sum_of_all_its_pixels(kind: str, pieces: int) -> None:
    """Where those of its chunks are right libpng warns, and every viewer shows it."""
    whole = PIXELS[kind]
    packed = stream(whole)
    packed = packed[:-4] + bytes(4)
    ends = [len(packed) * i // pieces for i in range(1, pieces)] + [len(packed)]
    ends = [*ends[:-1], len(packed) - 4, len(packed)] if pieces > 1 else ends
    start = whole.index(b"IDAT") - 4
    parts = [chunk(b"IDAT", packed[a:b]) for a, b in zip([0, *ends], ends, strict=False)]
    data = whole[:start] + b"".join(parts) + chunk(b"IEND")
    photo = taken(data)
    assert photo.missing == 0
    assert np.array_equal(photo.grey, taken(whole).grey)
    broken = bytearray(data)
    broken[start + 60] ^= 1  # which the chunk's own sum tells
    with pytest.raises(DamagedPhoto):
        taken(bytes(broken))


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_change_within_a_png_whose_sums_lie_apart_is_told(place: float) -> None:
    """As results have them: the sum of all pixels is in a chunk of its own, behind the others."""
    noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3), np.uint8)
    data = bytearray(png(Striped(noise.shape, np.uint8, lambda a, b: noise[a:b])))
    data[int(len(data) * place)] ^= 4
    with pytest.raises(DamagedPhoto, match="damaged=accept"):
        taken(bytes(data))
    assert 0 < taken(bytes(data), accept=True).missing < 1


def test_a_png_may_have_a_long_profile_and_long_texts() -> None:
    """Of more than 1 MiB, which Pillow refuses; those of more than 4 are left out and told of."""
    plain, linear = encoded(small(), "PNG"), with_gamma(srgb_profile(), 1.0)

    def made(size: int, exif: bytes = b"") -> Photo:
        profile = chunk(b"iCCP", b"scanner\0\0" + zlib.compress(linear + bytes(size)))
        texts = chunk(b"zTXt", b"Workflow\0\0" + zlib.compress(bytes(size)))
        texts += chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(size)))
        return taken(plain[:33] + profile + texts + exif + plain[33:])

    long = made(3 << 19)
    assert long.metadata.lost == ()
    assert [len(text) for _, text in long.metadata.texts] == [len(long.metadata.xmp)] == [3 << 19]
    assert np.array_equal(long.grey, made(10).grey), "by its profile"
    longer = made(5 << 20, chunk(b"eXIf", exif([ARTIST]).ljust(5 << 20)))
    assert longer.metadata.lost == ("colour profile", "texts", "EXIF")
    assert np.array_equal(longer.grey, taken(plain).grey)
    assert not np.array_equal(longer.grey, long.grey)


def test_a_png_may_say_a_thing_twice() -> None:
    """libpng, and so every viewer, takes the first."""
    plain = encoded(small(), "PNG", dpi=(300, 300))
    again = chunk(b"pHYs", struct.pack(">IIB", 11811, 11811, 1)) + chunk(b"sRGB", b"\0") * 2
    gammas = [chunk(b"gAMA", struct.pack(">I", gamma)) for gamma in (100_000, 45_455)]
    at = plain.index(b"IDAT") - 4
    photo = taken(plain[:at] + again + plain[at:])
    assert photo.metadata.dpi == pytest.approx((300, 300), abs=0.1)
    assert np.array_equal(photo.grey, taken(plain).grey)
    linear, both = (plain[:at] + said + plain[at:] for said in (gammas[0], b"".join(gammas)))
    assert np.array_equal(taken(both).grey, taken(linear).grey)


def stream(data: bytes) -> bytes:
    at, packed = 8, b""
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        packed += data[at + 8 : at + 8 + size] if data[at + 4 : at + 8] == b"IDAT" else b""
        at += 12 + size
    return packed


def test_the_rows_of_a_png_with_a_wrong_sum_are_counted() -> None:
    whole = PIXELS["colour"]
    rows = zlib.decompress(stream(whole))
    packed = zlib.compress(rows[: len(rows) * 3 // 4])
    data = whole[: whole.index(b"IDAT") - 4] + chunk(b"IDAT", packed[:-4] + bytes(4))
    with pytest.raises(DamagedPhoto, match="about 25%"):
        taken(data + chunk(b"IEND"))
    assert taken(data + chunk(b"IEND"), accept=True).missing == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("cut", ["shorter", "changed"])
def test_a_png_of_16_bits_that_is_damaged_is_told(cut: str) -> None:
    whole = png16(RGB16)
    data = whole[: len(whole) // 2]
    if cut == "changed":
        data = data[:-1] + bytes([data[-1] ^ 1]) + whole[len(whole) // 2 :]
    with pytest.raises(DamagedPhoto):
        taken(data)


@pytest.mark.parametrize("pixels", [RGB16, np.dstack([RGB16, RGB16[..., 0] // 2])])
@pytest.mark.parametrize("shown", ["first", "apart"])
def test_of_an_animation_of_16_bits_the_picture_that_all_programs_show_is_taken(
    shown: str, pixels: np.ndarray
) -> None:
    whole, other = png16(pixels), stream(png16(~pixels))
    at, end = whole.index(b"IDAT") - 4, len(whole) - 12
    heads = [
        chunk(b"fcTL", struct.pack(">5IHHBB", n, 120, 80, 0, 0, 1, 9, 0, 0)) for n in (0, 1, 3)
    ]
    parts = [chunk(b"fdAT", struct.pack(">I", n) + other) for n in (2, 4)]
    data = whole[:at] + chunk(b"acTL", struct.pack(">2I", 2 + (shown == "first"), 0))
    data += (heads[0] if shown == "first" else b"") + whole[at:end]
    data += heads[1] + parts[0] + heads[2] + parts[1] + chunk(b"IEND")
    photo = taken(data)
    assert np.array_equal(photo.grey, taken(whole).grey)
    assert photo.grey.std() > 1_000


def test_xmp_does_not_turn_an_avif() -> None:
    """Its own boxes do, and browsers look at nothing else (ISO/IEC 23008-12, 6.5.10)."""
    for xmp in (b"", XMP):
        data = avif(small(), **({"xmp": xmp} if xmp else {}))
        assert taken(data).size == (120, 80)


@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_may_have_room_behind_it(lossless: bool) -> None:
    whole = encoded(small(), "WEBP", lossless=lossless)
    for room in (bytes(100_000), b"\xff" * 100_000):
        photo = taken(whole + room)
        assert photo.missing == 0
        assert np.array_equal(photo.grey, taken(whole).grey)


def bmp(
    pixels: np.ndarray, masks: tuple[int, ...] = (), profile: bytes = b"", *, down: bool = False
) -> bytes:
    """A BMP with the longest head (BITMAPV5HEADER), of blue, green, red and what is behind them."""
    rows, columns, channels = pixels.shape
    head = struct.pack(
        "<IiiHHIIiiII", 124, columns, -rows if down else rows, 1, 8 * channels,
        3 if masks else 0, pixels.size, 11811, 11811, 0, 0
    )  # fmt: skip
    head += struct.pack("<4I", *(masks or (0,) * 4)) + (b"DEBM" if profile else b"BGRs")
    head = head.ljust(108, b"\0")
    head += struct.pack("<4I", 4, 124 + pixels.size if profile else 0, len(profile), 0)
    body = (pixels if down else pixels[::-1]).tobytes() + profile
    return b"BM" + struct.pack("<IHHI", 138 + len(body), 0, 0, 138) + head + body


def test_a_bmp_may_begin_at_its_top_and_says_how_fine_it_is() -> None:
    for down in (False, True):
        photo = taken(bmp(RGB8[..., ::-1], down=down))
        assert np.array_equal(photo.colours, RGB8)  # type: ignore[arg-type]
        assert photo.metadata.dpi == pytest.approx((300, 300), abs=0.1)


def test_the_profile_of_a_bmp_counts() -> None:
    photo = taken(bmp(RGB8[..., ::-1], profile=with_gamma(srgb_profile(), 1.0)))
    expected = L_of((RGB8 / 255) @ [0.2126, 0.7152, 0.0722])
    assert np.abs(srgb_to_L(photo.grey) - expected).max() < 0.1


@pytest.mark.parametrize("level", [0, 9])
def test_a_bmp_that_is_clear_everywhere_is_shown_as_if_it_were_not(level: int) -> None:
    masks = 0xFF0000, 0xFF00, 0xFF, 0xFF000000
    alpha = np.full(GREY8.shape, level, np.uint8)
    photo = taken(bmp(np.dstack([RGB8[..., ::-1], alpha]), masks))
    assert (photo.alpha is None) == (level == 0)
    assert np.array_equal(photo.colours, RGB8)  # type: ignore[arg-type]


def exif(tags: list[tuple[int, int, int, int]]) -> bytes:
    """A directory of tags with their types, counts and values or places."""
    rows = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + rows + bytes(4)


TURNED = 0x0112, 3, 1, 6
ARTIST = 0x013B, 2, 4, int.from_bytes(b"Ann\0", "little")
FAULTS = {
    "places at 0": [TURNED, ARTIST, (0x8825, 4, 1, 0)],
    "places behind the end": [TURNED, ARTIST, (0x8825, 4, 1, 10**6)],
    "names itself": [TURNED, ARTIST, (0x8769, 4, 1, 8)],
    "names itself often": [TURNED, ARTIST, *[(0x8769, 4, 1, 8), (0x8825, 4, 1, 8)] * 400],
    "text behind the end": [(0x010E, 2, 900, 10**6), TURNED, ARTIST],
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_what_is_whole_of_broken_exif_counts_and_goes_along(kind: str, fault: str) -> None:
    data = encoded(small("L"), kind, exif=b"Exif\0\0" + exif(FAULTS[fault]))
    photo = taken(data)
    assert photo.size == (80, 120), "upright"
    assert photo.metadata.lost == ("part of the EXIF",)
    with Image.open(io.BytesIO(result("png", data=data))) as image:
        assert image.getexif()[0x013B] == "Ann"
        assert image.getexif()[0x0112] == 1


def test_exif_that_breaks_off_is_had_up_to_there() -> None:
    data = exif([TURNED, ARTIST])
    head = data[:8] + struct.pack("<H", 900) + data[10:-4]
    photo = taken(encoded(small("L"), "JPEG", exif=b"Exif\0\0" + head))
    assert photo.size == (80, 120)
    assert photo.metadata.lost == ("part of the EXIF",)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_every_format_is_turned(kind: str, turn: int) -> None:
    tags = Image.Exif()
    tags[0x0112] = turn
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(small("L"), kind, exif=tags, **options)
    turned = {
        1: GREY8, 2: GREY8[:, ::-1], 3: GREY8[::-1, ::-1], 4: GREY8[::-1],
        5: GREY8.T, 6: np.rot90(GREY8, -1), 7: GREY8[::-1, ::-1].T, 8: np.rot90(GREY8),
    }[turn]  # fmt: skip
    found = taken(data).grey
    assert found.shape == turned.shape
    off = np.abs(found / (257 if found.itemsize == 2 else 1) - turned)
    assert np.median(off) <= 3


def test_a_webp_that_is_larger_than_the_program_lets_pillow_read_is_called_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = encoded(small(), "WEBP")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
    with pytest.raises(TooManyPixels, match="at most 2,000"):
        taken(data)
