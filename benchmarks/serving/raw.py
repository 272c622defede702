"""The yardstick: an engine called in a loop, without a server, in one process.

    python -m benchmarks.serving.raw ncnn --seconds 6

Prints as JSON the photos a second in batches of 8 and one by one.
"""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from chromaserve.engines import Engine
from chromaserve.engines.choose import load_engines
from chromaserve.settings import PipelineSettings
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore

BATCH = 8


def rate(engine: Engine, batch: int, seconds: float) -> float:
    """Photos a second of one engine in batches of one size."""
    L = np.random.default_rng(0).uniform(0, 100, (batch, 224, 224, 1)).astype(np.float32)
    vividness = np.full(batch, 0.65, np.float32)
    engine.infer(L, vividness)
    photos, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        engine.infer(L, vividness)
        photos += batch
    return photos / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("engine", choices=("savedmodel", "ncnn"))
    parser.add_argument("--seconds", type=float, default=6, help="for each of the two")
    arguments = parser.parse_args()
    settings = PipelineSettings(engine=arguments.engine)
    engines = load_engines(ModelStore(BUNDLED_ROOT).resolve("latest"), settings)
    result: dict[str, float] = {}
    with ThreadPoolExecutor(len(engines)) as pool:  # one thread a replica, as the service has
        for name, batch in (("batched", BATCH), ("single", 1)):
            rates = pool.map(lambda e, b=batch: rate(e, b, arguments.seconds), engines)
            result[name] = sum(rates)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
