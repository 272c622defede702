"""From the command to `/readyz`: how long the service takes to start, and its memory then.

python -m benchmarks.start --runs 5
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time

import httpx
import psutil

_LONGEST_S = 120.0


def start() -> tuple[float, float, bool]:
    """Start a service and end it: seconds to ready, peak MiB, whether TensorFlow was loaded."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "app"],
        env={**os.environ, "CHROMASERVE_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).is_success:
                    break
            except httpx.TransportError:
                pass
            if process.poll() is not None or time.perf_counter() - began > _LONGEST_S:
                raise SystemExit("the service did not start")
            time.sleep(0.02)
        took = time.perf_counter() - began
        seen = psutil.Process(process.pid)
        peak = seen.memory_info().rss / 2**20
        mapped = any("tensorflow" in file.path for file in seen.memory_maps())
    finally:
        process.terminate()
        process.wait(_LONGEST_S)
    return took, peak, mapped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    runs = [start() for _ in range(parser.parse_args().runs)]
    for took, peak, tensorflow in runs:
        print(f"{took:6.2f} s {peak:6.0f} MiB  {'with' if tensorflow else 'without'} TensorFlow")
    print(f"median {statistics.median(took for took, _, _ in runs):.2f} s")


if __name__ == "__main__":
    main()
