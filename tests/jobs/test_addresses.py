"""Photos from addresses, results to addresses, callbacks: signed, tried again, on a list only."""

import base64
import gzip
import hashlib
import hmac
import json
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from PIL import Image

from app.jobs.callbacks import signature
from tests.command_line.command import run
from tests.conftest import Server, Start
from tests.hurried import HURRIED, TRIES
from tests.jobs.asking import ended, files, opened, photo, slug, submitted, unzipped
from tests.jobs.conftest import KEY, SECRET
from tests.jobs.elsewhere import Asked, Elsewhere, elsewhere
from tests.sample_photos import encoded


def verified(asked: Asked) -> dict[str, object]:
    """A callback's body, its signature checked as Standard Webhooks says."""
    identity, timestamp = asked.headers["webhook-id"], asked.headers["webhook-timestamp"]
    assert abs(time.time() - int(timestamp)) < 60
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"{identity}.{timestamp}.{asked.body.decode()}".encode()
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert asked.headers["webhook-signature"] == f"v1,{expected}"
    told: dict[str, object] = json.loads(asked.body)
    return told


def test_signatures_are_those_of_the_specification() -> None:
    """The example of the reference implementations' own tests."""
    body = b'{"test": 2432232314}'
    signed = signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.slow
def test_a_callback_tells_that_a_job_has_ended(mine: httpx.Client, others: Elsewhere) -> None:
    address = f"{others.url}/open/hook"
    job = submitted(mine, files(2), data={"callback": address})
    [asked] = others.wait_for("/open/hook", 1)
    told = verified(asked)
    assert told["type"] == "job.done"
    assert told["data"] == mine.get(f"/jobs/{job}").json()


@pytest.mark.slow
def test_a_callback_is_tried_again_by_whoever_is_there(
    start_small: Start, tmp_path: Path, others: Elsewhere
) -> None:
    path = "/open/later"
    others.answers[path] = [500]
    chosen = {"jobs": tmp_path / "queue", "jobs_addresses": others.url, "jobs_secret": SECRET}
    server = start_small(HURRIED, **chosen, root_path="/colour")
    server.wait_ready()
    with server.client() as client:
        job = client.post("/jobs", files=files(1), params={"callback": others.url + path}).json()
    others.wait_for(path, 1)
    # It has heard of the failure when it says so; what is next is in the queue.
    while "it is tried again" not in server.log.read_text():
        assert server.process.poll() is None
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(60)
    start_small(HURRIED, **chosen, root_path="/colour")
    first, second = others.wait_for(path, 2)
    told = verified(first)["data"]
    assert isinstance(told, dict)
    assert told["self"] == job["self"] == f"/colour/jobs/{job['id']}"
    assert verified(first)["data"] == verified(second)["data"]
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_photos_come_from_addresses_and_results_go_to_them(
    mine: httpx.Client, others: Elsewhere
) -> None:
    others.files |= {"/open/a.png": photo(1), "/open/b.png": photo(2), "/open/text": b"Dear all,"}
    others.answers["/open/b.png"] = [503]
    others.answers["/open/moved.png"] = [302]
    at = f"{others.url}/open"
    body = {
        "photos": [
            {"url": f"{at}/a.png?X-Amz-Signature=1"},
            {"url": f"{at}/b.png", "out": f"{at}/b-colour.png?X-Amz-Signature=2"},
            {"url": f"{at}/none.png"},
            {"url": f"{at}/moved.png"},
            {"url": f"{at}/text", "name": "letter.txt"},
            {"url": f"{at}/a.png", "out": f"{at}/moved.png"},
        ],
        "format": "png",
        "vividness": 0.4,
        "quality": None,
    }
    others.answers["/open/moved.png"] = [302, 302]
    job = mine.post("/jobs", json=body).json()["id"]
    told = ended(mine, job)
    assert (told["done"], told["failed"]) == (2, 4)
    results, manifest = unzipped(mine.get(f"/jobs/{job}/results"))
    entries = manifest["photos"]
    expected = [
        mine.post("/colorize", files={"file": photo(n)}, params={"vividness": 0.4}).content
        for n in (1, 2)
    ]
    assert results == {"a.png": expected[0]}
    assert others.files["/open/b-colour.png"] == expected[1]
    [put] = others.of("/open/b-colour.png")
    assert put.headers["content-type"] == "image/png"
    assert opened(put.body).mode == "RGB"
    assert [entry["status"] for entry in entries] == [200, 200, 502, 502, 415, 502]
    assert "404" in entries[2]["problem"]["detail"]
    assert "302" in entries[3]["problem"]["detail"]
    assert "X-Amz" not in json.dumps(manifest)  # what signs an address is nobody's to read
    assert slug(mine.get(f"/jobs/{job}/results/1")) == "no-result"
    assert not others.of("/closed/secret")


@pytest.mark.slow
def test_a_job_whose_result_nobody_takes_ends_all_the_same(
    service: Server, mine: httpx.Client, others: Elsewhere
) -> None:
    at, target, hook = f"{others.url}/open", "/open/never.png", "/open/never-hook"
    others.files["/open/fine.png"] = photo(3)
    others.answers[target] = [503] * 40
    photos = [{"url": f"{at}/fine.png", "out": others.url + target}]
    asked = {"photos": photos, "callback": others.url + hook}
    job = mine.post("/jobs", json=asked).json()["id"]
    with closing(sqlite3.connect(service.log.parent / "queue" / "jobs.sqlite3")) as queue:
        # As after a weekend without a disk, which is nothing that the address is to blame for.
        often = "UPDATE photo SET attempt = 2000 WHERE job = ? AND state = 'waiting'"
        while not queue.execute(often, (job,)).rowcount:
            queue.rollback()
        queue.commit()
    assert ended(mine, job)["failed"] == 1
    assert len(others.of(target)) == TRIES
    answer = mine.get(f"/jobs/{job}/results/0")
    assert (answer.status_code, slug(answer)) == (502, "address-failed")
    assert f"answered 503, at the last of {TRIES} tries." in answer.json()["detail"]
    assert verified(others.wait_for(hook, 1)[0])["type"] == "job.done"


@pytest.mark.slow
def test_a_result_that_there_is_no_room_for_is_told_of(
    start_small: Start, tmp_path: Path, others: Elsewhere
) -> None:
    path = "/open/large.png"
    others.files[path] = encoded(Image.effect_noise((1600, 1200), 90), "PNG")
    server = start_small(HURRIED, jobs=tmp_path / "queue", jobs_mb=4.1, jobs_addresses=others.url)
    server.wait_ready()
    with server.client() as client:
        photos = [{"url": others.url + path}]
        job = client.post("/jobs", json={"photos": photos}).json()["id"]
        assert ended(client, job)["failed"] == 1
        answer = client.get(f"/jobs/{job}/results/0")
        assert (answer.status_code, slug(answer)) == (507, "jobs-full")
    assert len(others.of(path)) == TRIES


def test_codings_are_not_undone(mine: httpx.Client, others: Elsewhere) -> None:
    """A few bytes of gzip in gzip would be gigabytes."""
    path = "/open/bomb.png"
    others.files[path] = gzip.compress(gzip.compress(bytes(2**26)))
    others.codings[path] = "gzip, gzip"
    job = mine.post("/jobs", json={"photos": [{"url": others.url + path}]}).json()["id"]
    assert ended(mine, job)["failed"] == 1
    assert slug(mine.get(f"/jobs/{job}/results/0")) == "unsupported-format"
    [asked] = others.of(path)
    assert asked.headers["accept-encoding"] == "identity"


@pytest.mark.slow
def test_photos_that_do_not_come_hold_up_no_other_job(
    start_small: Start, tmp_path: Path, others: Elsewhere
) -> None:
    """They come as slowly as no upload may; nor is the end of an answer to a result waited for."""
    slow, there, target = (f"/open/endless/{name}" for name in ("slow.png", "there.png", "result"))
    others.endless |= {slow, target}
    others.files[there] = photo(1)
    server = start_small(jobs=tmp_path / "queue", jobs_addresses=others.url, upload_timeout_s=3)
    server.wait_ready()
    with server.client() as client:
        before = client.post("/jobs", json={"photos": [{"url": others.url + slow}] * 64}).json()
        others.wait_for(slow, 1)
        wanted = [{"url": others.url + there, "out": others.url + target}]
        job = client.post("/jobs", json={"photos": wanted}).json()["id"]
        assert ended(client, job)["done"] == 1
        told = client.delete(before["self"]).json()
        assert (told["done"], told["failed"]) == (0, 0)


@pytest.mark.slow
def test_a_receiver_that_does_not_answer_holds_up_no_other(
    start_small: Start, tmp_path: Path, others: Elsewhere
) -> None:
    silent, endless = "/open/silent", "/open/endless/hook"
    others.silent.add(silent)
    with elsewhere() as more:
        more.endless.add(endless)
        allowed = f"{others.url},{more.url}"
        server = start_small(jobs=tmp_path / "queue", jobs_addresses=allowed, jobs_secret=SECRET)
        server.wait_ready()
        with server.client() as client:
            for address in [others.url + silent] * 2 + [more.url + endless] * 2:
                submitted(client, files(1), data={"callback": address})
                others.wait_for(silent, 1)
        for asked in more.wait_for(endless, 2):
            assert verified(asked)["type"] == "job.done"
        assert len(others.of(silent)) == 1, "the others were told while it was waited for"


@pytest.mark.parametrize(
    "address",
    [
        "{url}/closed/a.png",
        "{url}/opened/a.png",
        "{url}/open/../closed/a.png",
        "{url}/open/%2e%2e/closed/a.png",
        "{url}/open/..%2fclosed/a.png",
        "{url}/open\\..\\closed",
        "{url}/open/..;/closed/a.png",
        "{url}/open/..;x=1/closed/a.png",
        "{url}/open/..%5cclosed/a.png",
        "http://user@127.0.0.1:{port}/open/a.png",
        "http://127.0.0.1:{port}@elsewhere.test/open/a.png",
        "http://localhost:{port}/open/a.png",
        "http://2130706433:{port}/open/a.png",
        "http://127.0.0.1/open/a.png",
        "https://127.0.0.1:{port}/open/a.png",
        "file:///etc/passwd",
        "s3://bucket/a.png",
        "//127.0.0.1:{port}/open/a.png",
        "http://169.254.169.254/latest/meta-data",
        "",
    ],
)
@pytest.mark.parametrize("place", ["url", "out", "callback"])
def test_what_is_not_on_the_list_is_never_asked(
    mine: httpx.Client, others: Elsewhere, address: str, place: str
) -> None:
    before = len(others.asked)
    wrong = address.format(url=others.url, port=others.url.rpartition(":")[2])
    body: dict[str, object] = {"photos": [{"url": f"{others.url}/open/never.png"}]}
    if place == "callback":
        body["callback"] = wrong
    else:
        body["photos"] = [{"url": f"{others.url}/open/never.png", place: wrong}]
    answer = mine.post("/jobs", json=body)
    assert (answer.status_code, slug(answer)) == (422, "address-refused")
    assert len(others.asked) == before


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["s3", "gs", "abfss"])
def test_a_store_that_is_named_by_its_own_scheme_is_to_presign(
    mine: httpx.Client, service: Server, scheme: str
) -> None:
    address = f"{scheme}://bucket/a.png"
    answer = mine.post("/jobs", json={"photos": [{"url": address}]})
    assert (answer.status_code, slug(answer)) == (422, "address-refused")
    assert f"{scheme}:// is not asked. Have the store presign" in answer.json()["detail"]
    done = run("jobs", "submit", address, "--url", service.url, "--api-key", KEY)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"presign" in done.stderr


@pytest.mark.parametrize(
    "body",
    [
        '{"photos": 7}',
        '{"photos": []}',
        '{"photos": [{}]}',
        '{"photos": [{"url": 7}]}',
        '"photos"',
        '{"photos": [',
        f'{{"photos": [{{"url": "", "{"k" * 9999}": 1}}]}}',
    ],
)
def test_addresses_that_are_none_are_told(mine: httpx.Client, body: str) -> None:
    answer = mine.post("/jobs", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, slug(answer)) == (422, "invalid-options")
    assert "photos" in answer.json()["detail"]
    assert len(answer.content) < 1_000
