"""Requests that cannot be done in time are refused at once, with a time to come again."""

import asyncio

import httpx
import pytest
from PIL import Image

from tests.app.test_load import all_at_once, photos
from tests.conftest import Start
from tests.sample_photos import encoded, small

COLORIZE = "/colorize"


def test_a_deadline_that_can_be_met_changes_nothing(small_http: httpx.Client) -> None:
    file = {"file": encoded(small("L"), "JPEG")}
    plain = small_http.post(COLORIZE, files=file)
    assert small_http.post(f"{COLORIZE}?deadline_s=100", files=file).content == plain.content


def test_a_deadline_that_cannot_be_met_is_refused(small_http: httpx.Client) -> None:
    file = {"file": encoded(small("L"), "JPEG")}
    small_http.post(COLORIZE, files=file).raise_for_status()  # now its cost is known
    refused = small_http.post(f"{COLORIZE}?deadline_s=0.0001", files=file)
    assert refused.status_code == 503
    assert refused.json()["type"] == "/problems/would-be-late"
    assert int(refused.headers["retry-after"]) >= 1
    assert small_http.get("/models").json()["load"]["accepted"] == 0


def test_all_pages_that_become_one_are_foreseen(small_http: httpx.Client) -> None:
    page = small("L")
    small_http.post(COLORIZE, files={"file": encoded(page, "TIFF")}).raise_for_status()

    def foreseen_s(pages: int) -> float:
        file = encoded(page, "TIFF", save_all=True, append_images=[page] * (pages - 1))
        options: dict[str, str | float] = {"pages": "all", "format": "tiff", "deadline_s": 1e-9}
        refused = small_http.post(COLORIZE, files={"file": file}, params=options)
        return float(refused.json()["detail"].split()[4])

    assert foreseen_s(20) == pytest.approx(20 * foreseen_s(1), rel=0.2)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "4000", "soon"])
def test_a_deadline_that_is_none_is_refused(small_http: httpx.Client, value: str) -> None:
    file = {"file": encoded(small("L"), "JPEG")}
    refused = small_http.post(f"{COLORIZE}?deadline_s={value}", files=file)
    assert refused.status_code == 422
    assert "deadline_s" in refused.json()["detail"]


def test_a_service_that_has_just_started_knows_what_photos_cost(start_small: Start) -> None:
    server = start_small()
    server.wait_ready()
    with server.client() as http:
        file = {"file": encoded(small("L"), "JPEG")}
        first = http.post(f"{COLORIZE}?deadline_s=0.0001", files=file)
        assert first.status_code == 503
        assert first.json()["type"] == "/problems/would-be-late"
        # What it found out that by is in no figure of what was asked of it.
        metrics = http.get("/metrics").text
        assert 'chromaserve_photos_total{outcome="colorized"}' not in metrics
        assert "chromaserve_batch_photos_count 0.0" in metrics


@pytest.mark.slow
def test_what_is_not_done_by_its_deadline_is_given_up(start_small: Start) -> None:
    server = start_small()
    server.wait_ready()
    with server.client() as http:
        # WebP takes several times what the service foresees, so the least deadline that lets the
        # photo in is too short for it.
        large = {"file": encoded(Image.effect_noise((4000, 3000), 60), "JPEG")}
        deadline_s, late = 0.05, http.post(f"{COLORIZE}?deadline_s=0.05&format=webp", files=large)
        while late.status_code == 503:
            assert late.json()["type"] == "/problems/would-be-late"
            deadline_s *= 1.5
            late = http.post(f"{COLORIZE}?deadline_s={deadline_s}&format=webp", files=large)
        assert late.status_code == 504
        assert "deadline_s" in late.json()["detail"]
        load = http.get("/models").json()["load"]
        assert (load["memory_mb"], load["uploads_mb"], load["accepted"]) == (0, 0, 0)


@pytest.mark.slow
def test_no_photo_waits_longer_than_the_service_lets_it(start_server: Start) -> None:
    server = start_server(max_wait_s=0.2)
    server.wait_ready()
    with server.client() as http:
        http.post(COLORIZE, files={"file": photos(1)[0]}).raise_for_status()
        answers = asyncio.run(all_at_once(server, photos(64)))
        assert {answer.status_code for answer in answers} == {200, 503}
        for answer in answers:
            if answer.status_code == 503:
                assert answer.json()["type"] == "/problems/busy"
                assert int(answer.headers["retry-after"]) >= 1
        metrics = http.get("/metrics").text
        refused = sum(answer.status_code == 503 for answer in answers)
        assert f'chromaserve_refusals_total{{problem="busy"}} {refused}.0' in metrics
        # Refused ones never became photos in work, and the next one is served.
        assert f'chromaserve_photos_total{{outcome="colorized"}} {65 - refused}.0' in metrics
        http.post(COLORIZE, files={"file": photos(1)[0]}).raise_for_status()
