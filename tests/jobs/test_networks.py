"""What a job's addresses lead to, and who sends from there: names that turn, TLS, slow senders."""

from pathlib import Path

import httpx
import pytest

from tests.conftest import Start
from tests.hurried import HURRIED
from tests.jobs.asking import ended, files, photo, slug, submitted
from tests.jobs.conftest import SECRET
from tests.jobs.elsewhere import Elsewhere, elsewhere
from tests.jobs.resolving import NAME
from tests.sample_photos import encoded, small
from tests.tls import certificate, served_with


@pytest.mark.parametrize("resolved", ["127.0.0.1", "203.0.113.9 127.0.0.1", "::ffff:127.0.0.1"])
def test_a_name_that_turns_to_this_machine_gets_nothing(
    start_small: Start, tmp_path: Path, others: Elsewhere, resolved: str
) -> None:
    """It is on the list; who it is when it is asked, is another matter."""
    answers = tmp_path / "answers"
    answers.write_text(resolved)
    at = f"http://{NAME}:{others.url.rpartition(':')[2]}/open"
    server = start_small(
        ("-m", "tests.jobs.resolving", str(answers)),
        jobs=tmp_path / "queue", jobs_addresses=at, jobs_secret=SECRET,
    )  # fmt: skip
    server.wait_ready()
    before = len(others.asked)
    with server.client() as client:
        given = [{"url": f"{at}/a.png"}]
        job = client.post("/jobs", json={"photos": given, "callback": f"{at}/hook"}).json()["id"]
        assert ended(client, job)["failed"] == 1
        answer = client.get(f"/jobs/{job}/results/0")
        assert (answer.status_code, slug(answer)) == (422, "address-refused")
        assert "this machine" in answer.json()["detail"]
        while "callback of job" not in server.log.read_text():
            assert server.process.poll() is None
    assert len(others.asked) == before


@pytest.mark.slow
def test_localhost_says_itself_where_it_leads(
    start_small: Start, tmp_path: Path, others: Elsewhere
) -> None:
    others.files["/open/near.png"] = photo(1)
    at = f"http://localhost:{others.url.rpartition(':')[2]}/open"
    server = start_small(jobs=tmp_path / "queue", jobs_addresses=at)
    server.wait_ready()
    with server.client() as client:
        job = client.post("/jobs", json={"photos": [{"url": f"{at}/near.png"}]}).json()["id"]
        assert ended(client, job)["done"] == 1


@pytest.mark.slow
def test_a_certificate_is_checked_and_told_of(
    start_small: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = certificate(tmp_path)
    with elsewhere(served_with(file)) as store:
        store.files["/a.png"] = photo(1)
        chosen = {"jobs": tmp_path / "queue", "jobs_addresses": store.url}
        server = start_small(**chosen)
        server.wait_ready()
        with server.client() as client:
            body = {"photos": [{"url": f"{store.url}/a.png"}]}
            job = client.post("/jobs", json=body).json()["id"]
            while "certificate is not accepted (self-signed" not in server.log.read_text():
                assert server.process.poll() is None
        assert not store.asked
        server.stop()
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        server = start_small(**chosen)
        server.wait_ready()
        with server.client() as client:
            assert ended(client, job)["done"] == 1


@pytest.mark.slow
def test_photos_that_come_slowly_give_way_and_take_no_memory_ahead(
    start_small: Start, tmp_path: Path
) -> None:
    """Faster than the least rate of an upload, and far too slow for others to wait for."""
    with elsewhere() as slow:
        slow.piece = bytes(256)  # some 10 KiB/s
        slow.endless.add("/slow.png")
        server = start_small(
            HURRIED, jobs=tmp_path / "queue", jobs_addresses=slow.url, upload_timeout_s=1,
            max_upload_mb=16, max_memory_mb=128, max_wait_s=5,
        )  # fmt: skip
        server.wait_ready()
        with server.client() as client:
            client.post("/jobs", json={"photos": [{"url": f"{slow.url}/slow.png"}] * 40})
            slow.wait_for("/slow.png", 2)
            assert sent(client) == 200
            job = submitted(client, files(3))
            assert sent(client) == 200
            assert ended(client, job)["done"] == 3


def sent(client: httpx.Client) -> int:
    """The status of a photo that somebody waits for."""
    large = encoded(small("L", (1500, 1000)), "BMP")
    return client.post("/colorize", files={"file": large}).status_code
