"""The yardstick: an engine called in a loop, without a server, in one process.

    python -m benchmarks.serving.raw ncnn --seconds 6

Prints as JSON the photos a second at its busiest, and one by one.
"""

import argparse
import json
from concurrent.futures import ThreadPoolExecutor

from chromaserve.engines.choose import load_engines
from chromaserve.engines.throughput import throughput
from chromaserve.settings import PipelineSettings
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("engine", choices=("savedmodel", "ncnn"))
    parser.add_argument("--seconds", type=float, default=6, help="for each of the two")
    arguments = parser.parse_args()
    settings = PipelineSettings(engine=arguments.engine)
    engines = load_engines(ModelStore(BUNDLED_ROOT).resolve("latest"), settings)
    with ThreadPoolExecutor(len(engines)) as pool:  # replicas together, as in the service
        busy = sum(pool.map(lambda engine: throughput(engine, arguments.seconds), engines))
    single = throughput(engines[0], arguments.seconds, batch=1, streams=1)
    print(json.dumps({"busy": busy, "single": single}))


if __name__ == "__main__":
    main()
