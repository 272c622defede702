"""How many photos at once, on how many threads each, fill a machine's cores: a simulation.

    python -m benchmarks.many_cores
    python -m benchmarks.many_cores --network-ms 209 --serial 0.16 --beside-ms 8 --lock-ms 3
    python -m benchmarks.many_cores --measure

A photo takes the network's layers, of sizes drawn at random, one after the other. A part of each
runs on one thread, the rest on all threads that the photo has; where more threads run than there
are cores, each gets its share. What else a photo takes is one thread's work, some of it with
Python's lock held, beside which no other thread runs Python. Not in it: caches, memory bandwidth,
cores that are two threads of one. --measure tells the network's numbers on this machine, which is
to be idle.
"""

import argparse
import random
import statistics
import time
from dataclasses import dataclass

from chromaserve.engines.ncnn_engine import FOLDER, NcnnEngine, streams_of, threads_of
from chromaserve.engines.throughput import throughput
from chromaserve.settings import usable_cores
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore

LAYERS = 26
PHOTOS = 300
CORES = (1, 2, 8, 32, 64)


@dataclass(frozen=True)
class Costs:
    """Of one photo, seconds. Defaults are of the machine in docs/explanation/scaling.md."""

    network: float
    """On one thread."""
    serial: float
    """Part of it that no second thread helps with."""
    beside: float
    """All else, on one thread."""
    lock: float
    """Of that, with Python's lock held."""


@dataclass
class Photo:
    """On its way through the network."""

    pieces: list[tuple[float, int]]
    """Core seconds, and threads that share them; the last one first."""
    began: float
    left: float = 0.0
    threads: int = 1

    def go_on(self) -> bool:
        """Take the next piece; False where none is left."""
        if not self.pieces:
            return False
        self.left, self.threads = self.pieces.pop()
        return True


def simulate(costs: Costs, cores: int, streams: int, threads: int) -> tuple[float, float]:
    """Photos a second of the network with so many under way, and the median seconds of one."""
    draw = random.Random(0)
    sizes = [draw.expovariate(1) for _ in range(LAYERS)]
    layers = [costs.network * size / sum(sizes) for size in sizes]
    serial = costs.serial
    pieces = [p for one in layers for p in ((one * (1 - serial), threads), (one * serial, 1))]
    now, took = 0.0, list[float]()
    under_way = []
    for n in range(streams):  # each at another layer, as they are after a while
        under_way.append(Photo(pieces[: len(pieces) - n * len(pieces) // streams], now))
        under_way[-1].go_on()
    while len(took) < PHOTOS + streams:
        share = min(1.0, cores / sum(photo.threads for photo in under_way))
        step = min(photo.left / photo.threads for photo in under_way) / share
        now += step
        for n, photo in enumerate(under_way):
            photo.left -= step * share * photo.threads
            if photo.left <= 1e-9 and not photo.go_on():
                took.append(now - photo.began)
                under_way[n] = Photo(pieces.copy(), now)
                under_way[n].go_on()
    return len(took) / now, statistics.median(took[streams:])


def served(costs: Costs, cores: int, network: float) -> float:
    """Photos a second of one process whose network alone does so many."""
    rate = 1 / (1 / network + costs.beside / cores)
    return min(rate, 1 / costs.lock) if costs.lock else rate


def measured(seconds: float) -> Costs:
    """The CPU engine's numbers here: of one thread, and of how busy one photo keeps two.

    Not of how much sooner two are done: they may be two of one core.
    """
    folder = ModelStore(BUNDLED_ROOT).resolve("latest").path / FOLDER
    one, two = (NcnnEngine(folder, threads=threads) for threads in (1, 2))
    network = 1 / throughput(one, seconds, streams=1)
    wall, cpu = time.perf_counter(), time.process_time()
    throughput(two, seconds, streams=1)
    busy = (time.process_time() - cpu) / (time.perf_counter() - wall)
    return Costs(network, max(0.0, 2 / busy - 1), 0, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--network-ms", type=float, default=209)
    parser.add_argument("--serial", type=float, default=0.16)
    parser.add_argument("--beside-ms", type=float, default=8)
    parser.add_argument("--lock-ms", type=float, default=3)
    parser.add_argument("--measure", type=float, metavar="SECONDS", nargs="?", const=6)
    given = parser.parse_args()
    if given.measure:
        found = measured(given.measure)
        print(f"on {usable_cores()} cores: --network-ms {1e3 * found.network:.0f}"
              f" --serial {found.serial:.2f}")  # fmt: skip
        return
    costs = Costs(given.network_ms / 1e3, given.serial, given.beside_ms / 1e3, given.lock_ms / 1e3)
    print("| cores | photos at once, threads of each | network alone, photos/s | of all cores |"
          " served, photos/s | one of many, ms | one alone, ms |")  # fmt: skip
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for cores in CORES:
        ways = {
            (1, cores): "",
            (2, cores): "",
            (cores, 1): "",
            (streams_of(cores), threads_of(cores)): " (the CPU engine)",
        }
        for (streams, threads), name in ways.items():
            rate, took = simulate(costs, cores, streams, threads)
            _, alone = simulate(costs, cores, 1, threads)
            print(f"| {cores} | {streams}, {threads}{name} | {rate:.1f}"
                  f" | {rate * costs.network / cores:.2f} | {served(costs, cores, rate):.1f}"
                  f" | {1e3 * took:.0f} | {1e3 * alone:.0f} |")  # fmt: skip


if __name__ == "__main__":
    main()
