"""Traces as an OpenTelemetry collector receives them, and as nobody pays for where they are off."""

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from app import tracing
from app.settings import Settings
from tests.app.test_telemetry import records
from tests.conftest import Start
from tests.sample_photos import encoded, small

pytestmark = pytest.mark.slow

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
STAGES = ["admission", "decode", "queue", "inference", "encode"]


class Collector:
    """A receiver of OTLP over HTTP on a free port, which keeps what it gets."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/traces"
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def service_names(self) -> set[str]:
        return {
            attribute.value.string_value
            for request in self.requests
            for resource in request.resource_spans
            for attribute in resource.resource.attributes
            if attribute.key == "service.name"
        }


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


def attributes(span: Span) -> dict[str, str | int]:
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def test_a_request_its_photos_and_their_stages_are_one_trace(
    collector: Collector, start_small: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    server = start_small(log_format="json")
    server.wait_ready()
    with server.client() as http:
        given = [("file", encoded(small("L"), "PNG"))] * 2
        traceparent = {"traceparent": f"00-{TRACE}-{CALLER}-01", "x-request-id": "traced"}
        answer = http.post("/colorize", files=given, headers=traceparent)
        assert answer.status_code == 200
        plane = {"name": "L", "datatype": "FP32", "shape": [1, 224, 224, 1], "data": [9] * 224**2}
        assert http.post("/v2/models/colorizer/infer", json={"inputs": [plane]}).status_code == 200
        assert http.post("/colorize", files={"file": b"no photo"}).status_code == 415
        model = next(m for m in http.get("/models").json()["models"] if m["default"])
    assert server.stop() == 0  # what is left is sent before the end

    assert collector.service_names() == {"chromaserve"}
    requests = {s.trace_id.hex(): s for s in collector.spans if s.kind == Span.SPAN_KIND_SERVER}
    names = sorted(span.name for span in requests.values())
    assert names == [  # probes are left out
        "GET /models",
        "POST /colorize",
        "POST /colorize",
        "POST /v2/models/{name}/infer",
    ]
    request = requests[TRACE]
    assert request.parent_span_id.hex() == CALLER
    assert attributes(request)["http.response.status_code"] == 200
    mine = [span for span in collector.spans if span.trace_id.hex() == TRACE]
    photos = [span for span in mine if span.name == "photo"]
    assert [span.parent_span_id for span in photos] == [request.span_id] * 2
    for photo in photos:
        stages = [span for span in mine if span.parent_span_id == photo.span_id]
        stages.sort(key=lambda span: span.start_time_unix_nano)
        assert [span.name for span in stages] == STAGES
        assert request.start_time_unix_nano <= photo.start_time_unix_nano
        for span, after in zip(stages, [*stages[1:], photo], strict=True):
            assert photo.start_time_unix_nano <= span.start_time_unix_nano
            latest = photo.end_time_unix_nano if after is photo else after.start_time_unix_nano
            assert span.start_time_unix_nano <= span.end_time_unix_nano <= latest + 1000
        inference = attributes(stages[3])
        assert 1 <= int(inference["chromaserve.batch.size"]) <= 2
        assert inference["chromaserve.model.version"] == model["version"]
        assert inference["chromaserve.engine"]
    tensor = next(span for span in requests.values() if "infer" in span.name)
    (row,) = [span for span in collector.spans if span.parent_span_id == tensor.span_id]
    parts = sorted(s.name for s in collector.spans if s.parent_span_id == row.span_id)
    assert parts == ["inference", "queue"]
    told = {r["request_id"]: r for r in records(server) if r["logger"] == "chromaserve.access"}
    assert told["traced"]["trace_id"] == TRACE


def test_what_a_callback_is_called_by_stays_out_of_traces(
    collector: Collector, start_small: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    server = start_small()
    server.wait_ready()
    with server.client() as http:
        photo = {"file": encoded(small("L"), "PNG")}
        http.post("/jobs", params={"callback": "https://a.test/hook?token=s3cret"}, files=photo)
        http.get("/models")
    assert server.stop() == 0
    queries = {span.name: attributes(span).get("url.query") for span in collector.spans}
    assert queries == {"POST /jobs": "REDACTED", "GET /models": None}
    assert not any("s3cret" in str(request) for request in collector.requests)


def test_nothing_of_it_is_loaded_where_it_is_off() -> None:
    code = (
        "import sys; from app.main import create_app; from app.settings import Settings;"
        "app = create_app(Settings(otel='{}')); app.state.service.pipeline.close();"
        "print([m for m in sys.modules if m.startswith('opentelemetry.sdk.trace')])"
    )
    for otel in ("auto", "off"):
        done = subprocess.run(
            [sys.executable, "-c", code.format(otel)], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "[]"


def test_what_asks_for_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not tracing.asked_for(Settings())
    assert tracing.asked_for(Settings(otel="on"))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces")
    assert tracing.asked_for(Settings())
    assert not tracing.asked_for(Settings(otel="off"))


def test_without_the_extra_only_who_insists_is_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Something else may have brought the SDK, and other exporters.
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    assert tracing.start(Settings(), "1") is None
    assert "chromaserve[otel]" in caplog.text
    with pytest.raises(tracing.NoOpenTelemetry):
        tracing.start(Settings(otel="on"), "1")
