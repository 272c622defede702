"""The option `look`: wide photos, and groups, seen in tiles too."""

import io
import re

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import Start
from tests.sample_photos import decoded, encoded, lightness, load, raw


def panorama(width: int = 1200, height: int = 300) -> bytes:
    """A cat and a coffee and a rocket in a row."""
    parts = [
        Image.fromarray(load(name)).convert("L").resize((width // 3, height))
        for name in ("chelsea.png", "coffee.png", "rocket.jpg")
    ]
    return encoded(Image.fromarray(np.hstack([np.asarray(part) for part in parts])), "PNG")


def colorize(http: httpx.Client, photo: bytes, **options: str | int) -> tuple[bytes, int]:
    """The result, and how often the network looked."""
    answer = http.post("/colorize", files={"file": photo}, params=options)
    assert answer.status_code == 200, answer.text[:300]
    found = re.search(
        r'inference;desc="batch=\d+(?: looks=(\d+))?"', answer.headers["server-timing"]
    )
    assert found
    return answer.content, int(found[1] or 1)


@pytest.mark.parametrize("name", ["coffee.png", "camera.png", "rocket.jpg"])
def test_an_ordinary_photo_is_what_it_was(small_http: httpx.Client, name: str) -> None:
    whole = colorize(small_http, raw(name), look="whole")
    assert whole[1] == 1
    assert colorize(small_http, raw(name)) == colorize(small_http, raw(name), look="auto") == whole


@pytest.mark.slow
def test_a_wide_photo_is_seen_in_tiles_and_keeps_its_lightness(http: httpx.Client) -> None:
    photo = panorama()
    own, looks = colorize(http, photo)
    assert looks == 8  # 4:1, tiles as high as it is, half of each its neighbour's too
    assert colorize(http, photo) == (own, looks)
    whole, one = colorize(http, photo, look="whole")
    assert one == 1
    assert own != whole
    np.testing.assert_allclose(lightness(decoded(own)), lightness(decoded(whole)), atol=1)
    with Image.open(io.BytesIO(own)) as image:
        assert "7 tiles" in image.getexif()[0x131]


def test_a_tall_photo_is_seen_as_a_wide_one_is(small_http: httpx.Client) -> None:
    with Image.open(io.BytesIO(panorama())) as image:
        tall = encoded(image.transpose(Image.Transpose.ROTATE_90), "PNG")
    assert colorize(small_http, tall)[1] == 8


def class_photo(side: int = 200) -> tuple[bytes, list[tuple[int, int]]]:
    """Six people, and where they are: a photo of 1200 × 800 in which their faces are small."""
    photo = np.asarray(Image.fromarray(load("coffee.png")).convert("L").resize((1200, 800))).copy()
    person = Image.fromarray(load("astronaut.png")).convert("L").resize((side, side))
    places = [(x, y) for y in (80, 330) for x in (250, 500, 750)]
    for x, y in places:
        photo[y : y + side, x : x + side] = np.asarray(person)
    return encoded(Image.fromarray(photo), "PNG"), places


def skin(colours: NDArray[np.uint8], places: list[tuple[int, int]], side: int) -> float:
    """Red less blue, of her cheeks and forehead, median over all of her."""
    left, top, right, bottom = (round(side * part / 512) for part in (190, 80, 260, 170))
    faces = [colours[y + top : y + bottom, x + left : x + right].astype(int) for x, y in places]
    return float(np.median([np.median(face[..., 0] - face[..., 2]) for face in faces]))


def test_small_faces_are_seen_close_and_keep_their_colour(http: httpx.Client) -> None:
    photo, places = class_photo()
    own, looks = colorize(http, photo)
    assert 2 <= looks <= 10
    assert colorize(http, photo) == (own, looks)
    whole, one = colorize(http, photo, look="whole")
    assert one == 1
    alone, _ = colorize(http, raw("astronaut.png"))
    to_be = skin(decoded(alone), [(0, 0)], 512)
    assert skin(decoded(whole), places, 200) < 0.6 * to_be
    assert skin(decoded(own), places, 200) > 0.75 * to_be
    np.testing.assert_allclose(lightness(decoded(own)), lightness(decoded(whole)), atol=1)
    differs = np.abs(decoded(own).astype(int) - decoded(whole)).max(axis=-1) > 3
    assert not differs[:, :240].any()  # where nobody is, the colours are those of the whole view
    assert not differs[560:].any()
    with Image.open(io.BytesIO(own)) as image:
        assert f"{looks - 1} close-ups" in image.getexif()[0x131]


@pytest.mark.slow
def test_where_memory_has_no_room_for_close_ups_a_photo_is_taken_without(
    start_small: Start,
) -> None:
    photo, _ = class_photo()
    for memory_mb, fewest, most in ((24, 1, 1), (90, 2, 10)):
        server = start_small(max_memory_mb=memory_mb, max_upload_mb=3)
        server.wait_ready()
        with server.client() as http:
            assert fewest <= colorize(http, photo)[1] <= most
            assert colorize(http, photo, look="whole")[1] == 1
            assert 'memory_bytes{use="photos"} 0.0' in http.get("/metrics").text


def test_tiles_of_any_photo_where_they_are_asked_for(small_http: httpx.Client) -> None:
    group, looks = colorize(small_http, raw("astronaut.png"), look="tiles")
    assert looks == 10
    assert group != colorize(small_http, raw("astronaut.png"))[0]


@pytest.mark.parametrize("more", [{"postprocess": "tv"}, {"postprocess": "crf"}, {"proposal": 2}])
def test_other_options_work_with_tiles(
    small_http: httpx.Client, more: dict[str, str | int]
) -> None:
    own, _ = colorize(small_http, panorama())
    other, _ = colorize(small_http, panorama(), **more)
    assert decoded(other).shape == (300, 1200, 3)
    assert other != own


def edge(colours: NDArray[np.uint8], columns: slice) -> float:
    """Largest step of chroma from pixel to pixel along rows of a smooth picture, 8-bit codes."""
    of = colours[:, columns].astype(int)
    return float(np.abs(np.diff(of[..., 0] - of[..., 2], axis=1)).max())


def test_there_is_no_seam_where_tiles_meet(http: httpx.Client) -> None:
    ramp = np.linspace(20, 235, 1600)[np.newaxis] + np.linspace(-15, 15, 400)[:, np.newaxis]
    made, looks = colorize(http, encoded(Image.fromarray(ramp.astype(np.uint8)), "PNG"))
    assert looks == 8
    assert edge(decoded(made), slice(None)) <= 4


def test_a_look_that_is_none_is_refused(small_http: httpx.Client) -> None:
    answer = small_http.post("/colorize", files={"file": panorama()}, params={"look": "twice"})
    assert answer.status_code == 422
    assert "look" in answer.json()["detail"]
