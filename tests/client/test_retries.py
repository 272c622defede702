"""What the client sends again, when, and where it stops."""

import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from chromaserve import Client, ProblemError, Retries, TooBusy, Unreachable
from chromaserve.client.retries import Attempts, retry_after_s
from tests.client.faulty import Fault, Proxy
from tests.sample_photos import encoded, raw, small

QUICK = Retries(attempts=4, budget_s=30, base_s=0.01, cap_s=0.02)
BUSY = b'{"type": "/problems/busy", "title": "Too busy", "status": 503, "detail": "Later."}'
LATE = b'{"type": "/problems/photo-timeout", "title": "Too long", "status": 504, "detail": "-"}'
FAILED = b'{"type": "/problems/internal-error", "title": "-", "status": 500, "detail": "-"}'
PROBLEM = {"Content-Type": "application/problem+json"}


@pytest.fixture
def client(proxy: Proxy) -> Iterator[Client]:
    with Client(proxy.url, retries=QUICK) as opened:
        yield opened


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(raw("rocket.jpg"))
    return path


def busy(**headers: str) -> Fault:
    return Fault(503, PROBLEM | headers, BUSY)


def test_what_may_pass_is_sent_again_whole(client: Client, proxy: Proxy, photo: Path) -> None:
    page = Fault(502, {"Content-Type": "text/html"}, b"<h1>Bad gateway</h1>")
    for faults in (
        [busy()],
        [Fault(429)],
        [page],
        [Fault(cut_after=0)],
        [Fault(cut_after=5000)],
        [busy(), page, Fault(cut_after=0)],
    ):
        proxy.seen.clear()
        proxy.faults.extend(faults)
        with photo.open("rb") as file:
            assert client.colorize(file).size == (640, 427)
        assert len(proxy.seen) == 1 + len(faults)
        assert len({seen.size for seen in proxy.seen}) == 1
    assert proxy.seen[0].headers["user-agent"].startswith("chromaserve/")


def test_the_service_says_how_long_to_wait(client: Client, proxy: Proxy, photo: Path) -> None:
    proxy.faults.append(busy(**{"Retry-After": "1"}))
    start = time.monotonic()
    client.colorize(photo)
    assert time.monotonic() - start >= 1
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    assert retry_after_s(soon) == pytest.approx(20, abs=2)
    past = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
    assert retry_after_s(past) == 0
    assert retry_after_s("soon") is None
    assert retry_after_s("Mon, 01 Jan 2024 00:00:00 +99999999999999999999") is None
    there = datetime.now(UTC) + timedelta(days=1)  # its clock is not ours
    sent, then = (format_datetime(there + timedelta(seconds=n), usegmt=True) for n in (0, 7))
    assert retry_after_s(then, sent) == 7
    assert retry_after_s(soon, "now") == pytest.approx(20, abs=2)


def test_what_will_not_pass_is_told_at_once(client: Client, proxy: Proxy, photo: Path) -> None:
    for fault, error in (
        (busy(**{"Retry-After": "100"}), TooBusy),  # after the budget
        (Fault(504, PROBLEM, LATE), ProblemError),
        (Fault(500, PROBLEM, FAILED), ProblemError),
    ):
        proxy.seen.clear()
        proxy.faults.append(fault)
        with pytest.raises(error):
            client.colorize(photo)
        assert len(proxy.seen) == 1


def test_attempts_end(client: Client, proxy: Proxy, photo: Path) -> None:
    proxy.faults.extend([busy()] * 9)
    with pytest.raises(TooBusy) as refused:
        client.colorize(photo)
    assert refused.value.detail == "Later."
    assert len(proxy.seen) == QUICK.attempts
    proxy.faults.clear()
    proxy.faults.extend([Fault(cut_after=0)] * 9)
    with pytest.raises(Unreachable) as cut:
        client.colorize(photo)
    assert cut.value.__cause__ is not None


def test_pauses_are_spread_and_grow_to_a_bound() -> None:
    bounds = Retries(attempts=7, base_s=1, cap_s=8, budget_s=1000)
    runs = []
    for _ in range(200):
        attempts = Attempts(bounds)
        runs.append([attempts.pause_s() for _ in range(7)])
    columns = list(zip(*runs, strict=True))
    for column, most in zip(columns, (1, 2, 4, 8, 8, 8), strict=False):
        pauses = [pause for pause in column if pause is not None]
        assert 0 <= min(pauses) < 0.2 * most
        assert 0.8 * most < max(pauses) <= most
    assert set(columns[-1]) == {None}


def test_a_deadline_shrinks_with_every_attempt(client: Client, proxy: Proxy, photo: Path) -> None:
    attempts = Attempts(QUICK, deadline_s=0.5)
    assert attempts.pause_s(asked_s=0.6) is None
    proxy.faults.append(busy(**{"Retry-After": "1"}))
    with pytest.raises(TooBusy):
        client.colorize(photo, deadline_s=0.9)
    proxy.faults.append(busy())
    assert client.colorize(photo, deadline_s=60).size == (640, 427)


def test_a_file_is_sent_without_being_read_whole(
    client: Client, proxy: Proxy, tmp_path: Path
) -> None:
    large = tmp_path / "large.tif"
    with large.open("wb") as file:
        file.truncate(64 * 2**20)
    proxy.faults.extend([busy(), Fault(413)])
    tracemalloc.start()
    try:
        with pytest.raises(ProblemError):
            client.colorize(large)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [seen.size > 64 * 2**20 for seen in proxy.seen] == [True, True]
    assert peak < 8 * 2**20


def test_an_answer_of_a_proxy_is_a_problem_too(client: Client, proxy: Proxy) -> None:
    proxy.faults.append(Fault(403, {"Content-Type": "text/html"}, b"<h1>Not\n here</h1>"))
    with pytest.raises(ProblemError) as refused:
        client.colorize(encoded(small(), "PNG"))
    error = refused.value
    assert (error.type, error.slug, error.status) == ("about:blank", "", 403)
    assert error.detail == "<h1>Not here</h1>"
    page = {"Content-Type": "text/html"}
    for fault, words in (
        (Fault(200, page, b"<h1>Another program</h1>"), "200 OK: <h1>Another program</h1>"),
        (Fault(301, page | {"Location": "https://photos.example/colorize"}), "https://photos"),
    ):
        for use in (client.models, lambda: client.colorize(encoded(small(), "PNG"))):
            proxy.faults.append(fault)
            with pytest.raises(ProblemError, match=words):
                use()
