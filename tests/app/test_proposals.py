"""The options `proposal` and `proposals`: several colourings of one photo."""

import base64
import io
import json
import zipfile
from itertools import combinations

import httpx
import numpy as np
import pytest

from tests.sample_photos import decoded, encoded, lightness, raw, small

OF_ANOTHER = '[{"x": 1, "y": 1, "color": "#335577", "photo": 7}]'


def send(http: httpx.Client, **options: str | int) -> httpx.Response:
    return http.post("/colorize", files={"file": ("rocket.jpg", raw("rocket.jpg"))}, params=options)


def test_several_proposals_come_as_a_zip_the_first_as_ever(http: httpx.Client) -> None:
    response = send(http, proposals=3)
    assert response.headers["content-type"] == "application/zip", response.text[:300]
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    told = json.loads(entries.pop("manifest.json"))
    assert list(entries) == ["rocket.png", "rocket-2.png", "rocket-3.png"]
    assert [photo["output"] for photo in told["photos"]] == list(entries)
    assert entries["rocket.png"] == send(http).content
    assert entries["rocket-3.png"] == send(http, proposal=3).content
    pictures = [decoded(each) for each in entries.values()]
    for one, other in combinations(pictures, 2):
        assert np.abs(one.astype(int) - other).max(-1).mean() > 4
        np.testing.assert_allclose(lightness(one), lightness(other), atol=1)


def test_several_proposals_as_json(small_http: httpx.Client) -> None:
    photo = base64.b64encode(raw("rocket.jpg")).decode()
    told = small_http.post(
        "/colorize",
        json={"file": photo, "proposals": 2, "format": "jpeg"},
        headers={"Accept": "application/json"},
    ).json()
    assert [each["output"] for each in told["photos"]] == ["photo.jpg", "photo-2.jpg"]
    assert told["photos"][0]["image"] != told["photos"][1]["image"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"proposals": 9}, "proposals"),
        ({"proposal": 0}, "proposal"),
        ({"proposals": 2, "proposal": 2}, "Send one of these"),
        ({"proposals": 2, "hints": OF_ANOTHER}, "hint 1 is for photo 7, and 1 came"),
    ],
)
def test_what_cannot_be_is_refused(
    small_http: httpx.Client, options: dict[str, int | str], says: str
) -> None:
    answer = send(small_http, **options)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


@pytest.mark.parametrize("more", [{}, {"format": "tiff"}], ids=["one page", "one result"])
def test_proposals_are_of_all_pages_where_those_are_one_result(
    small_http: httpx.Client, more: dict[str, str]
) -> None:
    book = encoded(small("L"), "TIFF", save_all=True, append_images=[small("L")])
    photo = book if more else raw("rocket.jpg")
    options = {"proposals": "2", "pages": "all", **more}
    answer = small_http.post("/colorize", files={"file": ("a", photo)}, params=options)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        suffix = "tif" if more else "png"
        assert archive.namelist() == [f"a.{suffix}", f"a-2.{suffix}", "manifest.json"]


def test_proposals_are_of_one_photo(small_http: httpx.Client) -> None:
    photos = [("file", ("a.jpg", raw("rocket.jpg"))), ("file", ("b.jpg", raw("rocket.jpg")))]
    answer = small_http.post("/colorize", files=photos, data={"proposals": "2"})
    assert (answer.status_code, answer.json()["detail"][:9]) == (422, "proposals")


def test_a_damaged_photo_has_its_own_problem(small_http: httpx.Client) -> None:
    photo = raw("rocket.jpg")[:9000]
    answer = small_http.post("/colorize", files={"file": photo}, data={"proposals": "3"})
    assert answer.json()["type"].endswith("damaged-photo")
