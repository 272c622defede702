"""How long engines take for one photo and for a full batch, measured side by side."""

import time
from collections.abc import Sequence

import numpy as np

from chromaserve.engines import Engine
from chromaserve.engines.probes import probes

_ROUNDS = {False: 5, True: 2}  # of one photo, of full batches


def milliseconds(engines: Sequence[Engine]) -> list[tuple[float, float]]:
    """For each engine the ms of one photo alone, and of one photo in a full batch.

    The engines take turns, and the best of a few rounds counts, so that other work on the machine
    disturbs them alike and little.
    """
    L, vividness = probes()
    best = [[np.inf, np.inf] for _ in engines]
    for full in (False, True):
        for _ in range(_ROUNDS[full]):
            for engine, fastest in zip(engines, best, strict=True):
                count = engine.max_batch if full else 1
                batch = np.resize(L, (count, *L.shape[1:])), np.resize(vividness, count)
                started = time.perf_counter()
                engine.infer(*batch)
                took = 1000 * (time.perf_counter() - started) / count
                fastest[full] = min(fastest[full], took)
    return [(round(alone, 1), round(batched, 1)) for alone, batched in best]
