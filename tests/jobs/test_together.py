"""Jobs whose photos have something in common: an album that agrees, a reference."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from chromaserve import Client, ProblemError
from chromaserve.pipeline.album import MAX_ALBUM
from tests.app.test_album import views
from tests.app.test_reference import png
from tests.app.test_reference import views as halves
from tests.command_line.command import run
from tests.conftest import Start
from tests.hurried import HURRIED
from tests.jobs.asking import Files, ended, files, slug, submitted, unzipped
from tests.jobs.elsewhere import Elsewhere
from tests.jobs.test_killed import done, kill
from tests.sample_photos import encoded

pytestmark = pytest.mark.slow

SAUCER = {"x": 440, "y": 230, "color": "#b03030", "photo": "0.png"}
ALBUM = {"album": "true", "hints": json.dumps([SAUCER])}


def album(*more: bytes) -> Files:
    return [("file", (f"{n}.png", data)) for n, data in enumerate((*views(), *more))]


def by_request(client: httpx.Client, given: Files, **options: Any) -> dict[str, bytes]:  # noqa: ANN401
    found, _ = unzipped(client.post("/colorize", files=given, data=options))
    return found


def by_job(client: httpx.Client, given: Files, **options: Any) -> dict[str, bytes]:  # noqa: ANN401
    job = submitted(client, given, data=options)
    ended(client, job)
    return unzipped(client.get(f"/jobs/{job}/results"))[0]


def test_an_album_agrees_as_in_one_request(mine: httpx.Client) -> None:
    given = album(b"nothing")
    expected = by_request(mine, given, **ALBUM)
    job = submitted(mine, given, data=ALBUM)
    told = ended(mine, job)
    assert (told["done"], told["failed"]) == (3, 1)
    results, manifest = unzipped(mine.get(f"/jobs/{job}/results"))
    assert results == expected
    assert [entry["status"] for entry in manifest["photos"]] == [200, 200, 200, 415]
    assert results["1.png"] != by_request(mine, given)["1.png"]


def test_an_album_that_the_memory_never_holds_is_refused_at_once(
    start_small: Start, tmp_path: Path
) -> None:
    server = start_small(jobs=tmp_path / "queue", max_memory_mb=16, max_upload_mb=1)
    server.wait_ready()
    with server.client() as client:
        for path, status in (("/jobs", 202), ("/colorize", 200)):
            assert client.post(path, files=files(3), data={"album": "true"}).status_code == status
            answer = client.post(path, files=files(4), data={"album": "true"})
            assert (answer.status_code, slug(answer)) == (413, "too-many-pixels"), path


def test_hints_are_for_the_photos_that_they_name(mine: httpx.Client) -> None:
    hints = json.dumps([SAUCER])
    assert by_job(mine, album(), hints=hints) == by_request(mine, album(), hints=hints)
    answer = mine.post("/jobs", files=album(), data={"hints": json.dumps([SAUCER | {"photo": 3}])})
    assert (answer.status_code, slug(answer)) == (422, "invalid-options")


def test_an_album_is_a_few_photos_and_one_alone_is_as_ever(mine: httpx.Client) -> None:
    one = album()[:1]
    assert by_job(mine, one, album="true") == {"0.png": by_job(mine, one)["0.png"]}


def test_more_than_an_album_holds_is_refused_by_every_way_in(
    start_small: Start, tmp_path: Path
) -> None:
    given, folder = files(MAX_ALBUM + 1), tmp_path / "garden"
    folder.mkdir()
    for _, (name, data) in given:
        (folder / name).write_bytes(data)
    room = {"jobs_photos": len(given), "max_photos": len(given)}
    server = start_small(jobs=tmp_path / "queue", jobs_addresses="http://a.test", **room)
    server.wait_ready()
    with server.client() as http, Client(server.url) as client:
        for way in ("/jobs", "/colorize"):
            answer = http.post(way, files=given, data={"album": "true"})
            assert (answer.status_code, slug(answer)) == (422, "invalid-options")
            assert "takes 64 photos, and there are 65" in answer.json()["detail"]
        addresses = {"photos": [{"url": "http://a.test/a.png"}] * len(given), "album": True}
        assert slug(http.post("/jobs", json=addresses)) == "invalid-options"
        photos = [data for _, (_, data) in given]
        with pytest.raises(ProblemError, match="takes 64 photos"):
            client.submit(photos, album=True)
        with pytest.raises(ProblemError, match="takes 64 photos"):
            list(client.colorize_many(photos, album=True))
        for words in (("jobs", "submit"), ("colorize", "-o", tmp_path / "colour")):
            done = run(*words, folder, "--album", "--url", server.url)
            assert (done.returncode, done.stdout) == (2, b"")
            assert b"--album takes 64 photos, and there are 65" in done.stderr
        # Sixty-four are an album.
        assert http.post("/jobs", files=given[1:], data={"album": "true"}).status_code == 202


def test_an_album_outlives_kills_in_every_part_of_the_work(
    start_server: Start, tmp_path: Path
) -> None:
    """Killed while photos are looked at, when all were, and when some are done."""
    queue, given = tmp_path / "queue", album(*views())
    parts = queue / "albums"

    def seen() -> int:
        return len([path for path in parts.rglob("*") if path.is_file()])

    server = start_server(HURRIED, jobs=queue)
    server.wait_ready()
    with server.client() as client:
        job = submitted(client, given, data=ALBUM)
        while seen() < 2:
            time.sleep(0.01)  # leave the core to the service
        kill(server)
    assert seen() < len(given) + 1, "it was not over before"
    for photos in (1, 3):
        server = start_server(HURRIED, jobs=queue)
        server.wait_ready()
        with server.client() as client:
            while done(client, job) < photos:
                pass
            kill(server)
    server = start_server(HURRIED, jobs=queue)
    server.wait_ready()
    with server.client() as client:
        assert ended(client, job)["done"] == len(given)
        results, _ = unzipped(client.get(f"/jobs/{job}/results"))
        assert results == by_request(client, given, **ALBUM)
        assert list(parts.iterdir()) == [], "what was seen is not kept"


def test_an_album_waits_for_a_look_that_the_service_fails_at(
    start_small: Start, tmp_path: Path
) -> None:
    armed, given = tmp_path / "armed", album()
    command = [*HURRIED, "tests.app.broken_engine", str(armed)]
    server = start_small(command=command, jobs=tmp_path / "queue")
    server.wait_ready()
    with server.client() as client:
        expected = by_request(client, given, **ALBUM)
        armed.write_text("features raise")
        job = submitted(client, given, data=ALBUM)
        while "the model failed" not in server.log.read_text():
            assert done(client, job) == 0
        armed.unlink()
        assert ended(client, job)["done"] == len(given)
        assert unzipped(client.get(f"/jobs/{job}/results"))[0] == expected


def test_a_reference_gives_its_colours_to_all_and_goes_with_the_photos(
    start_small: Start, tmp_path: Path
) -> None:
    left, right = halves()
    given: Files = [("file", (f"{n}.png", png(left, "L"))) for n in range(2)]
    both: Files = [*given, ("reference", ("right.png", png(right)))]
    size = sum(len(data) for _, (_, data) in both)
    server = start_small(jobs=tmp_path / "queue", jobs_mb=2)
    server.wait_ready()
    with server.client() as client:
        expected = client.post("/colorize", files=both[1:])
        job = submitted(client, both)
        [stored] = (tmp_path / "queue" / "photos").iterdir()
        assert stored.stat().st_size == size
        assert ended(client, job)["done"] == 2
        results, _ = unzipped(client.get(f"/jobs/{job}/results"))
        assert set(results.values()) == {expected.content}
        assert not stored.exists()
        # A reference takes room as photos do.
        large: Files = [("reference", ("r.png", encoded(noise(600), "PNG")))]
        assert client.post("/jobs", files=given).status_code == 202
        assert slug(client.post("/jobs", files=[*given, *large])) == "jobs-full"


def noise(side: int) -> Image.Image:
    """In colour, and more than a byte a pixel as PNG."""
    random = np.random.default_rng(1)
    return Image.fromarray(random.integers(0, 255, (side, side, 3), np.uint8))


@pytest.mark.parametrize(
    ("given", "said"),
    [(png(halves()[1], "L"), "grey"), (b"nothing", "reference: ")],
)
def test_a_reference_of_no_use_is_refused_at_once(
    mine: httpx.Client, given: bytes, said: str
) -> None:
    answer = mine.post("/jobs", files=[*files(2), ("reference", ("r.png", given))])
    assert answer.status_code in (415, 422)
    assert said in answer.json()["detail"]


def test_a_reference_is_another_job_to_an_idempotency_key(mine: httpx.Client) -> None:
    key = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-000000000001"}
    right = ("reference", ("r.png", png(halves()[1])))
    job = submitted(mine, [*files(1), right], headers=key)
    assert submitted(mine, [*files(1), right], headers=key) == job
    assert slug(mine.post("/jobs", files=files(1), headers=key)) == "idempotency-key-reused"
    ended(mine, job)


def test_addresses_have_both_too(mine: httpx.Client, others: Elsewhere) -> None:
    left, right = halves()
    others.files["/open/left.png"] = png(left, "L")
    others.files["/open/right.png"] = png(right, "L")
    names = ("left.png", "right.png")
    told = {
        "photos": [{"url": f"{others.url}/open/{name}"} for name in names],
        "reference": base64.b64encode(png(right)).decode(),
        "album": True,
    }
    answer = mine.post("/jobs", json=told)
    assert answer.status_code == 202, answer.text
    job = answer.json()["id"]
    assert ended(mine, job)["done"] == 2
    given: Files = [("file", (name, others.files[f"/open/{name}"])) for name in names]
    given.append(("reference", ("r.png", png(right))))
    results, _ = unzipped(mine.get(f"/jobs/{job}/results"))
    assert results == by_request(mine, given, album="true")
