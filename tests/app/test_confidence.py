"""The option `confidence`: a figure, places for hints, a map."""

import base64
import io
import json
import zipfile

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.sample_photos import decoded, raw


def send(http: httpx.Client, name: str = "rocket.jpg", **options: str) -> httpx.Response:
    answer = http.post("/colorize", files={"file": (name, raw(name))}, data=options)
    assert answer.status_code == 200, answer.text[:300]
    return answer


def places(answer: httpx.Response) -> list[tuple[float, ...]]:
    told = answer.headers["x-hint-places"].split()
    return [tuple(map(float, place.split(","))) for place in told]


def test_the_figure_comes_with_the_colours_as_ever(http: httpx.Client) -> None:
    plain, told = send(http), send(http, confidence="figure")
    assert told.content == plain.content
    assert "x-photo-confidence" not in plain.headers
    assert 0 < float(told.headers["x-photo-confidence"]) < 1
    width, height = Image.open(io.BytesIO(plain.content)).size
    assert len(places(told)) == 3
    assert all(0 <= x <= width and 0 <= y <= height for x, y in places(told))


def test_the_map_is_grey_has_the_photos_size_and_the_figure_for_its_mean(
    http: httpx.Client,
) -> None:
    answer = send(http, confidence="png")
    assert answer.headers["content-type"] == "image/png"
    assert "rocket-confidence.png" in answer.headers["content-disposition"]
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.mode == "L"
        told = np.asarray(image)
    assert told.shape == decoded(send(http).content).shape[:2]
    figure = float(answer.headers["x-photo-confidence"])
    assert told.mean() / 255 == pytest.approx(figure, abs=0.02)
    assert told.std() > 5
    assert (
        answer.headers["x-hint-places"] == send(http, confidence="figure").headers["x-hint-places"]
    )


def test_a_hint_makes_its_region_sure(http: httpx.Client) -> None:
    before = send(http, confidence="png")
    x, y = places(before)[0]
    hint = json.dumps([{"x": x, "y": y, "color": "#6ea6dc"}])
    after = send(http, confidence="png", hints=hint)
    assert float(after.headers["x-photo-confidence"]) > float(before.headers["x-photo-confidence"])
    with Image.open(io.BytesIO(after.content)) as image:
        assert np.asarray(image)[int(y), int(x)] > 230
    assert (x, y) not in places(after)


def test_json_and_zip_tell_it_of_each_photo(small_http: httpx.Client) -> None:
    photo = base64.b64encode(raw("rocket.jpg")).decode()
    told = small_http.post(
        "/colorize",
        json={"file": [photo, photo], "confidence": "png"},
        headers={"Accept": "application/json"},
    ).json()
    for each in told["photos"]:
        assert 0 < each["confidence"] < 1
        assert [set(place) for place in each["hint_places"]] == [{"x", "y"}] * 3
    files = [("file", ("a.jpg", raw("rocket.jpg"))), ("file", ("a.jpg", raw("rocket.jpg")))]
    answer = small_http.post("/colorize", files=files, data={"confidence": "png"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = archive.namelist()
        manifest = json.loads(archive.read("manifest.json"))
    assert names == ["a-confidence.png", "a-2-confidence.png", "manifest.json"]
    assert manifest["photos"][0]["confidence"] == told["photos"][0]["confidence"]


def test_a_photo_that_keeps_its_colours_has_no_figure_and_a_white_map(
    small_http: httpx.Client,
) -> None:
    answer = send(small_http, "astronaut.png", confidence="png", colour="keep")
    assert "x-photo-confidence" not in answer.headers
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.getextrema() == (255, 255)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"confidence": "jpeg"}, "confidence"),
        ({"confidence": "png", "format": "jpeg"}, "Leave format out"),
        ({"confidence": "png", "pages": "all", "format": "tiff"}, "Leave format out"),
    ],
)
def test_what_cannot_be_is_refused(
    small_http: httpx.Client, options: dict[str, str], says: str
) -> None:
    answer = small_http.post("/colorize", files={"file": raw("rocket.jpg")}, data=options)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


def test_who_accepts_no_png_gets_no_map(small_http: httpx.Client) -> None:
    answer = small_http.post(
        "/colorize?confidence=png",
        content=raw("rocket.jpg"),
        headers={"Accept": "image/jpeg", "Content-Type": "image/jpeg"},
    )
    assert answer.status_code == 406
