"""Answers of the model that are kept: the same photo with other options, sooner and alike."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from app.metrics import Metrics
from chromaserve.engines import Distribution, Features
from chromaserve.pipeline.batching import Batcher
from chromaserve.pipeline.cache import Cache, cache_key
from chromaserve.pipeline.inference import Inferring
from chromaserve.pipeline.models import LoadedModel
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore
from tests.conftest import serving
from tests.sample_photos import raw

Float = NDArray[np.float32]
PLANE = 224 * 224 * 2 * 4


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server that keeps answers."""
    folder = tmp_path_factory.mktemp("keeping")
    with serving(folder, cache_mb=2) as server, server.client() as client:
        yield client


def colorize(http: httpx.Client, **options: str | float) -> tuple[bytes, str]:
    """The coffee in colour, and what Server-Timing says of the model's part."""
    answer = http.post("/colorize", files={"file": raw("coffee.png")}, params=options)
    assert answer.status_code == 200, answer.text[:300]
    described = re.search('inference;desc="([^"]+)"', answer.headers["server-timing"])
    assert described
    return answer.content, described[1]


@pytest.mark.slow
def test_other_postprocessing_does_not_run_the_model_and_gives_the_same_bytes(
    http: httpx.Client, keeping: httpx.Client
) -> None:
    hints = '[{"x": 300, "y": 200, "color": "#aa3322"}]'
    _, first = colorize(keeping, vividness=0.3)
    assert first == "batch=1"
    others: list[dict[str, str]] = [{"postprocess": "tv"}, {"postprocess": "crf"}, {"hints": hints}]
    for options in (*others, {}):
        again, how = colorize(keeping, vividness=0.3, **options)
        assert how == "cached"
        fresh, how = colorize(http, vividness=0.3, **options)
        assert (fresh, how) == (again, "batch=1")
    for changed in ({"vividness": 0.31},):
        other, how = colorize(keeping, **changed)
        assert how != "cached"
        assert other == colorize(http, **changed)[0]
    told = keeping.get("/metrics").text
    assert 'chromaserve_answers_total{cache="hit"} 4.0' in told
    assert 'chromaserve_answers_total{cache="miss"} 2.0' in told
    held = re.search(r"chromaserve_cache_bytes (\d\S*)", told)
    assert held
    assert 2 * PLANE <= float(held[1]) <= 2.1 * PLANE


def test_what_was_not_asked_for_longest_is_forgotten_and_bytes_are_bounded() -> None:
    answers = Cache(3 * PLANE + 10_000)
    for name in "abc":
        answers.keep(name, np.zeros((224, 224, 2), np.float32))
    assert answers.get("a") is not None
    answers.keep("d", np.zeros((224, 224, 2), np.float32))
    assert [answers.get(name) is not None for name in "abcd"] == [True, False, True, True]
    assert answers.bytes <= answers.max_bytes
    answers.keep("vast", np.zeros((448, 448, 2, 2), np.float32))
    assert answers.get("vast") is None
    assert answers.bytes <= answers.max_bytes


@dataclass(eq=False)
class Flat:
    """An engine that answers every photo with one colour."""

    colour: float
    asked: int = 0
    name: str = "flat"
    device: str = "none"
    max_batch: int = field(default=4)
    has_distribution: bool = False
    has_features: bool = False
    streams: int = 1

    def infer(self, L: Float, vividness: Float) -> Float:
        self.asked += len(vividness)
        return np.full((len(L), 224, 224, 2), self.colour, np.float32)

    def distribution(self, L: Float) -> Distribution:
        raise NotImplementedError

    def features(self, L: Float) -> Features:
        raise NotImplementedError

    def infer_with_features(self, L: Float, vividness: Float) -> tuple[Float, Features]:
        raise NotImplementedError


def test_a_model_published_anew_under_its_number_answers_for_itself() -> None:
    description = ModelStore(BUNDLED_ROOT).resolve("latest").description
    batcher, L = Batcher(8), np.full((224, 224, 1), 50, np.float32)
    metrics = Metrics(lambda: iter(()))
    infer = Inferring(batcher, Cache(10 * PLANE), metrics).infer
    old, new = (LoadedModel(1, description, (Flat(colour),)) for colour in (10, 20))

    async def ask(*models: LoadedModel) -> list[float]:
        return [float((await infer(model, L, 0.5, "me")).ab[0, 0, 0]) for model in models]

    assert asyncio.run(ask(old, old, new, old)) == [10, 10, 20, 10]
    assert [model.engines[0].asked for model in (old, new)] == [1, 1]  # type: ignore[attr-defined]
    batcher.close()


def test_nothing_is_kept_where_that_is_switched_off() -> None:
    description = ModelStore(BUNDLED_ROOT).resolve("latest").description
    batcher, L = Batcher(8), np.full((224, 224, 1), 50, np.float32)
    answers, engine = Cache(0), Flat(10)
    infer = Inferring(batcher, answers, Metrics(lambda: iter(()))).infer
    model = LoadedModel(1, description, (engine,))
    for _ in range(2):
        assert asyncio.run(infer(model, L, 0.5, "me")).batch == 1
    assert (engine.asked, answers.bytes) == (2, 0)
    batcher.close()


def test_a_question_is_its_lightness_to_the_last_bit() -> None:
    L = np.full((224, 224, 1), 50, np.float32)
    other = L.copy()
    other[200, 7] = np.nextafter(np.float32(50), np.float32(51))
    assert cache_key(1, L, 0.5) == cache_key(1, L[::-1], 0.5)
    assert cache_key(1, L, 0.5) != cache_key(1, other, 0.5)
