"""How many photos a second an engine does at its busiest."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from chromaserve.engines import Engine
from chromaserve.store.contract import NETWORK_SIZE


def throughput(
    engine: Engine, seconds: float, *, batch: int | None = None, streams: int | None = None
) -> float:
    """Photos a second in so many seconds, after a call of each stream that does not count.

    Args:
        engine: warm or not.
        seconds: at least; a call that has begun is waited for.
        batch: photos of a call; None: the engine's most.
        streams: calls at once; None: as many as keep the engine busy.
    """
    batch, streams = batch or engine.max_batch, streams or engine.streams
    shape = batch, NETWORK_SIZE, NETWORK_SIZE, 1
    L = np.random.default_rng(0).uniform(0, 100, shape).astype(np.float32)
    vividness = np.full(batch, 0.65, np.float32)

    def rate(until: float) -> float:
        photos, began = 0, time.perf_counter()
        while time.perf_counter() < until:
            engine.infer(L, vividness)
            photos += batch
        return photos / (time.perf_counter() - began)

    with ThreadPoolExecutor(streams) as pool:
        list(pool.map(lambda _: engine.infer(L, vividness), range(streams)))
        return sum(pool.map(rate, [time.perf_counter() + seconds] * streams))
