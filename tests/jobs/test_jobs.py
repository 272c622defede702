"""A job's life: accepted, done, fetched, cancelled, forgotten; whose it is and what bounds it."""

import resource
import time
from pathlib import Path

import httpx
import pytest

from chromaserve import Client, ProblemError
from tests.command_line.command import run
from tests.conftest import Server, Start
from tests.hurried import HURRIED
from tests.jobs.asking import ended, events, files, photo, slug, submitted, unzipped
from tests.jobs.conftest import KEY, OTHER
from tests.sample_photos import encoded, raw, small


def plain(client: httpx.Client, data: bytes, **options: str) -> bytes:
    answer = client.post("/colorize", files={"file": data}, params=options)
    assert answer.status_code == 200
    return answer.content


def test_results_are_those_of_colorize(mine: httpx.Client) -> None:
    given = [
        ("file", ("a.jpg", raw("rocket.jpg"))),
        ("file", ("../b.png", photo())),
        ("file", ("letter.txt", b"Dear all,")),
        ("file", ("a.png", photo(1))),
    ]
    job = submitted(mine, given, params={"format": "webp"}, data={"vividness": "0.3"})
    told = ended(mine, job)
    assert (told["state"], told["photos"], told["done"], told["failed"]) == ("done", 4, 3, 1)
    results, manifest = unzipped(mine.get(f"/jobs/{job}/results"))
    assert list(results) == ["a.webp", "b.webp", "a-2.webp"]
    for name, place in (("a.webp", 0), ("b.webp", 1), ("a-2.webp", 3)):
        expected = plain(mine, given[place][1][1], format="webp", vividness="0.3")
        alone = mine.get(f"/jobs/{job}/results/{place}")
        assert results[name] == alone.content == expected
        assert alone.headers["content-type"] == "image/webp"
        assert f'filename="{name}"' in alone.headers["content-disposition"]
    assert [entry["status"] for entry in manifest["photos"]] == [200, 200, 415, 200]
    assert manifest["vividness"] == 0.3
    bad = mine.get(f"/jobs/{job}/results/2")
    assert (bad.status_code, slug(bad)) == (415, "unsupported-format")
    assert slug(mine.get(f"/jobs/{job}/results/4")) == "no-result"


def test_further_colourings_and_a_bare_body(mine: httpx.Client) -> None:
    data = raw("rocket.jpg")
    answer = mine.post(
        "/jobs", content=data, headers={"content-type": "image/jpeg"}, params={"proposals": 3}
    )
    job = answer.json()["id"]
    assert ended(mine, job)["done"] == 3
    results, _ = unzipped(mine.get(f"/jobs/{job}/results"))
    assert list(results) == ["photo.png", "photo-2.png", "photo-3.png"]
    assert results["photo-3.png"] == plain(mine, data, proposal="3")


def test_maps_of_confidence_are_called_as_by_colorize(mine: httpx.Client) -> None:
    given = [("file", ("a.jpg", photo())), ("file", ("a.png", photo(1)))]
    options = {"confidence": "png"}
    job = submitted(mine, given, params=options)
    ended(mine, job)
    results, _ = unzipped(mine.get(f"/jobs/{job}/results"))
    expected, _ = unzipped(mine.post("/colorize", files=given, params=options))
    assert list(results) == list(expected) == ["a-confidence.png", "a-2-confidence.png"]
    assert results == expected


def test_a_page_that_is_not_the_first(mine: httpx.Client) -> None:
    pages = [small("L", (60, 40)).rotate(180)]
    book = encoded(small("L"), "TIFF", save_all=True, append_images=pages)
    job = submitted(mine, [("file", ("book.tif", book))], params={"page": 2})
    assert ended(mine, job)["done"] == 1
    second = mine.get(f"/jobs/{job}/results/0").content
    assert second == plain(mine, book, page="2") != plain(mine, book)


def test_all_pages_are_one_result(mine: httpx.Client) -> None:
    page = small("L", (60, 40))
    book = encoded(small("L"), "TIFF", save_all=True, append_images=[page])
    for options in ({}, {"format": "png"}, {"format": "jpeg"}):
        every = {"pages": "all", **options}
        answer = mine.post("/jobs", files=[*files(1), ("file", ("b.tif", book))], params=every)
        assert (answer.status_code, slug(answer)) == (422, "invalid-options")
        assert "format=tiff" in answer.json()["detail"]
    for wanted in ("tiff", "same"):
        job = submitted(
            mine, [("file", ("b.tif", book))], params={"pages": "all", "format": wanted}
        )
        assert ended(mine, job)["done"] == 1
        result = mine.get(f"/jobs/{job}/results/0").content
        assert result == plain(mine, book, pages="all", format=wanted)


def test_events_tell_of_each_photo_once_and_go_on_from_the_last(mine: httpx.Client) -> None:
    job = submitted(mine, files(5))
    told = events(mine, job)
    done = [(number, data["index"]) for kind, number, data in told if kind == "photo"]
    assert [number for number, _ in done] == ["1", "2", "3", "4", "5"]
    assert sorted(index for _, index in done) == [0, 1, 2, 3, 4]
    assert told[-1][0] == "end"
    assert told[-1][2]["state"] == "done"
    rest = events(mine, job, last="3")
    assert [(number, data["index"]) for kind, number, data in rest if kind == "photo"] == done[3:]
    assert rest[-1][0] == "end"
    for beyond in ("6", "9" * 19, "9" * 5000):
        assert [kind for kind, _, _ in events(mine, job, last=beyond)] == ["end"]


def test_a_part_of_a_result(mine: httpx.Client) -> None:
    job = submitted(mine, files(1))
    ended(mine, job)
    path = f"/jobs/{job}/results/0"
    whole = mine.get(path).content
    part = mine.get(path, headers={"range": "bytes=100-"})
    assert (part.status_code, part.content) == (206, whole[100:])
    beyond = mine.get(path, headers={"range": f"bytes={len(whole)}-"})
    assert (beyond.status_code, slug(beyond)) == (416, "no-such-part")
    assert beyond.headers["content-range"] == f"bytes */{len(whole)}"
    other = mine.get(path, headers={"range": "rows=0-9"})  # RFC 9110, 14.2: to be ignored
    assert (other.status_code, other.content) == (200, whole)
    same = mine.get(path, headers={"if-none-match": other.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    assert mine.get(path, headers={"if-none-match": '"another"'}).content == whole
    wrong = mine.get(path, headers={"range": "bytes=2-1"})
    assert (wrong.status_code, slug(wrong)) == (400, "malformed-request")


def test_a_job_is_its_keys_own(service: Server, mine: httpx.Client) -> None:
    job = submitted(mine, files(1))
    ended(mine, job)
    with httpx.Client(base_url=service.url, headers={"x-api-key": OTHER}) as stranger:
        for path in ("", "/events", "/results", "/results/0"):
            answer = stranger.get(f"/jobs/{job}{path}")
            assert (answer.status_code, slug(answer)) == (404, "job-not-found"), path
        assert stranger.delete(f"/jobs/{job}").status_code == 404
    assert httpx.get(f"{service.url}/jobs/{job}").status_code == 401
    assert mine.get(f"/jobs/{job}/results/0").status_code == 200


def test_ones_own_jobs_are_listed_the_latest_first(service: Server, mine: httpx.Client) -> None:
    first, second = submitted(mine, files(1)), submitted(mine, files(2))
    listed = mine.get("/jobs").json()["jobs"]
    assert [(job["id"], job["photos"]) for job in listed[:2]] == [(second, 2), (first, 1)]
    assert ended(mine, second)["done"] == 2
    assert [job["state"] for job in mine.get("/jobs", params={"limit": 1}).json()["jobs"]] == [
        "done"
    ]
    with httpx.Client(base_url=service.url, headers={"x-api-key": OTHER}) as stranger:
        theirs = {job["id"] for job in stranger.get("/jobs").json()["jobs"]}
    assert not theirs & {first, second}
    assert mine.get("/jobs", params={"limit": 0}).status_code == 422
    assert httpx.get(f"{service.url}/jobs").status_code == 401
    done = run("jobs", "list", "--limit", 2, "--url", service.url, "--api-key", KEY)
    assert [line.split()[0] for line in done.stdout.decode().splitlines()] == [second, first]
    assert "done: 2 of 2 photos done; kept until " in done.stdout.decode()


def test_an_idempotency_key_stands_for_one_job(service: Server, mine: httpx.Client) -> None:
    key = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
    job = submitted(mine, files(2), headers=key, params={"vividness": "0.5"})
    assert submitted(mine, files(2), headers=key, params={"vividness": "0.50"}) == job
    for other, options in ((files(3), "0.5"), (files(2), "0.6"), (files(2)[::-1], "0.5")):
        answer = mine.post("/jobs", files=other, headers=key, params={"vividness": options})
        assert (answer.status_code, slug(answer)) == (422, "idempotency-key-reused")
    with httpx.Client(base_url=service.url, headers={"x-api-key": OTHER}) as stranger:
        assert submitted(stranger, files(2), headers=key) != job
    assert ended(mine, job)["done"] == 2


def test_what_can_be_refused_is_refused_at_once(mine: httpx.Client) -> None:
    text = [("file", ("letter.txt", b"Dear all,"))]
    for given, options, status, kind in (
        (text, {}, 415, "unsupported-format"),
        (text * 2, {}, 422, "all-photos-failed"),
        (files(1), {"vividness": "7"}, 422, "invalid-options"),
        (files(1), {"deadline_s": "7"}, 422, "invalid-options"),
        (files(1), {"model": "999"}, 404, "model-not-found"),
        (files(2), {"proposals": "2"}, 422, "invalid-options"),
        (files(1), {"callback": "https://elsewhere.test/"}, 422, "address-refused"),
        (files(41), {}, 413, "too-many-photos"),
        ([*files(1), ("photo", files(1)[0][1])], {}, 422, "no-photo"),
    ):
        answer = mine.post("/jobs", files=given, params=options)
        assert (answer.status_code, slug(answer)) == (status, kind)


def test_a_job_that_is_cancelled_keeps_what_is_done(mine: httpx.Client) -> None:
    given = [
        ("file", (f"{n}.png", encoded(small("L", (1200, 900 + n)), "JPEG"))) for n in range(30)
    ]
    job = submitted(mine, given)
    early = mine.get(f"/jobs/{job}/results")
    assert (early.status_code, slug(early)) == (409, "job-not-ended")
    assert mine.get(f"/jobs/{job}").json()["place"] == 1
    while mine.get(f"/jobs/{job}").json()["done"] == 0:
        assert slug(mine.get(f"/jobs/{job}/results/29")) == "job-not-ended"
    told = mine.delete(f"/jobs/{job}").json()
    assert told["state"] == "cancelled"
    assert 0 < told["done"] < 30
    results, manifest = unzipped(mine.get(f"/jobs/{job}/results"))
    assert len(results) == len(manifest["photos"]) == told["done"]
    assert slug(mine.get(f"/jobs/{job}/results/29")) == "no-result"
    assert mine.delete(f"/jobs/{job}").json() == told
    assert events(mine, job)[-1][0] == "end"


@pytest.mark.slow
def test_a_result_that_is_gone_is_told_of(start_small: Start, tmp_path: Path) -> None:
    """As where it expires while it is asked for."""
    server = start_small(jobs=tmp_path / "queue")
    server.wait_ready()
    with server.client() as client:
        job = submitted(client, files(1))
        assert ended(client, job)["done"] == 1
        [result] = (tmp_path / "queue" / "results" / job).iterdir()
        result.unlink()
        for path in ("results/0", "results"):
            answer = client.get(f"/jobs/{job}/{path}")
            assert (answer.status_code, slug(answer)) == (404, "no-result")
    with Client(server.url) as asked:
        [lost] = asked.job(job).results()
    assert isinstance(lost.outcome, ProblemError)
    assert "not kept any more" in lost.outcome.detail


@pytest.mark.slow
def test_jobs_take_turns(mine: httpx.Client) -> None:
    """One that comes later, with a photo, does not wait for all of one that came before."""
    many = submitted(mine, [("file", (str(n), raw("rocket.jpg"))) for n in range(30)])
    one = submitted(mine, files(1))
    ended(mine, one)
    left = mine.get(f"/jobs/{many}").json()
    assert left["state"] == "working"
    assert ended(mine, many)["done"] == 30


@pytest.mark.slow
def test_jobs_have_so_much_of_the_disk_and_no_more(start_small: Start, tmp_path: Path) -> None:
    server = start_small(HURRIED, jobs=tmp_path / "queue", jobs_mb=2, jobs_keep_s=1)
    server.wait_ready()
    large = [("file", ("large.png", encoded(small("L", (700, 500)), "PNG")))]  # 1 MB of colours
    page = small("L", (700, 500))
    packed = {"save_all": True, "append_images": [page], "compression": "tiff_adobe_deflate"}
    book = [("file", ("book.tif", encoded(page, "TIFF", **packed)))]
    with server.client() as client:
        every = client.post("/jobs", files=book, params={"pages": "all", "format": "tiff"})
        assert (every.status_code, slug(every)) == (507, "jobs-full")
        job = submitted(client, large)
        full = client.post("/jobs", files=large)
        assert (full.status_code, slug(full)) == (507, "jobs-full")
        assert int(full.headers["retry-after"]) > 0
        ended(client, job)
        deadline = time.monotonic() + 60
        while client.get(f"/jobs/{job}").status_code == 200:  # a second after its end
            assert time.monotonic() < deadline
        kept = [p.name for p in (tmp_path / "queue").rglob("*") if p.is_file()]
        while [name for name in kept if "sqlite" not in name]:
            assert time.monotonic() < deadline, kept
            kept = [p.name for p in (tmp_path / "queue").rglob("*") if p.is_file()]
        assert ended(client, submitted(client, book))["done"] == 1, "of the first page"


def test_without_a_folder_there_are_no_jobs(small_http: httpx.Client) -> None:
    for answer in (small_http.post("/jobs", files=files(1)), small_http.get("/jobs/any")):
        assert (answer.status_code, slug(answer)) == (404, "jobs-off")


@pytest.mark.slow
def test_a_folder_that_cannot_be_used_ends_the_start(start_small: Start, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    server = start_small(jobs=tmp_path / "file")
    assert server.process.wait(60) == 2
    assert "CHROMASERVE_JOBS: " in server.log.read_text()


@pytest.mark.slow
def test_nothing_is_accepted_into_a_queue_that_is_gone(start_small: Start, tmp_path: Path) -> None:
    server = start_small(jobs=tmp_path / "queue")
    server.wait_ready()
    queue = tmp_path / "queue" / "jobs.sqlite3"
    with server.client() as client:
        aside = queue.rename(tmp_path / "aside")
        for _ in range(2):
            answer = client.post("/jobs", files=files(1))
            assert (answer.status_code, slug(answer)) == (503, "jobs-away")
            queue.touch()  # another one
        aside.rename(queue)
        assert ended(client, submitted(client, files(1)))["done"] == 1


def test_an_address_that_is_none_ends_the_start(start_small: Start, tmp_path: Path) -> None:
    server = start_small(jobs=tmp_path / "queue", jobs_addresses="https://[::1")
    assert server.process.wait(60) == 2
    assert "chromaserve: CHROMASERVE_JOBS_ADDRESSES: " in server.log.read_text()
    assert "Traceback" not in server.log.read_text()


@pytest.mark.slow
def test_a_photo_that_somebody_waits_for_goes_before_those_of_a_job(mine: httpx.Client) -> None:
    job = submitted(mine, [("file", (str(n), raw("rocket.jpg"))) for n in range(40)])
    while not (begun := mine.get(f"/jobs/{job}").json())["done"]:
        time.sleep(0.01)  # leave the core to the service
    plain(mine, raw("chelsea.png"))
    told = mine.get(f"/jobs/{job}").json()
    assert told["done"] - begun["done"] < 20  # it waited for those in work, and for no others
    assert told["time_left_s"] > 0
    assert mine.get("/models").json()["load"]["accepted"] == 0  # a job takes nobody's place
    assert ended(mine, job)["done"] == 40


@pytest.mark.slow
def test_a_full_disk_holds_jobs_up_and_nothing_else(start_server: Start, tmp_path: Path) -> None:
    server = start_server(HURRIED, jobs=tmp_path / "queue", log_level="warning")
    server.wait_ready()
    pid, full = server.process.pid, 50_000
    unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    assert (tmp_path / "queue" / "jobs.sqlite3-wal").stat().st_size > full
    with server.client() as client:
        job = submitted(client, files(30))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (full, unlimited[1]))  # no file grows
        refused = client.post("/jobs", files=files(1))
        assert (refused.status_code, slug(refused)) == (507, "jobs-full")
        assert client.post("/colorize", files=files(1)).status_code == 200
        deadline = time.monotonic() + 60
        while "cannot be asked" not in server.log.read_text():
            assert "ended" not in client.get(f"/jobs/{job}").json()
            assert time.monotonic() < deadline, server.log.read_text()
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
        assert ended(client, job)["done"] == 30
    assert "Traceback" not in server.log.read_text()
