"""Every example does what it says, against a real service, and fails in words."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

# The browser tests' package brings a Node of its own, on every machine.
from playwright._impl._driver import compute_driver_executable

from tests.client.faulty import Fault, Proxy, proxy_to
from tests.conftest import Server
from tests.sample_photos import decoded
from tests.small_network import small_http_instead, small_server_instead

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
GREY = ROOT / "samples" / "grey"
NODE = str(compute_driver_executable()[0])
ONE_PHOTO = {
    "python/one_photo.py": [sys.executable],
    "curl/one-photo.sh": [],
    "javascript/colorize.mjs": [NODE],
}


def run(example: str, *arguments: object, url: str = "") -> subprocess.CompletedProcess[str]:
    command = [*ONE_PHOTO.get(example, []), str(EXAMPLES / example), *map(str, arguments)]
    if example.endswith(".py") and example not in ONE_PHOTO:
        command.insert(0, sys.executable)
    environment = {**os.environ, "CHROMASERVE_URL": url, "NO_PROXY": "127.0.0.1"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=120
    )


# Nothing here is about colours.
server = small_server_instead
http = small_http_instead


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with proxy_to(server.url) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("example", ONE_PHOTO)
def test_one_photo(example: str, proxy: Proxy, http: httpx.Client, tmp_path: Path) -> None:
    photo, output = GREY / "cat.jpg", tmp_path / "colour.png"
    wanted = http.post(
        "/colorize", files={"file": photo.read_bytes()}, params={"vividness": "0.8"}
    ).content
    proxy.faults.append(Fault(503, {"Retry-After": "0"}))
    done = run(example, photo, output, url=proxy.url)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(decoded(output.read_bytes()), decoded(wanted))
    assert len(proxy.seen) == 2
    output.unlink()
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(photo.read_bytes()[:1000])
    failed = run(example, damaged, output, url=proxy.url)
    assert failed.returncode == 1
    assert "The JPEG file is damaged" in failed.stderr
    assert not output.exists()


@pytest.mark.parametrize("example", ONE_PHOTO)
def test_one_photo_gives_up_in_words_where_the_service_asks_for_a_day(
    example: str, proxy: Proxy, tmp_path: Path
) -> None:
    said = b'{"title": "Too many requests", "status": 429, "detail": "Tomorrow again."}'
    headers = {"Retry-After": "86400", "Content-Type": "application/problem+json"}
    proxy.faults.append(Fault(429, headers, said))
    done = run(example, GREY / "cat.jpg", tmp_path / "colour.png", url=proxy.url)
    assert done.returncode in (1, 75)
    assert "Tomorrow again." in done.stderr or "Try again in 86400 s" in done.stderr
    assert len(proxy.seen) == 1


def test_one_photo_by_curl_loses_no_result_of_before(tmp_path: Path) -> None:
    output = tmp_path / "colour.png"
    output.write_bytes(b"of before")
    failed = run("curl/one-photo.sh", tmp_path / "none.jpg", output, url="http://127.0.0.1:9")
    assert failed.returncode == 1
    assert "of before" not in failed.stderr
    assert output.read_bytes() == b"of before"


@pytest.mark.parametrize("name", ["a, b.jpg", "a;b.jpg", 'a"b.jpg', "a\\b.jpg"])
def test_curl_takes_photos_of_any_name(name: str, server: Server, tmp_path: Path) -> None:
    photo, output = shutil.copy(GREY / "cat.jpg", tmp_path / name), tmp_path / "colour.png"
    assert run("curl/one-photo.sh", photo, output, url=server.url).returncode == 0
    assert decoded(output.read_bytes()).shape == (300, 451, 3)
    done = run("curl/many-photos.sh", tmp_path / "colour", photo, url=server.url)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "colour").glob("*.png"))) == 1


@pytest.mark.parametrize("example", ["curl/many-photos.sh", "python/folder.py"])
def test_photos_are_not_replaced_by_their_results(
    example: str, server: Server, tmp_path: Path
) -> None:
    photos = three_photos(tmp_path / "photos")
    before = [photo.read_bytes() for photo in photos]
    given = photos[:1] if example.endswith(".sh") else [tmp_path / "photos"]
    order = [tmp_path / "photos", *given]
    failed = run(example, *order, url=server.url)
    assert failed.returncode == 1
    assert "is there already" in failed.stderr
    assert [photo.read_bytes() for photo in photos] == before


def three_photos(folder: Path) -> list[Path]:
    folder.mkdir()
    photos = [folder / f"{name}.jpg" for name in ("cat", "coffee", "damaged")]
    for photo in photos[:2]:
        shutil.copy(GREY / photo.name, photo)
    photos[2].write_bytes(photos[0].read_bytes()[:1000])
    return photos


def test_a_folder(server: Server, tmp_path: Path) -> None:
    three_photos(tmp_path / "grey")
    done = run("python/folder.py", tmp_path / "grey", tmp_path / "colour", url=server.url)
    assert done.returncode == 1
    assert "3/3 damaged.jpg: 422 Damaged photo" in done.stderr
    assert sorted(each.name for each in (tmp_path / "colour").iterdir()) == [
        "cat.webp",
        "coffee.webp",
    ]


def test_many_photos_by_curl(server: Server, tmp_path: Path) -> None:
    photos = three_photos(tmp_path / "with space")
    done = run("curl/many-photos.sh", tmp_path / "colour", *photos, url=server.url)
    assert done.returncode == 0, done.stderr
    unpacked = sorted(each.name for each in (tmp_path / "colour").iterdir())
    assert unpacked == ["cat.png", "coffee.png", "manifest.json"]
    failed = run("curl/many-photos.sh", tmp_path / "none", photos[2], photos[2], url=server.url)
    assert failed.returncode == 1
    assert "all-photos-failed" in failed.stderr


def test_the_library(tmp_path: Path) -> None:
    output = tmp_path / "colour.png"
    done = run("python/library.py", GREY / "cat.jpg", output)
    assert done.returncode == 0, done.stderr
    sheet = decoded(output.read_bytes())
    assert sheet.shape == (300, 3 * 451, 3)
    colourful = [np.ptp(part, axis=2).mean() for part in np.split(sheet, 3, axis=1)]
    assert colourful[0] < colourful[1] < colourful[2]


def test_every_example_is_run() -> None:
    run_here = {*ONE_PHOTO, "python/folder.py", "python/library.py", "curl/many-photos.sh"}
    files = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*.*")}
    assert {name for name in files if "__pycache__" not in name} == run_here
