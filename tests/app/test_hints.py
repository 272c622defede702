"""The option `hints`: colours that a client knows, at places of the photo."""

import json
import subprocess
import sys
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.color import rgb2lab

from tests.sample_photos import decoded, encoded, lightness, load, raw, small

Hints = list[dict[str, Any]]
GREEN = "#2e8b57"
RED = "#c03a2b"


def send(http: httpx.Client, photo: bytes, hints: Hints | str, **options: str) -> httpx.Response:
    text = hints if isinstance(hints, str) else json.dumps(hints)
    data = {"hints": text, **options}
    return http.post("/colorize", files={"file": ("photo", photo)}, data=data)


def colours(http: httpx.Client, photo: bytes, hints: Hints, **options: str) -> NDArray[Any]:
    answer = send(http, photo, hints, **options)
    assert answer.status_code == 200, answer.text[:400]
    return decoded(answer.content)


def chroma(pixels: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(rgb2lab(pixels[..., :3])[..., 1:])


def asked(colour: str) -> NDArray[np.float64]:
    pixel = np.array([[list(bytes.fromhex(colour[1:]))]], np.uint8)
    return np.asarray(chroma(pixel)[0, 0], np.float64)


def apart(pixels: NDArray[Any], colour: str) -> NDArray[np.float64]:
    """Distance of each pixel's chroma from a colour's, Lab units."""
    return np.asarray(np.hypot(*np.moveaxis(chroma(pixels) - asked(colour), -1, 0)))


def discs(side: int = 300) -> tuple[bytes, NDArray[np.bool_], NDArray[np.bool_]]:
    """Two light discs on a dark ground with grain, and what lies well inside of each."""
    y, x = np.mgrid[:side, :side]
    left, right = (np.hypot(y - side / 2, x - side * at) for at in (0.27, 0.73))
    grey = np.where(np.minimum(left, right) < side * 0.2, 150, 60)
    grey = grey + np.random.default_rng(0).normal(0, 2, grey.shape)
    photo = encoded(Image.fromarray(np.rint(grey).astype(np.uint8)), "PNG")
    return photo, left < side * 0.17, right < side * 0.17


def test_hints_colour_their_regions_up_to_the_edges_and_nothing_else(http: httpx.Client) -> None:
    photo, left, right = discs()
    before = colours(http, photo, [])
    one = colours(http, photo, [{"x": 70, "y": 130, "color": GREEN}])
    assert np.percentile(apart(one, GREEN)[left], 95) < 3
    y, x = np.mgrid[:300, :300]
    elsewhere = np.hypot(y - 150, x - 81) > 70
    assert np.abs(one[elsewhere].astype(int) - before[elsewhere]).mean() < 1
    two = colours(
        http, photo, [{"x": 70, "y": 130, "color": GREEN}, {"x": 230, "y": 160, "color": RED}]
    )
    assert np.percentile(apart(two, GREEN)[left], 95) < 3
    assert np.percentile(apart(two, RED)[right], 95) < 3


@pytest.mark.slow
@pytest.mark.parametrize("method", ["none", "crf"])
def test_a_real_photo_keeps_its_luminance_and_what_is_far(http: httpx.Client, method: str) -> None:
    photo, given = raw("astronaut.png"), load("astronaut.png")
    hint = {"x": 75, "y": 345, "color": "#3050c0"}  # a sleeve of the orange suit
    before, after = (colours(http, photo, h, postprocess=method) for h in ([], [hint]))
    moved = np.abs(lightness(after) - lightness(given))
    assert moved.mean() <= 0.3
    assert moved.max() <= 1
    sleeve = after[335:355, 65:85]
    a, b = chroma(sleeve).mean(axis=(0, 1))
    blue = np.arctan2(*asked("#3050c0")[::-1])
    assert np.degrees(np.abs(np.arctan2(b, a) - blue)) < 5
    assert 0.03 < (np.abs(after.astype(int) - before).max(axis=-1) > 4).mean() < 0.5
    far = np.s_[:300, 380:]  # the rocket
    np.testing.assert_array_equal(after[far], before[far])


def test_a_grey_hint_makes_grey_and_the_models_own_colour_changes_little(
    http: httpx.Client,
) -> None:
    photo, left, _ = discs()
    grey = colours(http, photo, [{"x": 70, "y": 130, "color": "#808080"}])
    assert np.ptp(grey[left].astype(int), axis=-1).max() <= 1
    before = colours(http, photo, [])
    red, green, blue = before[130, 70]
    same = colours(
        http, photo, [{"x": 70.5, "y": 130.5, "color": f"#{red:02x}{green:02x}{blue:02x}"}]
    )
    assert np.abs(same[120:140, 60:80].astype(int) - before[120:140, 60:80]).max() <= 3


def test_coordinates_are_of_the_upright_photo(http: httpx.Client) -> None:
    upright = Image.fromarray(load("coffee.png")[:, :, 0])
    hints = [{"x": 500, "y": 60, "radius": 12, "color": GREEN}]
    exif = Image.Exif()
    exif[0x0112] = 6  # is to be turned clockwise
    lying = encoded(upright.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    turned = colours(http, lying, hints)
    straight = colours(http, encoded(upright, "PNG"), hints)
    assert np.abs(turned.astype(int) - straight).mean() < 0.5
    assert apart(straight, GREEN)[60, 500] < 5


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (2, 3)])
def test_odd_sizes_and_hints_at_their_corners(
    small_http: httpx.Client, size: tuple[int, int]
) -> None:
    photo = encoded(Image.new("L", size, 128), "PNG")
    corner = {"x": size[0], "y": size[1], "color": GREEN}
    out = colours(small_http, photo, [{"x": 0, "y": 0, "radius": 1e5, "color": RED}, corner])
    assert out.shape == (size[1], size[0], 3)
    assert apart(out, GREEN)[-1, -1] < apart(out, RED)[-1, -1]


def test_a_stroke_and_a_region_colour_what_they_cross_and_enclose(http: httpx.Client) -> None:
    photo, left, right = discs()
    before = colours(http, photo, [])
    stroke = {"stroke": [[60, 130], [100, 170], [90, 150]], "radius": 3, "color": GREEN}
    drawn = colours(http, photo, [stroke])
    assert np.percentile(apart(drawn, GREEN)[left], 95) < 3
    np.testing.assert_array_equal(drawn[right], before[right])
    # A lasso around the right disc, and some of the ground with it.
    angles = np.linspace(0, 2 * np.pi, 40)
    lasso = np.stack([219 + 66 * np.cos(angles), 150 + 66 * np.sin(angles)], 1).round(1).tolist()
    both = colours(http, photo, [stroke, {"region": lasso, "color": RED}])
    assert np.percentile(apart(both, RED)[right], 95) < 3
    assert np.percentile(apart(both, GREEN)[left], 95) < 3
    y, x = np.mgrid[:300, :300]
    outside = (np.hypot(y - 150, x - 219) > 70) & (x > 150)
    np.testing.assert_array_equal(both[outside], drawn[outside])


def test_2000_points_come_in_one_request_at_full_length(small_http: httpx.Client) -> None:
    points = np.random.default_rng(4).uniform(0, 80, (1997, 2)).tolist()
    region = {"region": [[0, 0], [80, 0], [80, 80]], "color": GREEN}
    photo = encoded(small("L"), "PNG")
    out = colours(small_http, photo, [region, {"stroke": points, "radius": 1.5, "color": RED}])
    assert np.median(apart(out, RED)[:80, :80]) < 15
    answer = send(small_http, photo, [region, {"stroke": [*points, [1, 1]], "color": RED}])
    assert answer.status_code == 422
    assert "they have 2001 points, and may have 2000 together" in answer.json()["detail"]


def test_200_hints_come_in_one_request_and_by_the_query_too(small_http: httpx.Client) -> None:
    rng = np.random.default_rng(3)
    many = [
        {"x": x, "y": y, "radius": 1.2345678901234567, "color": RED}
        for x, y in rng.uniform(0, 80, (200, 2))
    ]
    photo = encoded(small("L"), "PNG")
    out = colours(small_http, photo, many)
    assert np.median(apart(out, RED)[:80, :80]) < 25
    few = json.dumps(many[:3])
    query = small_http.post("/colorize", files={"file": photo}, params={"hints": few})
    assert query.content == send(small_http, photo, few).content
    assert query.content != send(small_http, photo, []).content


HINT = {"x": 3, "y": 4, "color": GREEN}
WRONG: dict[str, tuple[Hints | str, str]] = {
    "no JSON": ("x=1", "list in JSON"),
    "no list": ('{"x": 1}', "list in JSON"),
    "no object": ("[7]", "hint 1 must be an object"),
    "no colour": ([HINT, {"x": 1, "y": 2}], "hint 2 has no color"),
    "a name for a colour": ([HINT | {"color": "green"}], "color of hint 1 must be six"),
    "another key": ([HINT, HINT | {"colour": GREEN}], "hint 2 has a key 'colour'"),
    "text for a number": ([HINT | {"x": "3"}], "x of hint 1 must be a number"),
    "not a number": ('[{"x": NaN, "y": 1, "color": "#000000"}]', "x of hint 1 must be a number"),
    "beyond numbers": ('[{"x": 1e999, "y": 1, "color": "#000000"}]', "x of hint 1 must be"),
    "negative": ([HINT | {"y": -1}], "y of hint 1 must be a number of pixels from the top"),
    "no radius": ([HINT | {"radius": 0}], "radius of hint 1 must be a number of pixels above 0"),
    "vast radius": ([HINT | {"radius": 1e9}], "radius of hint 1"),
    "too many": ([HINT] * 201, "more than 200"),
    "no points": ([{"stroke": [], "color": RED}], "stroke of hint 1 must be 1 to 2000 points"),
    "a line for a region": (
        [HINT, {"region": [[1, 1], [2, 2]], "color": RED}],
        "region of hint 2 must be 3 to 2000 points",
    ),
    "a point of one": ([{"stroke": [[1]], "color": RED}], "stroke of hint 1 must be"),
    "points by name": ([{"stroke": [{"x": 1, "y": 2}], "color": RED}], "stroke of hint 1 must be"),
    "a negative point": ([{"stroke": [[-1, 2]], "color": RED}], "stroke of hint 1 must be"),
    "endless": ('[{"stroke": [[1e999, 2]], "color": "#000000"}]', "stroke of hint 1 must be"),
    "both": ([{"stroke": [[1, 2]], "x": 1, "color": RED}], "hint 1 has a key 'x'"),
    "a wide region": (
        [{"region": [[1, 1], [2, 2], [1, 2]], "radius": 3, "color": RED}],
        "Keys are region, color",
    ),
    "a stroke without colour": ([{"stroke": [[1, 2]]}], "hint 1 has no color"),
    "a point outside": (
        [{"stroke": [[1, 2], [121, 4]], "color": RED}],
        "hint 1 has a point at (121, 4), outside the photo",
    ),
    "outside": ([HINT, HINT | {"x": 121}], "hint 2 is at (121, 4), outside the photo"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_hints_are_told_by_number_and_what_to_do(small_http: httpx.Client, case: str) -> None:
    hints, told = WRONG[case]
    answer = send(small_http, encoded(small("L"), "PNG"), hints)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/invalid-options")
    assert told in problem["detail"]
    assert problem["detail"].startswith("hints: ")


def test_hints_of_several_photos_name_theirs(small_http: httpx.Client) -> None:
    photo = encoded(small("L"), "PNG")
    answer = small_http.post(
        "/colorize", files=[("file", photo)] * 2, data={"hints": json.dumps([HINT])}
    )
    assert answer.status_code == 422
    assert "hint 1 does not say which of the 2 photos it is for" in answer.json()["detail"]


def test_a_hint_can_be_made_without_the_libraries_of_the_service() -> None:
    code = (
        "import sys; from chromaserve.pipeline.hints import Hint; Hint(x=1, y=2, color='#aabbcc');"
        "print(sorted({'cv2', 'scipy', 'fastapi', 'ncnn', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_api_description_has_them(small_http: httpx.Client) -> None:
    post = small_http.get("/openapi.json").json()["paths"]["/colorize"]["post"]
    (query,) = [each for each in post["parameters"] if each["name"] == "hints"]
    kinds = query["schema"]["contentSchema"]["items"]["anyOf"]
    assert [kind["required"] for kind in kinds] == [
        ["x", "y", "color"],
        ["stroke", "color"],
        ["region", "color"],
    ]
    assert query["schema"]["type"] == "string"
