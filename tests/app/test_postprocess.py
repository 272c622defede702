"""The option `postprocess`: how colours come to the photo's size."""

import io
import json
import zipfile
from typing import get_args

import httpx
import numpy as np
import pytest
from PIL import Image

from chromaserve.store.contract import Postprocess
from tests.sample_photos import decoded, encoded, lightness, load, png16, raw, small

METHODS = get_args(Postprocess)


def colorize(http: httpx.Client, data: bytes, **options: str | float) -> bytes:
    response = http.post("/colorize", files={"file": ("a photo", data)}, params=options)
    assert response.status_code == 200, response.content[:400]
    return response.content


@pytest.mark.parametrize("method", METHODS)
def test_size_and_luminance_are_the_photos_own(http: httpx.Client, method: str) -> None:
    given = load("coffee.png")
    out = decoded(colorize(http, raw("coffee.png"), postprocess=method, vividness=1))
    assert out.shape == given.shape
    difference = np.abs(lightness(out) - lightness(given))
    assert difference.mean() <= 0.3
    assert difference.max() <= 1


@pytest.mark.slow
def test_methods_differ_and_repeat_to_the_byte(http: httpx.Client) -> None:
    photo = raw("astronaut.png")
    once = {method: colorize(http, photo, postprocess=method) for method in METHODS}
    assert len(set(once.values())) == len(METHODS)
    assert {method: colorize(http, photo, postprocess=method) for method in METHODS} == once


def test_the_default_is_the_models_and_a_form_field_does_too(small_http: httpx.Client) -> None:
    default = small_http.get("/models").json()["models"][-1]["default_postprocess"]
    photo = raw("coffee.png")
    assert colorize(small_http, photo) == colorize(small_http, photo, postprocess=default)
    form = small_http.post("/colorize", files={"file": photo}, data={"postprocess": "tv"})
    assert form.content == colorize(small_http, photo, postprocess="tv")


@pytest.mark.parametrize("method", ["tv", "crf"])
@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (2, 3)])
def test_odd_sizes(small_http: httpx.Client, method: str, size: tuple[int, int]) -> None:
    out = decoded(colorize(small_http, encoded(small("L", size), "PNG"), postprocess=method))
    assert out.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("method", ["tv", "crf"])
def test_16_bits_and_alpha(small_http: httpx.Client, method: str) -> None:
    samples = np.dstack([np.tile(np.linspace(9000, 55000, 256), (64, 1))] * 4).astype(np.uint16)
    out = decoded(colorize(small_http, png16(samples), postprocess=method))
    assert out.dtype == np.uint16
    assert np.array_equal(out[..., 3], samples[..., 3])
    assert np.abs(lightness(out) - lightness(samples)).max() <= 0.02


def test_manifest_and_json_say_which_was_used(small_http: httpx.Client) -> None:
    files = [("file", (name, encoded(Image.new("L", (40, 30), 90), "PNG"))) for name in "ab"]
    response = small_http.post("/colorize", files=files, params={"postprocess": "crf"})
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert json.loads(archive.read("manifest.json"))["postprocess"] == "crf"
    told = small_http.post("/colorize", files=files, headers={"accept": "application/json"}).json()
    assert (
        told["postprocess"] == small_http.get("/models").json()["models"][-1]["default_postprocess"]
    )


def test_another_name_is_refused_with_the_names_there_are(small_http: httpx.Client) -> None:
    response = small_http.post(
        "/colorize", files={"file": raw("coffee.png")}, params={"postprocess": "blur"}
    )
    assert response.status_code == 422
    assert response.json()["type"] == "/problems/invalid-options"
    assert all(method in response.json()["detail"] for method in METHODS)


def test_the_api_description_lists_the_names(small_http: httpx.Client) -> None:
    document = small_http.get("/openapi.json").json()
    parameters = document["paths"]["/colorize"]["post"]["parameters"]
    (option,) = [each for each in parameters if each["name"] == "postprocess"]
    assert option["schema"]["enum"] == list(METHODS)
    assert "postprocess" in document["components"]["schemas"]["Manifest"]["properties"]
