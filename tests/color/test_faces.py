"""Small faces in a photo, and the close-ups that the network sees of them."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from chromaserve.color.close_ups import MAX_CLOSE_UPS, close_ups, most_tiles
from chromaserve.color.faces import faces
from chromaserve.color.tiles import MAX_TILES, Tiling, joined, tiling
from chromaserve.store.contract import squeeze
from tests.sample_photos import load

Float = NDArray[np.float32]
NONE = np.empty((0, 4), np.float32)
WOMAN = cv2.cvtColor(load("astronaut.png"), cv2.COLOR_RGB2GRAY)
FACE = (175, 60, 98, 118)  # hers: left, top, width and height, read off the photo


def group(side: int, places: list[tuple[int, int]], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Her, so large, at those places of a grey photo of width and height `size`."""
    photo = np.full(size[::-1], 128, np.uint8)
    small = cv2.resize(WOMAN, (side, side), interpolation=cv2.INTER_AREA)
    for x, y in places:
        photo[y : y + side, x : x + side] = small
    return photo


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("dark", "light"), [(0, 255), (100, 170)])
@pytest.mark.parametrize("side", [512, 300])
def test_faces_are_found_where_they_are(depth: int, dark: int, light: int, side: int) -> None:
    grey = group(side, [(700, 300)], (1300, 900)) / 255 * (light - dark) + dark
    found = faces(np.rint(grey * (257 if depth == 16 else 1)).astype(f"uint{depth}"))
    assert len(found) == 1
    expected = np.array(FACE) * side / 512 + (700, 300, 0, 0)
    np.testing.assert_allclose(found[0], expected, atol=0.06 * side)


def test_among_larger_ones_small_faces_are_found() -> None:
    places = [(x, y) for y in (20, 300, 620) for x in range(100, 1000, 150)]
    photo = group(140, places, (1300, 900))  # faces of 27 pixels
    assert not len(faces(photo))
    photo[580:, 900:1220] = cv2.resize(WOMAN, (320, 320))
    assert len(faces(photo)) >= len(places) - 5


@pytest.mark.parametrize("value", [0, 90, 255])
def test_a_flat_frame_has_none(value: int) -> None:
    assert faces(np.full((600, 800), value, np.uint8)).shape == (0, 4)


QUIET = """
import threading
import cv2, numpy as np
from chromaserve.color.faces import faces
level = cv2.utils.logging.getLogLevel()
noise = np.random.default_rng(0).integers(0, 256, (300, 400), np.uint8)
threads = [threading.Thread(target=faces, args=(noise,)) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(cv2.utils.logging.getLogLevel() == level)
"""


def test_nothing_is_written_to_stderr_and_what_opencv_writes_else_stays() -> None:
    done = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.slow
def test_faces_are_the_same_in_many_threads_which_share_few_detectors() -> None:
    photos = [group(s, [(700, 300), (100, 80)], (1300, 900)) for s in range(200, 440, 10)]
    alone = [faces(photo) for photo in photos]
    with ThreadPoolExecutor(12) as threads:
        for expected, found in zip(alone, threads.map(faces, photos), strict=True):
            np.testing.assert_array_equal(found, expected)


HELD = """
import re
from concurrent.futures import ThreadPoolExecutor
import cv2
from chromaserve.pipeline.memory import return_freed
from tests.color.test_faces import WOMAN, faces, group
def held():
    return_freed()
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
photo = group(140, [(x, y) for y in (20, 300, 620) for x in range(100, 1000, 150)], (1300, 900))
photo[580:, 900:1220] = cv2.resize(WOMAN, (320, 320))
before = held()
with ThreadPoolExecutor(8) as threads:
    assert all(len(each) > 9 for each in threads.map(faces, [photo] * 24))
print(held() - before)
"""


@pytest.mark.slow
def test_what_small_faces_take_among_larger_ones_is_not_kept() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELD],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert int(done.stdout) < 180  # MiB; detectors that keep it have 280


@pytest.mark.parametrize("name", ["coffee.png", "rocket.jpg", "chelsea.png", "coins.png"])
def test_what_is_no_face_is_not_found(name: str) -> None:
    photo = np.asarray(Image.fromarray(load(name)).convert("L"))
    assert not len(faces(photo))


def crowd(count: int, size: tuple[int, int], face: float, seed: int = 3) -> Float:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, np.maximum(np.array(size) - face, 0), (count, 2))
    return np.hstack([corners, np.full((count, 2), face)]).astype(np.float32)


@pytest.mark.parametrize("faces", [NONE, crowd(3, (1200, 900), 200)], ids=["none", "large"])
def test_without_small_faces_a_photo_is_looked_at_as_it_was(faces: Float) -> None:
    assert close_ups(1200, 900, None, faces) is None
    assert close_ups(3000, 900, tiling(3000, 900, "auto"), faces) is None


@pytest.mark.parametrize("size", [(1200, 900), (612, 408), (4000, 6000)])
@pytest.mark.parametrize("count", [1, 4, 30, 300])
def test_close_ups_are_few_and_have_all_faces_whole(size: tuple[int, int], count: int) -> None:
    small = crowd(min(count, 200), size, 0.05 * min(size))
    found = close_ups(*size, None, small)
    assert found
    assert found.count <= min(count, MAX_CLOSE_UPS) <= most_tiles(*size, "auto")
    total = np.zeros((*found.size, 1))
    for place, weight in zip(found.places(), found.weights(), strict=True):
        assert weight.shape == (224, 224, 1)
        total[place] += weight
    middles = (small[:, :2] + small[:, 2:] / 2) * found.size[0] / size[1]
    rows, columns = middles[:, ::-1].astype(int).T
    assert total[rows, columns].min() > 0.99
    height = 0.05 * min(size) * found.size[0] / size[1]
    assert height >= 1.3 * 0.05 * 224 * np.sqrt(min(size) / max(size))  # what the whole view has


@pytest.mark.parametrize("place", [(-50, 400), (1190, -45), (1195, 890), (300, 899)])
def test_a_face_whose_middle_is_beyond_the_edge_has_a_close_up(place: tuple[int, int]) -> None:
    found = close_ups(1200, 900, None, np.array([(*place, 60, 60), (600, 450, 60, 60)], np.float32))
    assert found
    assert found.count == 2


@pytest.mark.parametrize("size", [(448, 1), (1, 30000), (30000, 448), (600, 140), (2000, 200)])
def test_a_photo_too_narrow_for_close_ups_has_none_however_small_its_faces(
    size: tuple[int, int],
) -> None:
    tiles = tiling(*size, "auto")
    assert tiles
    assert most_tiles(*size, "auto") == tiles.count
    for face in (1, 4, 15, 40):
        assert close_ups(*size, tiles, crowd(9, size, face)) is None


def test_a_close_up_of_a_lone_face_is_one_and_shows_more_than_it() -> None:
    found = close_ups(4000, 3000, None, np.array([[3800, 100, 150, 150]], np.float32))
    assert found
    assert found.count == 1
    assert 30 <= 150 * found.size[0] / 3000 <= 50


@pytest.mark.parametrize("width", [2000, 3000, 5000])
def test_in_a_wide_photo_small_faces_are_small_by_its_tiles(width: int) -> None:
    tiles = tiling(width, 1000, "auto")
    assert tiles
    row = np.array([[x, 500, 60, 60] for x in range(width // 3, width // 2, 90)], np.float32)
    found = close_ups(width, 1000, tiles, row)
    assert found
    assert found.size[0] >= 1.3 * 224
    assert tiles.count + found.count <= MAX_TILES == most_tiles(width, 1000, "auto")
    assert close_ups(width, 1000, tiles, row * (1, 1, 2, 2)) is None


def test_close_ups_fade_into_the_whole_view_and_are_nowhere_else() -> None:
    faces = ((180.0, 180.0, 60.0, 60.0), (820.0, 530.0, 60.0, 60.0))
    close = Tiling((600, 900), ((100, 100), (376, 676)), faces)
    seen = list(np.random.default_rng(0).uniform(0, 100, (2, 224, 224, 1)).astype(np.float32))
    flat = np.zeros((224, 224, 2), np.float32)
    whole, *tiles = (flat + np.float32(a) for a in (10, 50, 30))
    ab, share = joined(whole, seen, tiles, close), close.share()
    ab = (squeeze(whole, 600, 900) * (1 - share) + ab * share)[..., 0]
    assert ab[212, 212] == pytest.approx(50, abs=1)
    assert ab[560, 850] == pytest.approx(30, abs=1)
    assert ab[:130].max() == pytest.approx(10, abs=0.01)
    assert ab[300:, :750].max() == pytest.approx(10, abs=0.01)
    assert max(np.abs(np.diff(ab, axis=i)).max() for i in (0, 1)) < 3  # Lab units a pixel
