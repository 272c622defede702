"""What several workers share: connections, metrics, jobs, limits."""

from pathlib import Path

import httpx
import pytest

from chromaserve.settings import MIB
from tests.conftest import Server
from tests.jobs.asking import ended, files, submitted
from tests.workers.asking import PHOTO, answered_by, by_both, metric, post, started

pytestmark = pytest.mark.slow


def test_photos_are_the_same_whoever_makes_them(server: Server) -> None:
    answers = by_both(server)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


def test_connections_that_come_at_once_are_divided(server: Server) -> None:
    before = len(answered_by(server))
    assert {answer.status_code for answer in post(server, 12)} == {200}
    shares = [answered_by(server)[before:].count(n) for n in "12"]
    assert sum(shares) == 12
    assert min(shares) >= 4


def test_a_client_that_keeps_its_connection_stays_with_one_worker(server: Server) -> None:
    before = len(answered_by(server))
    with server.client() as http:
        for _ in range(6):
            assert http.post("/colorize", files=PHOTO).status_code == 200
    assert len(set(answered_by(server)[before:])) == 1


def test_any_worker_tells_the_metrics_of_all(server: Server) -> None:
    labels = {"route": "/colorize", "method": "POST", "status": "200"}
    before = metric(server, "chromaserve_requests_total", **labels)
    photos = metric(server, "chromaserve_photos_total", outcome="colorized")
    answers = by_both(server)
    for _ in range(4):
        now = metric(server, "chromaserve_requests_total", **labels)
        assert now == before + len(answers)
        now = metric(server, "chromaserve_photos_total", outcome="colorized")
        assert now == photos + len(answers)
        assert metric(server, "chromaserve_request_seconds_count", route="/colorize") >= now
        assert metric(server, "chromaserve_ready") == 1
        bounds = [
            metric(server, "chromaserve_memory_bound_bytes", use=use)
            for use in ("photos", "uploads")
        ]
        assert sum(bounds) == 2048 * MIB
        sizes = [metric(server, "process_resident_memory_bytes", worker=n) for n in "12"]
        assert all(size > 1e8 for size in sizes)
    text = httpx.get(server.url + "/metrics").text
    assert "# HELP chromaserve_requests_total Requests answered, by route" in text


def test_a_job_is_everybodys(server: Server) -> None:
    with server.client() as one, server.client() as other:
        key = {"Idempotency-Key": "the same"}
        job = submitted(one, files(24), headers=key)
        assert submitted(other, files(24), headers=key) == job
        told = ended(other, job)
        assert (told["done"], told["failed"]) == (24, 0)
    waiting = {metric(server, "chromaserve_job_photos") for _ in range(4)}
    assert max(waiting) <= 24, "each worker tells of the one queue"


def test_what_is_limited_is_divided_not_multiplied(
    tmp_path: Path, small_network: dict[str, object]
) -> None:
    with started(tmp_path, small_network, daily_limit=10, log_format="json") as server:
        log = server.log.read_text()
        assert '"worker": 2' in log
        statuses = [answer.status_code for _ in range(4) for answer in post(server, 4)]
        assert statuses.count(200) == 10
        assert statuses.count(429) == 6
