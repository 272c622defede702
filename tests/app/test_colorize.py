"""One photo in, one photo out."""

import io
from typing import Any

import httpx
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from tests.sample_photos import NAMES, decoded, encoded, lightness, load, png16, raw, small


def colorize(http: httpx.Client, data: bytes, **options: str | float) -> httpx.Response:
    response = http.post("/colorize", files={"file": ("a photo", data)}, params=options)
    assert response.status_code == 200, response.content[:400]
    return response


def result(http: httpx.Client, data: bytes, **options: str | float) -> NDArray[Any]:
    return decoded(colorize(http, data, **options).content)


@pytest.mark.parametrize("name", NAMES)
def test_the_size_and_the_luminance_are_the_photos_own(http: httpx.Client, name: str) -> None:
    given = load(name)
    # Without embedded profile, since scikit-image's Lab takes every number for sRGB.
    response = colorize(http, encoded(Image.fromarray(given), "PNG"), vividness=1)
    assert response.headers["content-type"] == "image/png"
    out = decoded(response.content)
    assert out.dtype == np.uint8
    assert out.shape == (*given.shape[:2], 3)
    difference = np.abs(lightness(out) - lightness(given))
    assert difference.mean() <= 0.3
    assert difference.max() <= 1


def test_a_grey_photo_gets_colours(http: httpx.Client) -> None:
    grey = encoded(small("L", (512, 512)), "PNG")
    out = result(http, grey, vividness=1).astype(int)
    assert np.abs(out[..., 0] - out[..., 2]).mean() > 1


def test_two_decoders_see_the_same_png(small_http: httpx.Client) -> None:
    response = colorize(small_http, raw("chelsea.png"))
    image = Image.open(io.BytesIO(response.content))
    assert image.format == "PNG"
    assert np.array_equal(np.asarray(image), decoded(response.content))


def test_the_same_bytes_give_the_same_png(small_http: httpx.Client) -> None:
    first, second = (colorize(small_http, raw("rocket.jpg")).content for _ in range(2))
    assert first == second


def test_a_bare_body_is_taken_whatever_its_declared_type(small_http: httpx.Client) -> None:
    expected = colorize(small_http, raw("camera.png")).content
    for declared in ("image/png", "image/jpeg", "application/octet-stream"):
        response = small_http.post(
            "/colorize", content=raw("camera.png"), headers={"content-type": declared}
        )
        assert response.content == expected


def test_colours_of_the_input_do_not_matter_but_its_luminance(http: httpx.Client) -> None:
    out = result(http, encoded(small("RGB"), "PNG"))
    grey_levels = np.asarray(small("RGB"))
    assert np.abs(lightness(out) - lightness(grey_levels)).max() <= 1
    assert not np.array_equal(out, grey_levels)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *[(mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")],
        *[(mode, "JPEG") for mode in ("L", "RGB", "CMYK")],
        *[(mode, "TIFF") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")],
        *[(mode, "BMP") for mode in ("1", "L", "P", "RGB")],
        *[(mode, "WEBP") for mode in ("RGB", "RGBA")],
    ],
)
def test_formats_and_kinds_of_pixels(small_http: httpx.Client, mode: str, kind: str) -> None:
    image = small(mode)
    if mode in ("LA", "RGBA"):
        ramp = np.tile(np.arange(120, dtype=np.uint8) * 2, (80, 1))
        image.putalpha(Image.fromarray(ramp))
    data = encoded(image, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    out = result(small_http, data)
    reference = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.abs(lightness(out) - lightness(reference)).max() <= 1
    if mode in ("LA", "RGBA"):
        assert np.array_equal(out[..., 3], ramp)
    else:
        assert out.shape == (80, 120, 3)


def test_a_palettes_transparency_becomes_alpha(small_http: httpx.Client) -> None:
    image = small("P")
    image.info["transparency"] = image.getpixel((0, 0))
    out = result(small_http, encoded(image, "PNG"))
    assert np.array_equal(out[..., 3] == 0, np.asarray(image) == image.getpixel((0, 0)))


def test_a_cmyk_photo_looks_as_in_its_reference(small_http: httpx.Client) -> None:
    # Adobe's CMYK JPEGs are stored inverted: taken as they are, light would be dark.
    out = result(small_http, encoded(small("CMYK"), "JPEG", quality=95))
    assert np.abs(lightness(out) - lightness(np.asarray(small("RGB")))).mean() < 1.5


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_orientation_is_applied(small_http: httpx.Client, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(small(), kind, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    out = result(small_http, data)
    assert out.shape[:2] == (upright.height, upright.width)
    assert np.abs(lightness(out) - lightness(np.asarray(upright))).max() <= 1


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_orientation_of_a_16_bit_colour_tiff(small_http: httpx.Client, orientation: int) -> None:
    wide, buffer = np.asarray(small()).astype(np.uint16) * 257, io.BytesIO()
    tag = (274, "H", 1, orientation, True)
    tifffile.imwrite(buffer, wide, photometric="rgb", extratags=[tag])
    turned = {1: wide, 3: wide[::-1, ::-1], 6: np.rot90(wide, -1), 8: np.rot90(wide)}
    out = result(small_http, buffer.getvalue())
    assert np.abs(lightness(out) - lightness(turned[orientation])).max() <= 0.02


def wide_samples(channels: int) -> NDArray[np.uint16]:
    """A ramp with more than 256 levels, [64, 512] or [64, 512, channels]."""
    ramp = np.tile(np.linspace(9000, 55000, 512).astype(np.uint16), (64, 1))
    return ramp if channels == 1 else np.dstack([ramp + np.uint16(77 * i) for i in range(channels)])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_stay_16_bits(small_http: httpx.Client, kind: str, channels: int) -> None:
    samples = wide_samples(channels)
    if kind == "PNG":
        data = png16(samples)
    else:
        buffer = io.BytesIO()
        photometric = "minisblack" if channels == 1 else "rgb"
        extra = ["unassalpha"] if channels == 4 else None
        tifffile.imwrite(buffer, samples, photometric=photometric, extrasamples=extra)
        data = buffer.getvalue()
    out = result(small_http, data)
    assert out.dtype == np.uint16
    # Two hundredths: far below the 0.2 and more that 8 bits would leave.
    assert np.abs(lightness(out) - lightness(samples)).max() <= 0.02
    if channels == 4:
        assert np.array_equal(out[..., 3], samples[..., 3])


def test_16_bit_white_is_zero(small_http: httpx.Client) -> None:
    buffer, samples = io.BytesIO(), wide_samples(1)
    tifffile.imwrite(buffer, samples, photometric="miniswhite")
    out = result(small_http, buffer.getvalue())
    assert np.abs(lightness(out) - lightness(65535 - samples)).max() <= 0.02


def test_an_embedded_profile_is_converted(http: httpx.Client) -> None:
    # Of linear numbers: half is much lighter in sRGB than the number says.
    linear = _linear_profile(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    image = Image.new("RGB", (40, 30), (128, 128, 128))
    plain = result(http, encoded(image, "PNG"))
    tagged = result(http, encoded(image, "PNG", icc_profile=linear))
    assert lightness(plain).mean() == pytest.approx(53.6, abs=0.5)
    assert lightness(tagged).mean() == pytest.approx(76.2, abs=0.7)  # L* of Y = 128/255


def test_an_adobe_rgb_photo_keeps_its_luminance(http: httpx.Client) -> None:
    assert b"Adobe RGB" in raw("rocket.jpg")
    # Adobe RGB (1998), sections 4.3.4 and 4.3.5: the transfer function, and Y of its primaries.
    linear = (load("rocket.jpg") / 255) ** (563 / 256)
    Y = linear @ [0.29734, 0.62736, 0.07529]
    L = np.where(Y > (6 / 29) ** 3, 116 * np.cbrt(Y) - 16, Y * (29 / 3) ** 3)
    out = result(http, raw("rocket.jpg"))
    assert np.abs(lightness(out) - L).mean() <= 0.5


def _linear_profile(profile: bytes) -> bytes:
    """The sRGB profile with its curves made linear and its name changed."""
    count = int.from_bytes(profile[128:132], "big")
    changed = bytearray(profile)
    for i in range(count):
        entry = profile[132 + 12 * i : 144 + 12 * i]
        offset, size = int.from_bytes(entry[4:8], "big"), int.from_bytes(entry[8:12], "big")
        if entry[:4] in (b"rTRC", b"gTRC", b"bTRC"):
            curve = b"curv" + bytes(4) + bytes(4)  # no points: the identity (ICC.1, 10.6)
            changed[offset : offset + size] = curve.ljust(size, b"\0")
        if entry[:4] == b"desc":
            changed[offset : offset + size] = changed[offset : offset + size].replace(
                "sRGB".encode("utf-16-be"), "line".encode("utf-16-be")
            )
    return bytes(changed)


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (2, 3), (223, 225)])
def test_odd_sizes(small_http: httpx.Client, size: tuple[int, int]) -> None:
    out = result(small_http, encoded(small("L", size), "PNG"))
    assert out.shape == (size[1], size[0], 3)


def test_the_first_frame_of_several(small_http: httpx.Client) -> None:
    frames = [small(), Image.new("RGB", (120, 80))]
    for kind in ("TIFF", "WEBP", "PNG"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        out = result(small_http, data)
        assert np.abs(lightness(out) - lightness(np.asarray(frames[0]))).mean() < 1.5


@pytest.mark.parametrize(("output", "kind"), [("jpeg", "JPEG"), ("webp", "WEBP"), ("png", "PNG")])
def test_formats_of_the_result(small_http: httpx.Client, output: str, kind: str) -> None:
    response = colorize(small_http, raw("chelsea.png"), format=output)
    assert response.headers["content-type"] == f"image/{output}"
    image = Image.open(io.BytesIO(response.content))
    assert (image.format, image.size) == (kind, (451, 300))
    reference = lightness(load("chelsea.png"))
    assert np.abs(lightness(np.asarray(image)) - reference).mean() < 1.5


def test_webp_keeps_alpha_and_jpeg_says_that_it_cannot(small_http: httpx.Client) -> None:
    image = small("RGBA")
    image.putalpha(100)
    assert set(result(small_http, encoded(image, "PNG"), format="webp")[..., 3].flat) == {100}
    refused = small_http.post(
        "/colorize?format=jpeg", files={"file": ("logo.png", encoded(image, "PNG"))}
    )
    assert refused.status_code == 422
    assert "webp" in refused.json()["detail"]


def test_vividness_by_number_by_head_by_query_and_by_form(http: httpx.Client) -> None:
    photo = raw("coffee.png")
    safe, lively = (colorize(http, photo, vividness=v).content for v in (0, 1))
    assert safe != lively
    form = http.post("/colorize", files={"file": photo}, data={"vividness": "1"})
    assert form.content == lively


def test_the_default_vividness_is_the_models(http: httpx.Client) -> None:
    default = http.get("/models").json()["models"][-1]["default_vividness"]
    photo = raw("coffee.png")
    assert colorize(http, photo).content == colorize(http, photo, vividness=default).content


def test_the_model_can_be_named(http: httpx.Client) -> None:
    version = colorize(http, raw("camera.png")).headers["x-model-version"]
    named = colorize(http, raw("camera.png"), model=version)
    latest = colorize(http, raw("camera.png"), model="latest")
    assert named.content == latest.content


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("holiday.jpg", 'filename="holiday.png"'),
        ("../../etc/passwd", 'filename="passwd.png"'),
        ("C:\\photos\\oma.tif", 'filename="oma.png"'),
        ("фото.jpg", "filename*=UTF-8''%D1%84%D0%BE%D1%82%D0%BE.png"),
        ('a";x.png', "filename*=UTF-8''a"),
        ("NUL.png", 'filename="_NUL.png"'),
        ("...", 'filename="photo.png"'),
    ],
)
def test_names_of_results_are_safe(small_http: httpx.Client, given: str, expected: str) -> None:
    photo = encoded(small(), "PNG")
    response = small_http.post("/colorize", files={"file": (given, photo)})
    disposition = response.headers["content-disposition"]
    assert expected in disposition
    assert not {"/", "\\", "\r", "\n"} & set(disposition.partition("filename")[2])


def test_server_timing_tells_the_stages(small_http: httpx.Client) -> None:
    header = colorize(small_http, raw("camera.png")).headers["server-timing"]
    entries = {part.split(";")[0].strip(): part for part in header.split(",")}
    assert {"decode", "queue", "inference", "encode", "total"} <= entries.keys()
    durations = {name: float(part.rpartition("dur=")[2]) for name, part in entries.items()}
    stages = sum(durations[name] for name in ("decode", "queue", "inference", "encode"))
    assert 0 < stages <= durations["total"] * 1.01 + 1
    assert 'desc="batch=' in entries["inference"]
