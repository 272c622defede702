"""What answers tell of photos, and what may be chosen of their encoding, over HTTP."""

import io
import json
import zipfile
from typing import Any

import httpx
import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.photos.heif_files import heic
from tests.sample_photos import decoded, encoded, raw, small
from tests.small_network import small_http_instead

# Nothing here is about colours.
http = small_http_instead


def ask(http: httpx.Client, data: bytes, **options: Any) -> httpx.Response:  # noqa: ANN401
    return http.post("/colorize", files={"file": ("oma.x", data)}, params=options)


def png() -> bytes:
    return encoded(small("L"), "PNG")


def pages(count: int) -> bytes:
    more = [small("L", (60 + 8 * i, 40)) for i in range(count - 1)]
    return encoded(small("L"), "TIFF", save_all=True, append_images=more)


@pytest.mark.parametrize(
    ("kind", "suffix", "media_type"),
    [
        ("PNG", "png", "image/png"),
        ("JPEG", "jpg", "image/jpeg"),
        ("WEBP", "webp", "image/webp"),
        ("TIFF", "tif", "image/tiff"),
        ("BMP", "png", "image/png"),
        ("GIF", "png", "image/png"),
    ],
)
def test_a_result_in_the_photos_own_format(
    http: httpx.Client, kind: str, suffix: str, media_type: str
) -> None:
    answer = ask(http, encoded(small(), kind), format="same")
    assert answer.headers["content-type"] == media_type
    assert f"oma.{suffix}" in answer.headers["content-disposition"]
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.get_format_mimetype() == media_type


def test_many_results_each_in_its_own_format(http: httpx.Client) -> None:
    files = [("file", ("a", encoded(small(), kind))) for kind in ("JPEG", "TIFF", "PNG")]
    answer = http.post("/colorize?format=same", files=files)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert "media_type" not in manifest
    told = [(photo["output"], photo["media_type"]) for photo in manifest["photos"]]
    assert told == [("a.jpg", "image/jpeg"), ("a.tif", "image/tiff"), ("a.png", "image/png")]
    assert {photo["colour"] for photo in manifest["photos"]} == {"colour"}


def test_a_tiff_is_sent_where_that_alone_is_accepted(http: httpx.Client) -> None:
    answer = http.post(
        "/colorize", files={"file": encoded(small(), "PNG")}, headers={"Accept": "image/tiff"}
    )
    with tifffile.TiffFile(io.BytesIO(answer.content)) as file:
        assert file.asarray().shape == (80, 120, 3)


@pytest.mark.parametrize("output", ["jpeg", "webp"])
def test_quality_may_be_chosen(http: httpx.Client, output: str) -> None:
    sizes = [
        len(ask(http, raw("chelsea.png"), format=output, quality=q).content) for q in (20, 60, 100)
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2] / 3
    assert ask(http, raw("chelsea.png"), quality=0).status_code == 422


def test_transparency_that_is_opaque_is_none(http: httpx.Client) -> None:
    data = encoded(small("RGBA"), "PNG")
    assert ask(http, data, format="jpeg").status_code == 200
    with Image.open(io.BytesIO(ask(http, data).content)) as image:
        assert image.mode == "RGB"


def test_pages_are_told_of_and_come_all_where_that_is_asked_for(http: httpx.Client) -> None:
    data = pages(3)
    first = ask(http, data)
    assert first.headers["x-photo-page"] == "1 of 3"
    assert "pages=all" in first.headers["x-photo-warning"]
    answer = ask(http, data, pages="all", format="same")
    assert answer.headers["x-photo-page"] == "1-3 of 3"
    assert "x-photo-warning" not in answer.headers
    with tifffile.TiffFile(io.BytesIO(answer.content)) as file:
        shapes = [page.asarray().shape for page in file.pages]
    assert shapes == [(80, 120, 3), (40, 60, 3), (40, 68, 3)]
    one = ask(http, encoded(small("L"), "TIFF"), format="tiff")
    with tifffile.TiffFile(io.BytesIO(answer.content)) as file:
        assert np.array_equal(file.pages[0].asarray(), tifffile.imread(io.BytesIO(one.content)))
    assert ask(http, pages(1), pages="all").headers["content-type"] == "image/png"


def test_pages_come_each_by_itself_where_the_format_has_none(http: httpx.Client) -> None:
    files = [("file", (name, data)) for name, data in (("a.tif", pages(2)), ("b.png", png()))]
    answer = http.post("/colorize", files=files, params={"pages": "all"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        told = json.loads(archive.read("manifest.json"))["photos"]
        results = [archive.read(photo["output"]) for photo in told]
    assert [photo["output"] for photo in told] == ["a-page-1.png", "a-page-2.png", "b.png"]
    assert [photo["input"] for photo in told] == ["a.tif", "a.tif", "b.png"]
    assert [photo.get("page") for photo in told] == ["1 of 2", "2 of 2", None]
    assert not any("warnings" in photo for photo in told)
    second = ask(http, pages(2), page=2)
    assert second.headers["x-photo-page"] == "2 of 2"
    assert "x-photo-warning" not in second.headers
    assert second.content == results[1]
    with Image.open(io.BytesIO(results[1])) as image:
        assert image.size == (60, 40)


@pytest.mark.parametrize("photo", [1, "b.png"])
def test_hints_are_for_the_file_that_they_name_whatever_pages_come_before(
    http: httpx.Client, photo: int | str
) -> None:
    hint = {"x": 5, "y": 5, "color": "#335577"}
    files = [("file", (name, data)) for name, data in (("a.tif", pages(3)), ("b.png", png()))]
    options = {"pages": "all", "hints": json.dumps([hint | {"photo": photo}])}
    answers = [
        http.post("/colorize", files=files, data=data) for data in (options, {"pages": "all"})
    ]
    told, plain = (
        {name: archive.read(name) for name in archive.namelist() if name.endswith(".png")}
        for archive in (zipfile.ZipFile(io.BytesIO(answer.content)) for answer in answers)
    )
    assert told.pop("b.png") == ask(http, png(), hints=json.dumps([hint])).content
    assert plain.pop("b.png") == ask(http, png()).content
    assert told == plain


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"page": 3}, "the TIFF has 2"),
        ({"page": 0}, "page"),
        ({"page": 2, "pages": "all"}, "Send one of these"),
        ({"pages": "all", "proposals": 2}, "proposals are of one photo"),
        (
            {"format": "tiff", "pages": "all", "hints": '[{"x": 1, "y": 1, "color": "#335577"}]'},
            "for a file of several pages",
        ),
        (
            {"pages": "all", "hints": '[{"x": 1, "y": 1, "color": "#335577"}]'},
            "for a file of several pages",
        ),
    ],
)
def test_pages_that_there_cannot_be(
    http: httpx.Client, options: dict[str, object], says: str
) -> None:
    answer = ask(http, pages(2), **options)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


def test_more_pages_than_a_request_may_have_results(http: httpx.Client) -> None:
    answer = ask(http, pages(9), pages="all")
    assert answer.status_code == 413
    assert "format=tiff" in answer.json()["detail"]
    assert ask(http, pages(9), pages="all", format="tiff").status_code == 200


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "HEIC"])
def test_of_an_animation_or_a_series_the_first_picture_is_taken(
    http: httpx.Client, kind: str
) -> None:
    first, *others = (small().rotate(30 * i) for i in range(3))

    def saved(*more: Image.Image) -> bytes:
        if kind == "HEIC":
            return heic(first, *more)
        plain = {"lossless": True} if kind == "WEBP" else {}
        return encoded(first, kind, save_all=True, append_images=more, **plain)

    answer, alone = ask(http, saved(*others)), ask(http, saved())
    assert answer.headers["x-photo-page"] == "1 of 3"
    assert "first of 3 pictures" in answer.headers["x-photo-warning"]
    assert "x-photo-page" not in alone.headers
    assert np.array_equal(decoded(answer.content), decoded(alone.content))


def test_pages_that_cannot_be_read_are_told_of(http: httpx.Client) -> None:
    data = pages(3)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        data = data[: file.pages[2].offset + 20]
    first = ask(http, data)
    assert first.headers["x-photo-page"] == "1 of 2"
    assert "pages after number 2 cannot be read" in first.headers["x-photo-warning"]
    refused = ask(http, data, pages="all", format="same")
    assert refused.status_code == 422
    assert "damaged=accept" in refused.json()["detail"]
    answer = ask(http, data, pages="all", format="same", damaged="accept")
    assert "pages after number 2 cannot be read" in answer.headers["x-photo-warning"]
    with tifffile.TiffFile(io.BytesIO(answer.content)) as file:
        assert len(file.pages) == 2


def test_pixels_that_a_later_page_lacks_are_told_of(http: httpx.Client) -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        for _ in range(2):
            file.write(np.asarray(small("L")), photometric="minisblack")
    data = buffer.getvalue()[: -80 * 120 // 2]
    answer = ask(http, data, format="tiff", pages="all", damaged="accept")
    assert "about 25% of the pixels" in answer.headers["x-photo-warning"]
    assert ask(http, data, format="tiff", pages="all").status_code == 422


def test_a_damaged_photo_is_taken_with_a_warning_where_that_is_accepted(http: httpx.Client) -> None:
    data = encoded(small("L"), "JPEG")
    data = data[: -len(data) // 4]
    refused = ask(http, data)
    assert refused.status_code == 422
    assert "damaged=accept" in refused.json()["detail"]
    taken = ask(http, data, damaged="accept")
    assert taken.status_code == 200
    assert "pixels are missing" in taken.headers["x-photo-warning"]


def test_a_photo_in_colour_is_told_of_and_may_be_left_alone(http: httpx.Client) -> None:
    photo = encoded(small("RGB", (240, 160)), "PNG")
    assert ask(http, photo).headers["x-photo-colour"] == "colour"
    kept = ask(http, photo, colour="keep")
    assert kept.headers["x-photo-colour"] == "colour; kept"
    with Image.open(io.BytesIO(kept.content)) as image:
        assert np.array_equal(np.asarray(image), np.asarray(small("RGB", (240, 160))))
    grey = np.asarray(small("L", (240, 160)))
    assert ask(http, encoded(small("L"), "PNG")).headers["x-photo-colour"] == "grey"
    sepia = ((grey[..., np.newaxis] / 255) ** [0.75, 1, 1.35] * 255).astype(np.uint8)
    data = encoded(Image.fromarray(sepia), "PNG")
    answer = ask(http, data, colour="keep")
    assert answer.headers["x-photo-colour"] == "toned"
    assert answer.content == ask(http, data).content


def test_colours_that_are_kept_are_upright_and_of_16_bits(http: httpx.Client) -> None:
    wide = np.asarray(small("RGB", (240, 160))).astype(np.uint16) * 257 + 3
    buffer = io.BytesIO()
    tag = (274, "H", 1, 6, True)
    tifffile.imwrite(buffer, wide, photometric="rgb", extratags=[tag])
    answer = ask(http, buffer.getvalue(), colour="keep", format="tiff")
    out = tifffile.imread(io.BytesIO(answer.content))
    assert np.array_equal(out, np.rot90(wide, -1))


def test_metadata_goes_along_by_default(http: httpx.Client) -> None:
    exif = Image.Exif()
    exif[0x013B] = "Anna"
    data = encoded(small("L"), "JPEG", exif=exif)
    with Image.open(io.BytesIO(ask(http, data).content)) as image:
        assert image.getexif()[0x013B] == "Anna"
        assert "chromaserve" in image.getexif()[0x0131]
    assert b"Anna" not in ask(http, data, metadata="none").content
