"""The option `album`: photos of one request agree on the colours of what is in several of them."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps
from skimage.color import rgb2lab

from tests.conftest import Start
from tests.sample_photos import decoded, encoded, load

RED = "#b03030"


def views() -> list[bytes]:
    """Two views of one scene, the second darker; and a photo of something else."""
    scene = Image.fromarray(load("coffee.png")).convert("L")
    width, height = scene.size
    one = scene.crop((0, 0, width * 5 // 6, height))
    other = scene.crop((width // 6, 0, width, height)).point(lambda grey: int(0.85 * grey))
    return [encoded(each, "PNG") for each in (one, other, stranger())]


def stranger() -> Image.Image:
    return Image.fromarray(load("astronaut.png")).convert("L")


def send(http: httpx.Client, photos: list[bytes], **options: str) -> httpx.Response:
    files = [("file", (f"{i}.png", photo)) for i, photo in enumerate(photos)]
    return http.post("/colorize", files=files, data=options, headers={"Accept": "application/zip"})


def results(answer: httpx.Response) -> Mapping[str, bytes]:
    assert answer.status_code == 200, answer.text[:400]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def ab(data: bytes) -> NDArray[np.float64]:
    return np.asarray(rgb2lab(decoded(data)[..., :3])[..., 1:])


def apart(one: bytes, other: bytes) -> float:
    """Mean distance of the colours of what both views show."""
    left, right = ab(one), ab(other)
    shift = 600 // 6  # of coffee.png's width
    both = left.shape[1] - shift
    return float(np.hypot(*np.moveaxis(left[:, shift:] - right[:, :both], -1, 0)).mean())


def test_views_of_one_scene_agree_and_another_photo_keeps_its_bytes(http: httpx.Client) -> None:
    photos = views()
    alone, agreed = results(send(http, photos)), results(send(http, photos, album="true"))
    assert apart(agreed["0.png"], agreed["1.png"]) < 0.7 * apart(alone["0.png"], alone["1.png"])
    before, after = (decoded(each["2.png"]) for each in (alone, agreed))
    np.testing.assert_array_equal(before, after)
    again = results(send(http, photos, album="true"))
    assert {name: again[name] for name in ("0.png", "1.png", "2.png")} == {
        name: agreed[name] for name in ("0.png", "1.png", "2.png")
    }


@pytest.mark.slow
def test_a_hint_on_one_photo_colours_the_same_thing_in_the_other(http: httpx.Client) -> None:
    photos = views()
    saucer = {"x": 440, "y": 230, "color": RED, "photo": 0}
    told = results(send(http, photos, album="true", hints=json.dumps([saucer])))
    plain = results(send(http, photos, album="true"))
    same_place = np.s_[220:240, 330:350]  # in the other view
    before, after = (ab(each["1.png"])[same_place].mean((0, 1)) for each in (plain, told))
    assert after[0] > before[0] + 10, "it is redder there"
    np.testing.assert_array_equal(decoded(told["2.png"]), decoded(plain["2.png"]))
    by_name = json.dumps([saucer | {"photo": "0.png"}])
    again = results(send(http, photos, album="true", hints=by_name))
    assert again["1.png"] == told["1.png"]


def test_without_album_hints_are_for_the_photos_that_they_name(small_http: httpx.Client) -> None:
    photos = views()[:2]
    hint = {"x": 100, "y": 100, "color": RED}
    both = results(send(small_http, photos, hints=json.dumps([hint | {"photo": 1}])))
    alone = [results(send(small_http, [each]))["0.png"] for each in photos]
    assert both["0.png"] == alone[0]
    assert both["1.png"] != alone[1]
    assert both["1.png"] == results(send(small_http, photos[1:], hints=json.dumps([hint])))["0.png"]


def test_a_photo_that_fails_does_not_harm_the_others(small_http: httpx.Client) -> None:
    photos = views()
    whole = results(send(small_http, photos, album="true"))
    told = results(send(small_http, [*photos, photos[0][:2000], b"nothing"], album="true"))
    manifest = json.loads(told["manifest.json"])
    assert ["problem" in entry for entry in manifest["photos"]] == [False] * 3 + [True] * 2
    for name in ("0.png", "1.png", "2.png"):
        assert told[name] == whole[name]


def test_a_photo_whose_hints_are_wrong_colours_no_other(small_http: httpx.Client) -> None:
    photos = views()
    plain = results(send(small_http, photos[1:], album="true"))
    region = {"region": [[300, 100], [900000, 100], [440, 300]], "color": RED, "photo": 0}
    for wrong in (region, {"x": 1e18, "y": 230, "color": RED, "photo": 0}):
        told = results(send(small_http, photos, album="true", hints=json.dumps([wrong])))
        [entry, *others] = json.loads(told["manifest.json"])["photos"]
        assert entry["problem"]["status"] == 422
        assert "problem" not in others[0]
        assert [told["1.png"], told["2.png"]] == [plain["0.png"], plain["1.png"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "status", "kind"),
    [("features raise", 500, "engine-failed"), ("features wait", 504, "photo-timeout")],
)
def test_what_photos_agree_on_does_not_hang_on_what_the_service_fails_at(
    start_small: Start, tmp_path: Path, mode: str, status: int, kind: str
) -> None:
    """A photo that it could not look at is asked for again, not left out."""
    armed = tmp_path / "armed"
    command = ["-m", "tests.app.broken_engine", str(armed)]
    server = start_small(command=command, photo_timeout_s=2)
    server.wait_ready()
    armed.write_text(mode)
    with server.client() as http:
        answer = send(http, views(), album="true")
        assert answer.status_code == status, answer.text[:400]
        assert answer.json()["type"] == f"/problems/{kind}"
        assert answer.json()["detail"].startswith("album, photo ")
    armed.unlink()


@pytest.mark.slow
def test_an_album_that_never_has_room_is_not_told_to_come_again(
    start_small: Start,
) -> None:
    # A quarter is for uploads, and for what is seen of them.
    server = start_small(max_memory_mb=16, max_upload_mb=2)
    server.wait_ready()
    with server.client() as http:
        answer = send(http, views(), album="true")
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-many-pixels")


def test_colours_that_are_kept_stay(small_http: httpx.Client) -> None:
    coloured = encoded(Image.fromarray(load("coffee.png")), "PNG")
    photos = [coloured, *views()]
    kept = results(send(small_http, photos, album="true", colour="keep"))
    np.testing.assert_array_equal(decoded(kept["0.png"]), load("coffee.png"))


def test_one_photo_alone_is_as_ever(small_http: httpx.Client) -> None:
    (photo,) = views()[:1]
    one = results(send(small_http, [photo], album="true"))
    assert one["0.png"] == results(send(small_http, [photo]))["0.png"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"album": "perhaps"}, "album"),
        ({"hints": '[{"x": 1, "y": 1, "color": "#aa0000"}]'}, "which of the 2 photos it is for"),
        ({"hints": '[{"x": 1, "y": 1, "color": "#aa0000", "photo": 2}]'}, "photo 2, and 2 came"),
        ({"hints": '[{"x": 1, "y": 1, "color": "#aa0000", "photo": "q"}]'}, "no photos are called"),
        ({"hints": '[{"x": 1, "y": 1, "color": "#aa0000", "photo": -1}]'}, "photo of hint 1 must"),
        ({"hints": '[{"x": 9999, "y": 1, "color": "#aa0000", "photo": 1}]'}, "outside the photo"),
    ],
)
def test_what_is_wrong_is_told(
    small_http: httpx.Client, options: dict[str, Any], said: str
) -> None:
    answer = send(small_http, views()[:2], **options)
    if answer.status_code == 200:  # of one photo
        problem = json.loads(results(answer)["manifest.json"])["photos"][1]["problem"]
    else:
        problem = answer.json()
    assert problem["type"] == "/problems/invalid-options"
    assert said in problem["detail"]


@pytest.mark.slow
def test_a_mirrored_photo_agrees_too(http: httpx.Client) -> None:
    scene = Image.fromarray(load("coffee.png")).convert("L")
    photos = [encoded(each, "PNG") for each in (scene, ImageOps.mirror(scene))]
    alone, agreed = results(send(http, photos)), results(send(http, photos, album="true"))

    def differ(found: Mapping[str, bytes]) -> float:
        return float(np.abs(ab(found["0.png"]) - ab(found["1.png"])[:, ::-1]).mean())

    assert differ(agreed) < 0.8 * differ(alone)
