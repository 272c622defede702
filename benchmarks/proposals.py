"""What several proposals bring: the best of n against one, and how unlike they are.

Run: python -m benchmarks.proposals FOLDER [--photos N] [--picture OUT.jpg]

Photos are colorized from their own luminance, as the service does it, up to the network's size of
224 x 224, where they are compared with the truth. Gain is over grey, in dB of the squared error of
ab, a photo's mean first. The best of n is chosen by the truth, as a person would who remembers. The
baseline are shifts of the whole photo's ab in random directions, one for each further proposal and
as far from the model's answer as that is. CPU time is that of making all proposals from the
network's distribution.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.answer import answer
from chromaserve.color.lab import srgb_to_lab
from chromaserve.color.proposals import MAX_PROPOSALS, proposed, with_proposal
from chromaserve.engines.choose import load_engines
from chromaserve.library.colorizer import Colorizer
from chromaserve.settings import PipelineSettings
from chromaserve.store.contract import network_input, squeeze
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore
from training.data import evenly_spaced, read_photo
from training.intervals import mean_told

Float = NDArray[np.float32]

COUNTS = (2, 3, 5, 8)
SAMPLES = Path(__file__).parents[1] / "samples" / "colour"
SHOWN = ("coffee.jpg", "dahlia.jpg")
_SHIFTS = 8  # random ones are drawn so often
_WIDTH = 1200  # of the picture


@dataclass(frozen=True)
class Measured:
    """Of one photo, by the proposal: [8]."""

    gains: NDArray[np.float64]
    """Over grey, dB."""
    shifted: NDArray[np.float64]
    """Of the baseline, [draws, 8]; the first is the model's answer."""
    apart: NDArray[np.float64]
    """Root mean square distance in ab of each from each, [8, 8]."""
    cpu_ms: float


def gain(ab: Float, truth: Float) -> float:
    """Over grey, in dB of the squared error."""
    return float(10 * np.log10(np.square(truth).mean() / np.square(ab - truth).mean()))


def distance(one: Float, other: Float) -> float:
    """Root mean square distance in ab."""
    return float(np.sqrt(np.square(one - other).sum(-1).mean()))


def measured(answers: list[Float], truth: Float, cpu_ms: float, seed: int) -> Measured:
    """Compare proposals, float32 [224, 224, 2] each, with the truth."""
    rng = np.random.default_rng(seed)
    shifted = np.empty((_SHIFTS, len(answers)))
    own = answers[0]
    shifted[:, 0] = gain(own, truth)
    for n, each in enumerate(answers[1:], 1):
        for draw, angle in enumerate(rng.uniform(0, 2 * np.pi, _SHIFTS)):
            way = distance(each, own) * np.array([np.cos(angle), np.sin(angle)], np.float32)
            shifted[draw, n] = gain(own + way, truth)
    apart = np.zeros((len(answers), len(answers)))
    for (i, one), (j, other) in combinations(enumerate(answers), 2):
        apart[i, j] = apart[j, i] = distance(one, other)
    return Measured(np.array([gain(each, truth) for each in answers]), shifted, apart, cpu_ms)


def photos(folder: Path, limit: int) -> Iterator[Measured]:
    """Measure photos of a folder, evenly spaced."""
    paths = sorted(folder.rglob("*.jpg"))
    version = ModelStore(BUNDLED_ROOT).resolve("latest")
    vividness, blend = version.description.default_vividness, version.description.blend
    (engine, *_) = load_engines(version, PipelineSettings())
    print(f"Model {version.version} by {engine.name}, vividness {vividness:g}", flush=True)
    for seed, i in enumerate(evenly_spaced(len(paths), limit)):
        L, ab = srgb_to_lab(read_photo(paths[i]))
        look = network_input(L)[np.newaxis]
        own = answer(engine, look[0], vividness, blend)
        found = engine.distribution(look)
        start = time.process_time()
        further = proposed(found.logits[0], found.bins)
        cpu_ms = 1000 * (time.process_time() - start)
        answers = [own, *(with_proposal(own, each) for each in further)]
        yield measured(answers, squeeze(ab, *own.shape[:2]), cpu_ms, seed)


def row(count: int, found: list[Measured]) -> str:
    """A line of the table."""
    own = np.array([each.gains[0] for each in found])
    best = np.array([each.gains[:count].max() for each in found])
    shifted = np.array([each.shifted[:, :count].max(1).mean() for each in found])
    further = np.array([each.gains[1:count].mean() for each in found])
    between = np.triu_indices(count, 1)
    apart = np.array([each.apart[:count, :count][between].mean() for each in found])
    from_own = np.array([each.apart[0, 1:count].mean() for each in found])
    return (
        f"| {count} | {own.mean():.2f} | {best.mean():.2f} | {mean_told(best - own, sign='+')}"
        f" | {shifted.mean():.2f} | {further.mean():.2f} |"
        f" {from_own.mean():.1f} | {apart.mean():.1f} | {np.mean(best > own):.0%} |"
    )


def draw(out: Path) -> None:
    """A picture of two samples, a row each: grey, then five proposals."""
    rows = []
    with Colorizer() as colorizer:
        for name in SHOWN:
            rgb = read_photo(SAMPLES / name)
            grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
            shown = [np.dstack([grey] * 3)]
            shown += [colorizer.colorize(grey, proposal=n) for n in range(1, 6)]
            strip = np.hstack(shown)
            size = (_WIDTH, _WIDTH * len(strip) // strip.shape[1])
            rows.append(cv2.resize(strip, size, interpolation=cv2.INTER_AREA))
    Image.fromarray(np.asarray(np.vstack(rows), np.uint8)).save(out, quality=88)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, default=SAMPLES)
    parser.add_argument("--photos", type=int, default=60, help="at most, evenly spaced")
    parser.add_argument("--picture", type=Path, help="draw the example of the documentation")
    options = parser.parse_args()
    if options.picture:
        draw(options.picture)
        return
    cv2.setNumThreads(1)
    found = list(photos(options.folder, options.photos))
    cpu_ms = np.median([each.cpu_ms for each in found])
    print(f"{len(found)} photos; {MAX_PROPOSALS} proposals take {cpu_ms:.0f} ms of CPU\n")
    print("| n | one | best of n | more [95%] | best of shifts | each further one", end="")
    print(" | ab from the first | ab between two | photos with a better one |")
    print("| ---: |" + " ---: |" * 8)
    for count in COUNTS:
        print(row(count, found))


if __name__ == "__main__":
    main()
