"""Several photos in one request."""

import base64
import io
import json
import zipfile
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.conftest import Start
from tests.sample_photos import decoded, encoded, raw, small
from tests.small_network import small_http_instead

Files = list[tuple[str, tuple[str, bytes]]]


# Nothing here is about colours.
http = small_http_instead


def files(*named: tuple[str, bytes]) -> Files:
    return [("file", each) for each in named]


def photo(size: tuple[int, int] = (120, 80)) -> bytes:
    return encoded(small("L", size), "PNG")


def unzipped(response: httpx.Response) -> tuple[dict[str, bytes], dict[str, Any]]:
    assert response.status_code == 200, response.content[:400]
    assert response.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        assert {entry.compress_type for entry in archive.infolist()[:-1]} <= {zipfile.ZIP_STORED}
        entries = {name: archive.read(name) for name in archive.namelist()}
    return entries, json.loads(entries.pop("manifest.json"))


def test_many_photos_come_back_as_a_zip_named_after_the_inputs(http: httpx.Client) -> None:
    given = files(("a.jpg", raw("rocket.jpg")), ("b.png", raw("chelsea.png")))
    entries, manifest = unzipped(http.post("/colorize", files=given))
    assert list(entries) == ["a.png", "b.png"]
    assert decoded(entries["a.png"]).shape == (427, 640, 3)
    assert decoded(entries["b.png"]).shape == (300, 451, 3)
    assert [p["status"] for p in manifest["photos"]] == [200, 200]
    alone = http.post("/colorize", files=given[:1]).content
    assert np.abs(decoded(alone).astype(int) - decoded(entries["a.png"])).max() <= 1


def test_a_zip_can_be_read_without_its_directory(http: httpx.Client) -> None:
    # Tools that unpack while they download rely on sizes in each entry's own header.
    response = http.post("/colorize", files=files(("a", photo()), ("b", photo((50, 60)))))
    content, sizes = response.content, []
    while content[:4] == b"PK\3\4":
        size, name, extra = (int.from_bytes(content[i:j], "little") for i, j in
                             ((18, 22), (26, 28), (28, 30)))  # fmt: skip
        assert not content[6] & 8
        sizes.append(size)
        content = content[30 + name + extra + size :]
    assert len(sizes) == 3
    assert min(sizes) > 0
    assert content[:4] == b"PK\1\2"


def test_names_are_safe_and_told_apart(http: httpx.Client) -> None:
    names = ["../x.png", "x.jpg", "X.tif", "a\\b.png", "", "con.png"]
    given = files(*((name, photo()) for name in names if name))
    entries, manifest = unzipped(http.post("/colorize", files=given))
    assert list(entries) == ["x.png", "x-2.png", "X-3.png", "b.png", "_con.png"]
    assert [p["output"] for p in manifest["photos"]] == list(entries)


def test_one_bad_photo_does_not_spoil_the_others(http: httpx.Client) -> None:
    given = files(("bad.png", photo()[:200]), ("good.png", photo()), ("text.jpg", b"Dear all,"))
    entries, manifest = unzipped(http.post("/colorize", files=given))
    assert list(entries) == ["good.png"]
    assert [p["status"] for p in manifest["photos"]] == [422, 200, 415]
    assert [p["input"] for p in manifest["photos"]] == ["bad.png", "good.png", "text.jpg"]
    assert manifest["photos"][0]["problem"]["type"] == "/problems/damaged-photo"
    assert manifest["photos"][2]["problem"]["detail"]


def test_json_on_request(http: httpx.Client) -> None:
    given = files(("a.png", raw("chelsea.png")), ("bad", b"nothing of use"), ("b.png", photo()))
    response = http.post("/colorize", files=given, headers={"accept": "application/json"})
    assert response.headers["content-type"] == "application/json"
    document = response.json()
    assert document["media_type"] == "image/png"
    good, bad, small_one = document["photos"]
    assert (good["width"], good["height"], good["status"]) == (451, 300, 200)
    assert decoded(base64.b64decode(good["image"], validate=True)).shape == (300, 451, 3)
    assert (bad["status"], bad["problem"]["title"]) == (415, "Unsupported image format")
    assert "image" not in bad
    assert decoded(base64.b64decode(small_one["image"])).shape == (80, 120, 3)


def test_when_every_photo_fails_the_request_does(http: httpx.Client) -> None:
    given = files(("a", b"text"), ("b.png", photo()[:-40]))
    response = http.post("/colorize", files=given)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert [error["status"] for error in response.json()["errors"]] == [415, 422]


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(
    ("accept", "single", "several"),
    [
        ("application/problem+json", "image/png", "application/zip"),  # openapi-generator
        ("*/*", "image/png", "application/zip"),
        ("image/png, application/json;q=0.5", "image/png", "application/json"),
        ("application/zip", "application/zip", "application/zip"),
        ("application/json;q=0.9, application/zip;q=0.1", "application/json", "application/json"),
        ("image/*, application/*;q=0.1", "image/png", "application/zip"),
        ("image/jpeg, application/json;q=0.1", "image/jpeg", "application/json"),
        ("image/png;q=0, image/webp, */*;q=0.2", "image/webp", "application/zip"),
        ("text/html, */*;q=0.1", "image/png", "application/zip"),
        ("image/png", "image/png", None),
        ("text/html", None, None),
        ("application/zip;q=0, application/json;q=0, text/*", None, None),
    ],
)
def test_accept_chooses(
    http: httpx.Client, many: bool, accept: str, single: str | None, several: str | None
) -> None:
    given = files(*((f"{i}.png", photo()) for i in range(2 if many else 1)))
    response = http.post("/colorize", files=given, headers={"accept": accept})
    expected = several if many else single
    if expected is None:
        assert response.status_code == 406
        assert response.headers["content-type"] == "application/problem+json"
        assert "application/zip" in response.json()["detail"]
    else:
        assert response.headers["content-type"] == expected


def test_formats_apply_to_every_photo(http: httpx.Client) -> None:
    given = files(("a.png", photo()), ("b.png", photo()))
    entries, _ = unzipped(http.post("/colorize", files=given, data={"format": "jpeg"}))
    assert list(entries) == ["a.jpg", "b.jpg"]
    assert all(data.startswith(b"\xff\xd8\xff") for data in entries.values())


@pytest.mark.slow
def test_photos_behind_a_book_wait_for_it_where_memory_is_short(start_small: Start) -> None:
    """Their results would hold what its next pages wait for."""
    server = start_small(
        max_memory_mb=64, max_upload_mb=8, cache_mb=0, photo_timeout_s=10, photo_threads=4
    )
    server.wait_ready()
    noise = np.random.default_rng(0).integers(0, 256, (800, 900), np.uint8)
    page = Image.fromarray(np.full((1640, 1900), 99, np.uint8))
    book = encoded(
        small("L", (60, 60)),
        "TIFF",
        save_all=True,
        append_images=[page],
        compression="tiff_deflate",
    )
    large = encoded(Image.fromarray(noise), "PNG")
    given = files(("book", book), *((f"{n}", large) for n in range(3)))
    options = {"pages": "all", "format": "tiff", "look": "whole"}
    with server.client() as client:
        _, manifest = unzipped(client.post("/colorize", files=given, params=options))
    assert [each["status"] for each in manifest["photos"]] == [200] * 4
