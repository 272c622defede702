"""Colour profiles, against LittleCMS and the formulas of their standards."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from chromaserve.color.lab import srgb_to_L
from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect
from chromaserve.photos.icc import grey_profile, srgb_profile
from chromaserve.photos.profile_reading import profile_of
from chromaserve.photos.profiles import SRGB, Tables
from tests.hostile.files import chunk
from tests.sample_photos import encoded, load, raw

RAMP = np.tile(np.linspace(0, 65535, 1024).round().astype(np.uint16), (8, 1))


def L_of(Y: NDArray[Any]) -> NDArray[np.float64]:  # noqa: N802 - L is the quantity's name
    return np.asarray(np.where(Y > (6 / 29) ** 3, 116 * np.cbrt(Y) - 16, Y * (29 / 3) ** 3))


def decoded_L(data: bytes) -> NDArray[np.float32]:  # noqa: N802
    photo = decode(data, inspect(data, max_pixels=10**7, max_side=10**4))
    return srgb_to_L(photo.grey)


def with_gamma(profile: bytes, gamma: float, name: bytes = b"") -> bytes:
    """A profile of ours with another curve, called as it was or otherwise."""
    at = profile.index(b"para")
    curve = b"para" + bytes(8) + struct.pack(">i", round(gamma * 65536))
    changed = profile[:at] + curve.ljust(32, b"\0") + profile[at + 32 :]
    return changed.replace("sRGB".encode("utf-16-be"), name) if name else changed


def tiff(array: NDArray[Any], icc: bytes) -> bytes:
    buffer = io.BytesIO()
    kind = "minisblack" if array.ndim == 2 else "rgb"
    tifffile.imwrite(buffer, array, photometric=kind, iccprofile=icc)
    return buffer.getvalue()


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_a_grey_profile_counts_in_8_and_in_16_bits(depth: type, gamma: float) -> None:
    samples = RAMP if depth is np.uint16 else (RAMP >> 8).astype(np.uint8)
    found = decoded_L(tiff(samples, with_gamma(grey_profile(), gamma)))
    assert np.abs(found - L_of((samples / np.iinfo(depth).max) ** gamma)).max() <= 0.02


@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_a_grey_profile_connected_by_lab_is_of_lightness(gamma: float) -> None:
    profile = with_gamma(grey_profile(), gamma)
    found = decoded_L(tiff(RAMP, profile[:20] + b"Lab " + profile[24:]))
    assert np.abs(found - 100 * (RAMP / 65535) ** gamma).max() <= 0.02


def test_a_profile_of_a_jpeg_2000_counts() -> None:
    image = Image.fromarray(np.repeat(np.arange(256, dtype=np.uint8)[np.newaxis], 64, axis=0))
    plain = encoded(image, "JPEG2000", irreversible=False)
    profile = with_gamma(grey_profile(), 1.0)
    colr = struct.pack(">I4s3B", 11 + len(profile), b"colr", 2, 0, 0) + profile
    head, at = plain.index(b"jp2h") - 4, plain.index(b"colr") - 4
    end = at + int.from_bytes(plain[at : at + 4], "big")
    length = int.from_bytes(plain[head : head + 4], "big") + len(colr) - (end - at)
    data = plain[:head] + struct.pack(">I", length) + plain[head + 4 : at] + colr + plain[end:]
    assert np.abs(decoded_L(data) - L_of(np.asarray(image) / 255)).max() <= 0.1


def test_levels_of_16_bits_survive_a_profile() -> None:
    colours = np.dstack([RAMP, RAMP, RAMP])
    data = tiff(colours, with_gamma(srgb_profile(), 1.8))
    photo = decode(data, inspect(data, max_pixels=10**7, max_side=10**4))
    assert photo.dtype == np.uint16
    assert len(np.unique(photo.grey)) == 1024
    assert np.abs(srgb_to_L(photo.grey) - L_of((RAMP / 65535) ** 1.8)).max() <= 0.02


def test_a_profile_is_judged_by_its_curves_not_by_its_name() -> None:
    linear = with_gamma(srgb_profile(), 1.0)
    assert b"s\0R\0G\0B" in linear
    assert profile_of(linear, "RGB") is not SRGB
    assert profile_of(srgb_profile(), "RGB") is SRGB
    others = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert profile_of(others.replace(b"sRGB", b"abcd"), "RGB") is SRGB


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_profile_of_curves_is_as_littlecms_has_it(depth: type) -> None:
    with Image.open(io.BytesIO(raw("rocket.jpg"))) as image:  # Adobe RGB
        icc = image.info["icc_profile"]
    pixels = load("rocket.jpg")
    wide: NDArray[Any] = pixels.astype(depth) * (257 if depth is np.uint16 else 1)
    adobe, srgb = (ImageCms.ImageCmsProfile(io.BytesIO(each)) for each in (icc, srgb_profile()))
    transform = ImageCms.buildTransform(adobe, srgb, "RGB", "RGB")
    theirs = np.asarray(ImageCms.applyTransform(Image.fromarray(pixels), transform))
    ours = profile_of(icc, "RGB")
    off = np.abs(srgb_to_L(ours.grey(wide)) - srgb_to_L(theirs))
    assert off.mean() <= 0.1  # half a code of theirs
    narrow = ours.srgb(wide) // (257 if depth is np.uint16 else 1)
    assert np.abs(narrow.astype(int) - theirs).max() <= 1


def test_a_profile_of_tables_keeps_16_bits() -> None:
    """Any profile can be asked as one of tables is: by its answers on a grid."""
    with Image.open(io.BytesIO(raw("rocket.jpg"))) as image:
        icc = image.info["icc_profile"]
    tables = Tables(ImageCms.ImageCmsProfile(io.BytesIO(icc)), "RGB")
    colours = np.dstack([RAMP, RAMP // 2 + 9000, RAMP // 3 + 20000])
    grey = tables.grey(colours)
    assert len(np.unique(grey)) == 1024
    assert np.abs(srgb_to_L(grey) - srgb_to_L(profile_of(icc, "RGB").grey(colours))).max() <= 0.25


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_profile_of_tables_is_as_littlecms_has_it(depth: type) -> None:
    with Image.open(io.BytesIO(raw("rocket.jpg"))) as image:
        icc = image.info["icc_profile"]
    adobe, srgb = (ImageCms.ImageCmsProfile(io.BytesIO(each)) for each in (icc, srgb_profile()))
    pixels = load("rocket.jpg")[:64, :64]
    transform = ImageCms.buildTransform(adobe, srgb, "RGB", "RGB")
    theirs = np.asarray(ImageCms.applyTransform(Image.fromarray(pixels), transform))
    tables = Tables(adobe, "RGB")
    wide: NDArray[Any] = pixels.astype(depth) * (257 if depth is np.uint16 else 1)
    found = tables.srgb(wide)
    assert found.dtype == depth
    assert np.array_equal(found // (257 if depth is np.uint16 else 1), theirs)
    off = np.abs(srgb_to_L(tables.grey(wide)) - srgb_to_L(profile_of(icc, "RGB").grey(wide)))
    assert off.max() <= 0.25


def edited(profile: bytes, what: bytes, to: bytes) -> bytes:
    """With something else in the tags, which are behind the head."""
    assert profile.count(what, 128)
    return profile[:128] + profile[128:].replace(what, to)


BROKEN = {
    "empty": b"",
    "no profile": b"x" * 200,
    "cut off": srgb_profile()[:200],
    "of greys": grey_profile(),
    "too many tags": srgb_profile()[:128] + struct.pack(">I", 1000) + srgb_profile()[132:],
    "curves of no kind": edited(srgb_profile(), b"para", b"abcd"),
    "curves of a later kind": edited(srgb_profile(), b"para\0\0\0\0\0\3", b"para\0\0\0\0\0\5"),
    "curves of too many points": edited(srgb_profile(), b"para" + bytes(4), b"curv" + b"\xff" * 4),
    "primaries of no kind": edited(srgb_profile(), b"XYZ " + bytes(4), b"abcd" + bytes(4)),
    "a curve that is not there": edited(srgb_profile(), b"rTRC", b"abcd"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_profile_that_cannot_be_used_says_nothing(name: str) -> None:
    assert profile_of(BROKEN[name], "RGB") is SRGB


def test_primaries_that_no_light_has_say_nothing() -> None:
    profile = srgb_profile()
    start, _ = struct.unpack_from(">II", profile, profile.index(b"rXYZ", 128) + 4)
    bright = struct.pack(">3i", *(2**31 - 1,) * 3)
    assert profile_of(profile[: start + 8] + bright + profile[start + 20 :], "RGB") is SRGB


def test_a_grey_profile_of_tables_says_nothing() -> None:
    linear = with_gamma(grey_profile(), 1.0)
    assert profile_of(linear, "L") is not SRGB
    assert profile_of(edited(linear, b"kTRC", b"A2B0"), "L") is SRGB


@pytest.mark.parametrize(
    ("chunks", "gamma"),
    [
        ([(b"gAMA", struct.pack(">I", 100_000))], 1.0),
        ([(b"gAMA", struct.pack(">I", 55_556))], 1.8),
        ([(b"cICP", bytes([1, 8, 0, 1])), (b"gAMA", struct.pack(">I", 55_556))], 1.0),
        ([(b"cICP", bytes([1, 4, 0, 1]))], 2.2),
        ([(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 55_556))], None),
        ([(b"gAMA", struct.pack(">I", 45_455))], None),
        ([(b"gAMA", struct.pack(">I", 0))], None),
        ([(b"cICP", bytes([77, 8, 0, 1]))], None),
        ([(b"cICP", bytes([1, 77, 0, 1]))], None),
        (
            [
                (b"gAMA", struct.pack(">I", 55_556)),
                (b"cHRM", struct.pack(">8I", 31270, 0, 64000, 33000, 30000, 60000, 15000, 6000)),
            ],
            None,
        ),
        ([], None),
    ],
)
def test_a_png_without_a_profile_is_taken_by_what_else_it_says(
    chunks: list[tuple[bytes, bytes]], gamma: float | None
) -> None:
    samples = (RAMP >> 8).astype(np.uint8)
    data = encoded(Image.fromarray(samples), "PNG")
    data = data[:33] + b"".join(chunk(*each) for each in chunks) + data[33:]
    expected = srgb_to_L(samples) if gamma is None else L_of((samples / 255) ** gamma)
    assert np.abs(decoded_L(data) - expected).max() <= 0.02


def test_a_png_may_be_as_television_is() -> None:
    """The curve of ITU-R BT.709, by which a camera makes numbers of light."""
    samples = (RAMP >> 8).astype(np.uint8)
    light = np.linspace(0, 1, 100_001)
    numbers = np.where(light < 0.018, 4.5 * light, 1.099 * light**0.45 - 0.099)
    data = encoded(Image.fromarray(samples), "PNG")
    data = data[:33] + chunk(b"cICP", bytes([1, 1, 0, 1])) + data[33:]
    expected = L_of(np.interp(samples / 255, numbers, light))
    assert np.abs(decoded_L(data) - expected).max() <= 0.05


def test_a_pngs_primaries_count() -> None:
    pixels = load("rocket.jpg")[:64, :64]
    data = encoded(Image.fromarray(pixels), "PNG")
    points = (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)  # Adobe RGB
    extra = chunk(b"gAMA", struct.pack(">I", 45_455)) + chunk(b"cHRM", struct.pack(">8I", *points))
    linear = (pixels / 255) ** 2.2
    expected = L_of(linear @ [0.29734, 0.62736, 0.07529])
    assert np.abs(decoded_L(data[:33] + extra + data[33:]) - expected).max() <= 0.1


def test_cicp_comes_before_a_profile() -> None:
    samples = (RAMP >> 8).astype(np.uint8)
    data = encoded(Image.fromarray(samples), "PNG")
    icc = chunk(b"iCCP", b"x\0\0" + zlib.compress(with_gamma(grey_profile(), 1.0)))
    said = chunk(b"cICP", bytes([1, 13, 0, 1]))
    assert np.abs(decoded_L(data[:33] + icc + said + data[33:]) - srgb_to_L(samples)).max() <= 0.02
    assert np.abs(decoded_L(data[:33] + icc + data[33:]) - L_of(samples / 255)).max() <= 0.02
