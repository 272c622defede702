"""OpenTelemetry traces: spans of requests are FastAPI's own, those of photos and stages are ours.

The SDK is imported only where traces are asked for.
"""

import logging
import os
import time
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from chromaserve.pipeline.timings import Timings

from .logs import NO_TRACE, trace_id
from .root_path import route_path
from .settings import Settings

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig

log = logging.getLogger("chromaserve")

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_MISSING = "OpenTelemetry is not installed: pip install 'chromaserve[otel]'"
_NANOSECONDS = 1_000_000_000


class NoOpenTelemetry(RuntimeError):  # noqa: N818 - reads as a fact
    """Traces were asked for, and the packages that make them are not there."""


def asked_for(settings: Settings) -> bool:
    """Whether the settings, or the environment as OpenTelemetry defines it, want traces."""
    if settings.otel != "auto":
        return settings.otel == "on"
    return any(os.environ.get(name) for name in _ENDPOINTS)


def start(settings: Settings, version: str) -> "Tracing | None":
    """Traces where they are asked for and can be made, None otherwise.

    Raises:
        NoOpenTelemetry: the settings insist, and it is not installed.
    """
    if not asked_for(settings):
        return None
    try:
        return Tracing(version)
    except ImportError as error:
        if settings.otel == "on":
            raise NoOpenTelemetry(_MISSING) from error
        log.warning("no traces: %s", _MISSING)
        return None


class Tracing:
    """A tracer that sends spans by OTLP over HTTP; OTEL_* variables say where, and what share."""

    def __init__(self, version: str) -> None:
        """Start the exporter's thread; `close` ends it."""
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        about = {SERVICE_VERSION: version}
        if not os.environ.get("OTEL_SERVICE_NAME"):
            about[SERVICE_NAME] = "chromaserve"
        self._trace = trace
        self._provider = TracerProvider(resource=Resource.create(about))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("chromaserve", version)

    def for_fastapi(self, unwatched: tuple[str, ...]) -> "TelemetryConfig":
        """FastAPI's `telemetry`: a span a request, except for these paths, and nothing else."""
        return {
            "tracer_provider": self._provider,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "exclude": lambda scope: route_path(scope) in unwatched,
        }

    def current_id(self) -> str | None:
        """The trace that the running code belongs to, in hexadecimal."""
        context = self._trace.get_current_span().get_span_context()
        return self._trace.format_trace_id(context.trace_id) if context.is_valid else None

    def hide_query(self) -> None:
        """Leave what a request's address has after its path out of its span, as logs do.

        A callback's address is there, and may have a token of its receiver's.
        """
        span = self._trace.get_current_span()
        if span.is_recording():
            span.set_attribute("url.query", "REDACTED")

    def photo(self, timings: Timings, version: int, engine: str) -> None:
        """Spans of a photo that was just done, and of its stages: children of the request's span.

        Stages follow each other; what lies between decoding and the queue, or between two stages,
        is waiting for a thread.
        """
        if not self._trace.get_current_span().is_recording():
            return
        end = time.time_ns()
        seconds = timings.seconds()

        def ago(duration_s: float) -> int:
            return end - round(duration_s * _NANOSECONDS)

        attributes: dict[str, str | int] = {
            "chromaserve.engine": engine,
            "chromaserve.model.version": version,
        }
        if timings.cached:
            attributes["chromaserve.cached"] = True
        photo = self._tracer.start_span(
            "photo", start_time=ago(timings.total_s), attributes=attributes
        )
        context = self._trace.set_span_in_context(photo)
        # Some are measured from the photo's beginning, others back from its end.
        begin = ago(timings.total_s)
        before_encode, before_model = timings.encode_s, timings.encode_s + timings.inference_s
        starts = {
            "admission": begin,
            "decode": begin + round(timings.admission_s * _NANOSECONDS),
            "queue": ago(before_model + timings.queue_s),
            "inference": ago(before_model),
            "encode": ago(before_encode),
        }
        for stage, started in starts.items():
            if seconds[stage] == 0:  # a tensor is not decoded, a kept answer is not inferred
                continue
            told = {"chromaserve.batch.size": timings.batch, **attributes}
            span = self._tracer.start_span(
                stage,
                context,
                start_time=started,
                attributes=told if stage == "inference" else None,
            )
            span.end(started + round(seconds[stage] * _NANOSECONDS))
        photo.end(end)

    def close(self) -> None:
        """Send what is left, and end the exporter's thread; blocks for seconds at most."""
        self._provider.shutdown()


class TraceIds:
    """An ASGI layer that gives a request's log records its trace's id, and its trace no secrets."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            trace_id.set(self._tracing.current_id() or NO_TRACE)
            if scope["query_string"]:
                self._tracing.hide_query()
        await self._app(scope, receive, send)
