"""The option `reference`: another photo, in colour, whose colours are to be used."""

import base64
import io

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.sample_photos import decoded, encoded, lightness, load, raw

WIDTH = 320
"""Of each of two views of one photo; they have 128 columns in common."""
Photo = NDArray[np.uint8]


def views() -> tuple[Photo, Photo]:
    """Two overlapping views of one scene, uint8 [H, 320, 3]."""
    photo = load("astronaut.png")[..., :3]
    return photo[:, :WIDTH], photo[:, -WIDTH:]


def png(pixels: Photo, mode: str = "RGB") -> bytes:
    return encoded(Image.fromarray(pixels).convert(mode), "PNG")


def send(http: httpx.Client, reference: bytes | None, **options: str) -> httpx.Response:
    left, _ = views()
    files = {"file": ("left.png", png(left, "L"))}
    if reference is not None:
        files["reference"] = ("reference", reference)
    return http.post("/colorize", files=files, data=options)


def error(answer: httpx.Response, truth: Photo) -> float:
    """Mean distance of a result's colours from the truth, per channel of 8 bits."""
    assert answer.status_code == 200, answer.text[:300]
    return float(np.abs(decoded(answer.content)[..., :3].astype(int) - truth).mean())


def test_another_view_of_the_scene_gives_its_colours(http: httpx.Client) -> None:
    left, right = views()
    plain, told = send(http, None), send(http, png(right))
    assert error(told, left) < 0.8 * error(plain, left)
    np.testing.assert_allclose(
        lightness(decoded(told.content)), lightness(decoded(plain.content)), atol=1
    )


def test_another_scene_changes_next_to_nothing(http: httpx.Client) -> None:
    left, _ = views()
    plain, told = send(http, None), send(http, raw("coffee.png"))
    assert abs(error(told, left) - error(plain, left)) < 0.5


def test_hints_win_over_the_reference(http: httpx.Client) -> None:
    _, right = views()
    hint = '[{"x": 60, "y": 60, "radius": 12, "color": "#2020ff"}]'
    told = decoded(send(http, png(right), hints=hint).content)[56:64, 56:64].astype(int)
    assert (told[..., 2] - told[..., 0]).mean() > 30


def test_one_reference_is_for_all_photos_and_in_json_a_member(small_http: httpx.Client) -> None:
    left, right = views()
    wanted = send(small_http, png(right)).content
    photo, reference = (base64.b64encode(each).decode() for each in (png(left, "L"), png(right)))
    told = small_http.post(
        "/colorize",
        json={"file": [photo, photo], "reference": f"data:image/png;base64,{reference}"},
        headers={"Accept": "application/json"},
    ).json()
    images = [base64.b64decode(each["image"]) for each in told["photos"]]
    assert images == [wanted, wanted]


@pytest.mark.slow
def test_the_reference_counts_for_tiles_and_proposals_too(http: httpx.Client) -> None:
    left, right = views()
    for options in ({"look": "tiles"}, {"proposal": "3"}):
        plain, told = send(http, None, **options), send(http, png(right), **options)
        assert error(told, left) < 0.9 * error(plain, left)


def test_what_has_been_done_is_noted_in_the_result(small_http: httpx.Client) -> None:
    _, right = views()
    exif = Image.open(io.BytesIO(send(small_http, png(right)).content)).getexif()
    assert "reference" in str(exif[0x0131])


@pytest.mark.parametrize(
    ("reference", "status", "says"),
    [
        (png(views()[1], "L"), 422, "reference: this photo is grey"),
        (raw("rocket.jpg")[:9000], 422, "reference: "),
        (b"no photo at all", 415, "reference: "),
    ],
    ids=["grey", "damaged", "no-photo"],
)
def test_what_cannot_be_a_reference_is_refused(
    small_http: httpx.Client, reference: bytes, status: int, says: str
) -> None:
    answer = send(small_http, reference)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert says in answer.json()["detail"]


def test_a_sepia_print_has_no_colours_to_give(small_http: httpx.Client) -> None:
    _, right = views()
    grey = right.mean(-1, keepdims=True)
    sepia = np.clip(grey * np.array([1.0, 0.85, 0.6]), 0, 255).astype(np.uint8)
    answer = send(small_http, png(sepia))
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-options")
    assert "toned" in answer.json()["detail"]


def test_a_form_whose_field_was_left_empty_has_no_reference(small_http: httpx.Client) -> None:
    left, _ = views()
    empty = [("file", ("a.png", png(left, "L"))), ("reference", ("", b""))]
    assert small_http.post("/colorize", files=empty).content == send(small_http, None).content


def test_two_references_are_one_too_many(small_http: httpx.Client) -> None:
    left, right = views()
    files = [("file", ("a.png", png(left, "L")))]
    files += [("reference", (f"{n}.png", png(right))) for n in range(2)]
    answer = small_http.post("/colorize", files=files)
    assert answer.status_code == 422
    assert "reference is one photo" in answer.json()["detail"]
