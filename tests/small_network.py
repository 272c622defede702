"""A version whose network is small: for tests of what is done around it, whatever the colours."""

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from chromaserve.engines import FEATURES
from chromaserve.engines.ncnn_engine import FOLDER, NUMBERS, PARAM, PROBE, WEIGHTS, NcnnEngine
from chromaserve.engines.photo_numbers import PhotoNumbers
from chromaserve.store.contract import Calibration, GuidedFilter, ModelDescription
from chromaserve.store.versions import ModelStore, ModelVersion

if TYPE_CHECKING:
    from tests.conftest import Server

SEEN, BINS = 8, 25
# L at a quarter of the side; from there to what an encoder sees, at two scales, and to colours: the
# mean of a distribution, times the vividness, and others beside it.
NETWORK = f"""7767517
17 19
Input L 0 1 L
Input strength 0 1 strength
Pooling small 1 1 L small 0=1 1=4 2=4
Split smalls 1 2 small small_0 small_1
Convolution fine 1 1 small_0 fine 0={FEATURES} 1=3 3=2 4=1 5=1 6={9 * FEATURES} 9=1
Pooling pooled 1 1 fine pooled 0=0 1=2 2=2
ReLU coarse 1 1 pooled coarse
Convolution seen 1 1 small_1 seen 0={SEEN} 1=3 4=1 5=1 6={9 * SEEN} 9=1
Split seens 1 2 seen seen_0 seen_1
Convolution logits 1 1 seen_0 logits 0={BINS} 1=1 5=1 6={SEEN * BINS}
Softmax chances 1 1 logits chances 0=0 1=1
Convolution mean 1 1 chances mean 0=2 1=1 5=1 6={2 * BINS}
BinaryOp lively 2 1 strength mean lively 0=2
Convolution calm 1 1 seen_1 calm 0=2 1=3 4=1 5=1 6={2 * 9 * SEEN}
BinaryOp both 2 1 calm lively both 0=0
Interp large 1 1 both large 0=2 3=224 4=224
Noop ab 1 1 large ab
"""
CALIBRATION = Calibration(weights=(1, 0, 1, 100), even=20, steepness=3)


def publish(root: Path) -> ModelVersion:
    """A store's next version with a network for a CPU, without TensorFlow's files.

    It starts in half the time of the bundled one and takes a hundredth of its time for a photo,
    whose colours are of no sense, but its own. It can all that the bundled one can.
    """
    folder = root / "saved" / FOLDER
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    side = np.linspace(-50, 50, math.isqrt(BINS))
    kernels = [
        random.normal(0, 0.1, (FEATURES, 9)),
        random.normal(0, 0.1, (SEEN, 9)),
        random.normal(0, 0.05, (BINS, SEEN)),
        np.stack(np.meshgrid(side, side)).reshape(2, BINS),
        random.normal(0, 0.05, (2, 9 * SEEN)),
    ]
    layers = [np.concatenate([[0], k.ravel(), np.zeros(len(k))]) for k in kernels]
    # ncnn's: 0 for float32, weights, biases
    (folder / WEIGHTS).write_bytes(np.concatenate(layers).astype(np.float32).tobytes())
    (folder / PARAM).write_text(NETWORK)
    numbers = PhotoNumbers("vividness", (), {}, {"vividness": "strength"})
    (folder / NUMBERS).write_text(numbers.to_json())
    L = random.uniform(0, 100, (1, 224, 224, 1)).astype(np.float32)
    vividness = np.full(1, 0.5, np.float32)
    ab = NcnnEngine(folder, threads=1).infer(L, vividness)
    np.savez(folder / PROBE, L=L, vividness=vividness, ab=ab)
    described = describe(default_vividness=0.65, confidence=CALIBRATION)
    return ModelStore(root).publish(folder.parent, described)


def describe(**changes: object) -> ModelDescription:
    """What a version's model.json says at least, and what else is given."""
    fields: dict[str, Any] = {
        "name": "colorizer",
        "created": datetime(2025, 1, 31, tzinfo=UTC),
        "licence": "Apache-2.0",
        "attribution": "",
        "default_vividness": 0.0,
        "guided_filter": GuidedFilter(radius=8, eps=1e-3),
        "training": {},
        "data": {},
        "metrics": {},
    }
    return ModelDescription(**(fields | changes))


@pytest.fixture(scope="session")
def small_server_instead(small_server: "Server") -> "Server":
    """A module's `server`, where nothing is about the colours of a network."""
    return small_server


@pytest.fixture(scope="session")
def small_http_instead(small_http: httpx.Client) -> httpx.Client:
    """Its `http`, likewise."""
    return small_http
