"""Prometheus metrics: what the service did, by stage and reason, and how full it is now."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, values
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from chromaserve.pipeline.observer import Observer
from chromaserve.pipeline.timings import Timings

from .sharing import written
from .worker import STATES, Gauge, Worker

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)

_MAPPED_BYTES = 512 * 1024
"""For all counts of one worker that there may be: labels are few."""

_SAME = {"ready", "wait_seconds", "model_loaded", "job_photos", "job_bytes"}
"""Gauges of which several workers' greatest is told; of all others, their sum."""

Gauges = Callable[[], Iterable[Gauge]]
"""What is true now."""


class Metrics(Observer):
    """One service's metrics, in a registry of their own; times are in seconds."""

    def __init__(self, gauges: Gauges, worker: Worker | None = None) -> None:
        """Count from zero, or on from where the worker before this one died.

        Args:
            gauges: asked at every scrape.
            worker: what this process is, where it is one of several, all of which any tells of.
        """
        self.told = CollectorRegistry()
        """What is asked for."""
        self.registry = CollectorRegistry() if worker else self.told
        if worker:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(worker.folder)
            for kind in ("counter", "histogram"):
                written(worker.folder / f"{kind}_{worker.number}.db", _MAPPED_BYTES)
            values.ValueClass = values.MultiProcessValue(  # type: ignore[no-untyped-call]
                lambda: worker.number
            )
            MultiProcessCollector(self.told, str(worker.folder))  # type: ignore[no-untyped-call]
            self.told.register(_Workers(gauges, worker))
        else:
            ProcessCollector(registry=self.told)
            self.told.register(_Now(gauges))
        self._requests = Counter(
            "chromaserve_requests",
            "Requests answered, by route, method and status.",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "chromaserve_request_seconds",
            "From the request's first byte to the answer's last.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._refusals = Counter(
            "chromaserve_refusals",
            "Requests answered with a problem, by its type.",
            ["problem"],
            registry=self.registry,
        )
        self._photos = Counter(
            "chromaserve_photos",
            "Photos of accepted requests: colorized, cancelled, or the type of their problem.",
            ["outcome"],
            registry=self.registry,
        )
        self._model_photos = Counter(
            "chromaserve_model_photos",
            "Photos that a model answered, by its version and engine.",
            ["version", "engine"],
            registry=self.registry,
        )
        self._stage_seconds = Histogram(
            "chromaserve_stage_seconds",
            "Time that a colorized photo spent in each stage.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._batch_photos = Histogram(
            "chromaserve_batch_photos",
            "Looks at photos that went through the model together.",
            buckets=_BATCHES,
            registry=self.registry,
        )

        self._answers = Counter(
            "chromaserve_answers",
            "Photos that the model was asked about, by whether its answer was kept from before.",
            ["cache"],
            registry=self.registry,
        )

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request; `route` is a template, never a client's own path."""
        self._requests.labels(route, method, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def refusal(self, problem: str) -> None:
        """Count a problem response."""
        self._refusals.labels(problem).inc()

    def colorized(self, timings: Timings, version: int, engine: str) -> None:
        """Count a colorized photo, the stages that it had, and the model that coloured it."""
        self._model_photos.labels(str(version), engine).inc()
        self._photos.labels("colorized").inc()
        for stage, seconds in timings.seconds().items():
            if seconds:  # a tensor is not decoded
                self._stage_seconds.labels(stage).observe(seconds)

    def not_colorized(self, outcome: str, photos: int = 1) -> None:
        """Count photos that came to nothing."""
        self._photos.labels(outcome).inc(photos)

    def answer(self, *, kept: bool) -> None:
        """Count a photo whose answer was kept from before, or was not."""
        self._answers.labels("hit" if kept else "miss").inc()

    def batch(self, photos: int) -> None:
        """Count a batch that went through the model; called on the model's thread."""
        self._batch_photos.observe(photos)


class _Now(Collector):
    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        """One family a name, its samples in order."""
        yield from _families(self._gauges())


class _Workers(Collector):
    """What is true now of all workers, and of their processes."""

    def __init__(self, gauges: Gauges, worker: Worker) -> None:
        self._gauges = gauges
        self._worker = worker

    def collect(self) -> Iterator[Metric]:
        """Gauges of all, and those of each process, whose number is their label."""
        with suppress(OSError):  # a full disk
            self._worker.note(self._gauges())
        joined: dict[tuple[str, ...], Gauge] = {}
        processes: dict[str, Metric] = {}
        for file in sorted(self._worker.folder.glob(STATES)):
            try:
                state = json.loads(file.read_text())
            except FileNotFoundError:  # it died just now
                continue
            for name, meaning, labels, value in state["gauges"]:
                key = (name, *labels.values())
                known = joined[key][3] if key in joined else 0.0
                both = max(known, value) if name in _SAME else known + value
                joined[key] = (name, meaning, labels, both)
            for family in _process(state["pid"]):
                told = processes.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                told.samples += [
                    sample._replace(labels={"worker": str(state["number"])})
                    for sample in family.samples
                ]
        yield from _families(joined.values())
        yield from processes.values()


def _process(pid: int) -> Iterable[Metric]:
    return ProcessCollector(pid=lambda: pid, registry=CollectorRegistry()).collect()


def _families(gauges: Iterable[Gauge]) -> Iterable[Metric]:
    families: dict[str, GaugeMetricFamily] = {}
    for name, meaning, labels, value in gauges:
        family = families.setdefault(
            name, GaugeMetricFamily(f"chromaserve_{name}", meaning, labels=list(labels))
        )
        family.add_metric(list(labels.values()), value)
    return families.values()
