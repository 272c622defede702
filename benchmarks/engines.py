"""The engines of this machine's CPU against each other: ms a photo, and how far their ab differ.

    python -m benchmarks.engines
    python -m benchmarks.engines photos/val --photos 48 --rounds 12

The engines take turns in every round, each with one photo after the other, and at its busiest.
"""

import argparse
import statistics
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.color.lab import srgb_to_L
from chromaserve.engines import Engine
from chromaserve.engines.ncnn_engine import FOLDER, NcnnEngine
from chromaserve.engines.savedmodel import SavedModelEngine
from chromaserve.engines.throughput import throughput
from chromaserve.settings import usable_cores
from chromaserve.store.contract import network_input
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore
from training.data import evenly_spaced
from training.datasets import photos_below

SAMPLES = Path(__file__).parent.parent / "samples" / "grey"
VIVIDNESS = (0.0, 0.65, 1.0)


def photos(folder: Path, count: int) -> NDArray[np.float32]:
    files = photos_below(folder)
    chosen = [files[i] for i in evenly_spaced(len(files), count)]
    grey = (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in chosen)
    return np.stack([
        network_input(srgb_to_L(np.asarray(picture, np.uint8)))
        for picture in grey
        if picture is not None
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, nargs="?", default=SAMPLES)
    parser.add_argument("--photos", type=int, default=24, help="how many are compared")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--model-root", type=Path, default=BUNDLED_ROOT)
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    options = parser.parse_args()
    threads = options.threads

    model = ModelStore(options.model_root).resolve("latest")
    ncnn = NcnnEngine(model.path / FOLDER, threads=threads)
    original = SavedModelEngine(model, device="cpu", threads=threads)
    engines: list[Engine] = [original, ncnn]

    L = photos(options.folder, options.photos)
    apart: dict[str, list[float]] = defaultdict(list)
    for vividness in VIVIDNESS:
        for n in range(0, len(L), original.max_batch):
            part = L[n : n + original.max_batch]
            given = np.full(len(part), vividness, np.float32)
            expected = original.infer(part, given)
            for engine in engines:
                apart[engine.name].append(float(np.abs(engine.infer(part, given) - expected).max()))

    took: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(options.rounds):
        for engine in engines:
            for load, streams in (("one alone", 1), ("one of many", engine.streams)):
                batch = 1 if load == "one alone" else engine.max_batch
                rate = throughput(engine, options.seconds, batch=batch, streams=streams)
                took[engine.name, load].append(1e3 / rate)

    print(f"Model {model.version}, {original.device}, {options.rounds} rounds in turns.")
    print(f"ms a photo: median (fastest to slowest). ab: {len(L)} photos, vividness {VIVIDNESS}.\n")
    loads = ("one alone", "one of many")
    print(f"| engine | {' | '.join(loads)} | against TensorFlow | largest difference, ab |")
    print("| --- |" + " ---: |" * (len(loads) + 2))
    for engine in engines:
        cells, ratios = [], []
        for load in loads:
            times = took[engine.name, load]
            middle = statistics.median(times)
            cells.append(f"{middle:.1f} ({min(times):.1f} to {max(times):.1f})")
            ratios.append(f"{statistics.median(took[original.name, load]) / middle:.2f}")
        print(
            f"| {engine.name} | {' | '.join(cells)} | {' / '.join(ratios)} "
            f"| {max(apart[engine.name]):.1g} |"
        )


if __name__ == "__main__":
    main()
