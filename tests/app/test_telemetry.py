"""What operators see: metrics, request ids, logs."""

import asyncio
import json
import re
import subprocess
import sys
from datetime import datetime

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from app.main import create_app
from app.settings import Settings
from tests.app.sockets import asked, connect, post
from tests.conftest import Server, Start
from tests.sample_photos import encoded, noise, small
from tests.small_network import small_http_instead

JSON = "application/json"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


# Nothing here is about colours.
http = small_http_instead


def photo() -> bytes:
    return encoded(small("L"), "PNG")


def colorize(http: httpx.Client, *photos: bytes, **more: dict[str, str]) -> httpx.Response:
    return http.post("/colorize", files=[("file", each) for each in photos], **more)  # type: ignore[arg-type]


def scrape(http: httpx.Client) -> Samples:
    answer = http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((f"chromaserve_{name}", frozenset(labels.items())), 0)


def test_metrics_count_requests_photos_stages_and_refusals(http: httpx.Client) -> None:
    before = scrape(http)
    assert colorize(http, photo(), photo(), b"no photo").status_code == 200
    assert colorize(http, photo()[:100]).status_code == 422
    assert http.get("/nothing/here").status_code == 404
    after = scrape(http)

    def grew(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert grew("requests_total", route="/colorize", method="POST", status="200") == 1
    assert grew("requests_total", route="/colorize", method="POST", status="422") == 1
    assert grew("requests_total", route="unmatched", method="GET", status="404") == 1
    assert grew("request_seconds_count", route="/colorize") == 2
    assert grew("photos_total", outcome="colorized") == 2
    assert grew("photos_total", outcome="unsupported-format") == 1
    assert grew("photos_total", outcome="damaged-photo") == 1
    models = http.get("/models").json()
    version = next(str(m["version"]) for m in models["models"] if m["default"])
    served = {"version": version, "engine": models["engine"]}
    assert grew("model_photos_total", **served) == 2
    assert grew("refusals_total", problem="damaged-photo") == 1
    assert grew("refusals_total", problem="not-found") == 1
    assert grew("batch_photos_sum") == 2
    for stage in ("admission", "decode", "queue", "inference", "encode", "total"):
        assert grew("stage_seconds_count", stage=stage) == 2
    stages = sum(grew("stage_seconds_sum", stage=s) for s in ("decode", "inference", "encode"))
    assert 0 < stages <= grew("stage_seconds_sum", stage="total")


@pytest.mark.slow
def test_refusals_that_no_application_sees_are_counted(start_small: Start) -> None:
    server = start_small()
    server.wait_ready()
    assert asked(server, b"no request\r\n\r\n")[0] == 400
    assert asked(server, post("/colorize", b"", "X: " + 70_000 * "x"))[0] == 431
    with server.client() as http:
        samples = scrape(http)
    assert value(samples, "refusals_total", problem="malformed-request") == 1
    assert value(samples, "refusals_total", problem="head-too-large") == 1


@pytest.mark.slow
@pytest.mark.parametrize(("accept", "photos"), [("image/*", 1), ("*/*", 32), (JSON, 32)])
def test_a_client_that_leaves_in_the_middle_of_its_answer_is_told_of(
    start_small: Start, accept: str, photos: int
) -> None:
    server = start_small()
    server.wait_ready()
    side = 2000 if photos == 1 else 500
    request = httpx.Request("POST", server.url, files=[("file", noise(side))] * photos)
    kind = f"Content-Type: {request.headers['content-type']}"
    with connect(server, 4096) as line:
        line.sendall(post("/colorize", request.read(), kind, f"Accept: {accept}"))
        assert b" 200 " in line.recv(100)
    with server.client() as http:
        while not (got := value(scrape(http), "request_seconds_count", route="/colorize")):
            pass
        samples = scrape(http)
    assert got == 1
    assert value(samples, "requests_total", route="/colorize", method="POST", status="499") == 1
    outcomes = [value(samples, "photos_total", outcome=o) for o in ("colorized", "cancelled")]
    assert sum(outcomes) == photos
    assert (outcomes[0] < photos) == (photos > 1)
    assert "POST /colorize 499 in" in server.log.read_text()
    assert "Traceback" not in server.log.read_text()


def test_metrics_tell_how_full_the_service_is_and_what_it_serves(http: httpx.Client) -> None:
    samples = scrape(http)
    models = http.get("/models").json()
    assert value(samples, "ready") == 1
    version = next(str(m["version"]) for m in models["models"] if m["default"])
    told = {"version": version, "engine": models["engine"], "device": models["device"]}
    assert value(samples, "model_loaded", **told) == 1
    assert value(samples, "wait_seconds") == 0
    bound = value(samples, "memory_bound_bytes", use="photos")
    assert bound / 2**20 == pytest.approx(models["load"]["memory_bound_mb"], abs=0.1)
    assert value(samples, "queue_photos") == value(samples, "accepted_photos") == 0
    assert samples["process_resident_memory_bytes", frozenset()] > 1e8


def test_openmetrics_where_it_is_asked_for(http: httpx.Client) -> None:
    answer = http.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_a_request_keeps_its_id_and_gets_one_otherwise(http: httpx.Client) -> None:
    mine = colorize(http, photo(), headers={"x-request-id": "order-66/a.b"})
    assert mine.headers["x-request-id"] == "order-66/a.b"
    refused = colorize(http, b"", headers={"x-request-id": "order-67"})
    assert (refused.status_code, refused.headers["x-request-id"]) == (422, "order-67")
    ids = {http.get("/healthz").headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    for odd in ("two words", 'say "x"', "a" * 129):
        given = http.get("/healthz", headers={"x-request-id": odd}).headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", given)


def test_an_unknown_failure_has_an_id_too_and_tells_nothing_else() -> None:
    app: FastAPI = create_app(Settings())

    @app.get("/fault")
    def fault() -> None:
        raise RuntimeError("a secret")

    async def ask() -> tuple[httpx.Response, str]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answer = await client.get("/fault", headers={"x-request-id": "it-was-me"})
            return answer, (await client.get("/metrics")).text

    answer, metrics = asyncio.run(ask())
    app.state.service.pipeline.close()
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "it-was-me"
    assert answer.json()["type"] == "/problems/internal-error"
    assert "secret" not in answer.text
    assert 'chromaserve_refusals_total{problem="internal-error"} 1.0' in metrics


def records(server: Server) -> list[dict[str, object]]:
    return [json.loads(line) for line in server.log.read_text().splitlines()]


@pytest.mark.slow
def test_json_logs_tell_of_each_request_with_its_id(start_small: Start) -> None:
    server = start_small(log_format="json")
    server.wait_ready()
    with server.client() as http:
        colorize(http, encoded(Image.new("L", (40, 30), 90), "PNG"), headers={"x-request-id": "a"})
        colorize(http, b"x", headers={"x-request-id": "b"})
        http.get("/a%0Afalse%20line", headers={"x-request-id": "c"})
    assert server.stop() == 0
    told = {str(r["request_id"]): r for r in records(server) if r["logger"] == "chromaserve.access"}
    assert set(told) == {"a", "b", "c"}  # probes are left out
    assert (told["a"]["route"], told["a"]["status"]) == ("/colorize", 200)
    assert re.search(r"POST /colorize 415 unsupported-format in", str(told["b"]["message"]))
    assert "GET /a%0Afalse%20line 404" in str(told["c"]["message"])
    assert all(
        {"time", "level", "logger", "message", "request_id"} <= r.keys() for r in records(server)
    )
    assert not {"color_message", "trace_id"} & {name for r in records(server) for name in r}
    assert "\\u001b" not in server.log.read_text()
    times = [datetime.fromisoformat(str(r["time"])) for r in records(server)]
    assert all(time.tzinfo for time in times)


def test_what_libraries_and_python_warn_of_is_in_the_log_like_the_rest() -> None:
    code = (
        "import logging, warnings; from app.logs import configure_logging;"
        "from app.settings import Settings; configure_logging(Settings(log_format='json'));"
        "logging.getLogger('asyncio').error('a task failed'); warnings.warn('deprecated');"
        "logging.getLogger('urllib3').info('not told')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert [r["logger"] for r in told] == ["asyncio", "py.warnings"]
