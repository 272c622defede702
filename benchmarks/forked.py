"""How much of the CPU engine's memory processes could share that are forked when it is loaded.

    python -m benchmarks.forked --threads 1

Linux only. The service does not do it: docs/explanation/scaling.md says why.
"""

import argparse
import os
import signal

import numpy as np
import psutil

from chromaserve.engines.ncnn_engine import FOLDER, NcnnEngine
from chromaserve.pipeline.memory import return_freed
from chromaserve.store.contract import NETWORK_SIZE
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore


def memory(pid: int) -> str:
    """A process's proportional set size, and what is its own alone."""
    told = psutil.Process(pid).memory_full_info()
    return f"PSS {told.pss >> 20} MiB, its own {told.uss >> 20} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=1, help="of the engine")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    folder = ModelStore(BUNDLED_ROOT).resolve("latest").path / FOLDER
    L = np.full((1, NETWORK_SIZE, NETWORK_SIZE, 1), 50, np.float32)
    vividness = np.full(1, 0.5, np.float32)
    print(f"before the engine is loaded: {memory(os.getpid())}")
    engine = NcnnEngine(folder, threads=options.threads)
    return_freed()
    print(f"loaded: {memory(os.getpid())}")
    forked = []
    for _ in range(options.processes):
        done, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(told, f"mean ab {engine.infer(L, vividness).mean():.4f}".encode())
            signal.pause()  # until all were looked at
        forked.append((pid, os.read(done, 100).decode()))
    for pid, said in forked:
        print(f"forked, {said}: {memory(pid)}")
    print(f"loaded, then: {memory(os.getpid())}")
    for pid, _ in forked:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
    print(f"one that was not forked, mean ab {engine.infer(L, vividness).mean():.4f}:"
          f" {memory(os.getpid())}")  # fmt: skip


if __name__ == "__main__":
    main()
