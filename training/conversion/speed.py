"""How long engines take for one photo and for one of many, measured side by side."""

import time
from collections.abc import Sequence

import numpy as np

from chromaserve.engines import Engine
from chromaserve.engines.probes import probes
from chromaserve.engines.throughput import throughput

_ROUNDS = {False: 5, True: 2}  # of one photo, of many
_BUSY_S = 1.5


def milliseconds(engines: Sequence[Engine]) -> list[tuple[float, float]]:
    """For each engine the ms of one photo alone, and of one photo of many.

    The engines take turns, and the best of a few rounds counts, so that other work on the machine
    disturbs them alike and little.
    """
    L, vividness = probes()
    best = [[np.inf, np.inf] for _ in engines]
    for full in (False, True):
        for _ in range(_ROUNDS[full]):
            for engine, fastest in zip(engines, best, strict=True):
                if full:
                    took = 1000 / throughput(engine, _BUSY_S)
                else:
                    started = time.perf_counter()
                    engine.infer(L[:1], vividness[:1])
                    took = 1000 * (time.perf_counter() - started)
                fastest[full] = min(fastest[full], took)
    return [(round(alone, 1), round(batched, 1)) for alone, batched in best]
