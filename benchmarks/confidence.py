"""How much confidence is worth: predicted error against actual, and hints where it says.

Run: python -m benchmarks.confidence FOLDER [--photos N] [--hinted N] [--store MODELS] [--amend]
or, for the picture of the documentation, with --picture OUT.jpg alone.

Photos are colorized from their own luminance, as the service does it, up to the grid of the
distribution, where they are compared with the truth. Every second photo is for calibrating: the
weights of the squared error's parts by non-negative least squares (Lawson & Hanson 1974), and by
maximum likelihood the logistic curve that makes a chance of it; a third of these photos each has a
vividness of 0, of the version's default and of 1. All tables are of the other half, at the default
where nothing else is said.
--amend stores the calibration in the version's model.json; without it the one that is there is
checked, where there is one.

Baselines of the ranking are the answer's chroma, the distribution's own spread, and a constant,
which ranks nothing. Hints are true colours of discs of the default radius, at suggested places, at
random ones (the mean of two draws), and in the middle of equal parts of the photo.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.optimize import minimize, nnls
from scipy.stats import spearmanr

from benchmarks.answer import answer
from benchmarks.hints import Colorized, Place, colorized, gained, random_places, true_discs
from chromaserve.color.confidence import NEAR, confidence_in, expected_error, moments, parts
from chromaserve.color.hint_places import ground, suggested
from chromaserve.color.lab import srgb_to_lab
from chromaserve.engines import Engine
from chromaserve.engines.choose import load_engines
from chromaserve.library.colorizer import Colorizer
from chromaserve.settings import PipelineSettings
from chromaserve.store.contract import Blend, Calibration, network_input, squeeze
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore
from training.data import evenly_spaced, read_photo
from training.intervals import mean_told

Float = NDArray[np.float32]

SAMPLES = Path(__file__).parents[1] / "samples" / "colour"
SHOWN = ("coffee.jpg", "dahlia.jpg")
COUNTS = (1, 3)
_DRAWS = 2
_WIDTH = 1200  # of the picture


@dataclass(frozen=True)
class Seen:
    """One photo, its answer by the model, and what is behind it."""

    path: Path
    rgb: NDArray[np.uint8]
    ab: Float
    """float32 [224, 224, 2]."""
    found: Float
    """float32 [h, w, 3], its `moments`."""
    squared: Float
    """float32 [h, w], the mean squared error in ab."""
    near: Float
    """float32 [h, w], the part of it within `NEAR`."""
    cpu_ms: tuple[float, float]
    """Of the network up to its distribution, and of the moments."""


def seen(engine: Engine, path: Path, vividness: float, blend: Blend | None) -> Seen:
    """Colorize a photo and compare it with itself."""
    rgb = read_photo(path)
    L, truth = srgb_to_lab(rgb)
    look = network_input(L)[np.newaxis]
    ab = answer(engine, look[0], vividness, blend)
    start = time.process_time()
    distribution = engine.distribution(look)
    ran = time.process_time()
    found = moments(distribution.logits[0], distribution.bins)
    done = time.process_time()
    error = np.square(ab - squeeze(truth, *ab.shape[:2])).sum(-1)
    squared, near = (
        squeeze(each, *found.shape[:2]) for each in (error, (error <= NEAR**2).astype(np.float32))
    )
    return Seen(path, rgb, ab, found, squared, near, (1000 * (ran - start), 1000 * (done - ran)))


def calibrated(photos: list[Seen]) -> Calibration:
    """Weights and curve that fit photos best."""
    known = np.concatenate([parts(each.ab, each.found).reshape(-1, 4) for each in photos])
    squared = np.concatenate([each.squared.ravel() for each in photos])
    near = np.concatenate([each.near.ravel() for each in photos])
    weights, _ = nnls(known.astype(np.float64), squared.astype(np.float64))
    logs = 0.5 * np.log(known @ weights)

    def unlikely(curve: NDArray[np.float64]) -> float:
        z = curve[1] * (logs - curve[0])
        return float(np.mean(near * np.logaddexp(0, z) + (1 - near) * np.logaddexp(0, -z)))

    middle, steepness = minimize(unlikely, [np.log(NEAR), 2.0], method="Nelder-Mead").x
    return Calibration(
        weights=tuple(round(float(each), 4) for each in weights),
        even=round(float(np.exp(middle)), 3),
        steepness=round(float(steepness), 3),
    )


def deciles(photos: list[Seen], calibration: Calibration) -> Iterator[str]:
    """Lines of the table of places by their expected error, a tenth each."""
    error = np.concatenate([expected(each, calibration) for each in photos])
    squared = np.concatenate([each.squared.ravel() for each in photos])
    near = np.concatenate([each.near.ravel() for each in photos])
    chance = confidence_in(error, calibration)
    for n, index in enumerate(np.array_split(np.argsort(error, kind="stable"), 10), 1):
        yield (
            f"| {n} | {rms(error[index]):.1f} | {np.sqrt(squared[index].mean()):.1f} |"
            f" {chance[index].mean():.2f} | {near[index].mean():.2f} |"
        )


def expected(photo: Seen, calibration: Calibration) -> Float:
    """Expected error of every place, flat."""
    return expected_error(photo.ab, photo.found, calibration).ravel()


def rms(values: Float) -> float:
    """Root mean square."""
    return float(np.sqrt(np.square(values).mean()))


def rankings(photos: list[Seen], calibration: Calibration) -> Iterator[str]:
    """Lines of the table of rank correlations with the actual error."""
    actual = [np.sqrt(each.squared.ravel()) for each in photos]
    judges: dict[str, list[Float]] = {
        "expected error": [expected(each, calibration) for each in photos],
        "chroma of the answer": [np.sqrt(parts(p.ab, p.found)[..., 2]).ravel() for p in photos],
        "spread of the distribution": [np.sqrt(each.found[..., 2]).ravel() for each in photos],
    }
    for name, told in judges.items():
        places = correlation(np.concatenate(told), np.concatenate(actual))
        within = np.array([correlation(a, b) for a, b in zip(told, actual, strict=True)])
        whole = correlation(np.array([rms(t) for t in told]), np.array([rms(a) for a in actual]))
        yield f"| {name} | {places:.2f} | {mean_told(within)} | {whole:.2f} |"
    yield "| a constant | 0 | 0 | 0 |"


def correlation(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Spearman's; 0 where one of them is constant."""
    return float(np.nan_to_num(spearmanr(one, other).statistic))


def grid_places(photo: Colorized, count: int) -> list[Place]:
    """The middles of so many equal parts along the longer side."""
    height, width = photo.L.shape
    along = [(n + 0.5) / count for n in range(count)]
    if width >= height:
        return [(each * width, height / 2) for each in along]
    return [(width / 2, each * height) for each in along]


def suggested_places(
    photo: Colorized, of: Seen, calibration: Calibration
) -> tuple[list[Place], float]:
    """Where the model would ask, x and y in pixels, and the CPU time that it takes, ms."""
    height, width = photo.L.shape
    look = network_input(photo.L)[:, :, 0]
    start = time.process_time()
    error = expected_error(of.ab, of.found, calibration)
    confidence_in(error, calibration)
    places = suggested(ground(look, of.ab, error, (width, height), ()))
    cpu_ms = 1000 * (time.process_time() - start)
    return [(x * width, y * height) for x, y in places], cpu_ms


def hinted(photos: list[Seen], calibration: Calibration) -> Iterator[str]:
    """Lines of the table of hints, then the cost of suggesting."""
    gains: dict[tuple[str, int], list[float]] = {}
    cost = []
    for seed, each in enumerate(photos):
        photo = colorized(each.path.name, each.rgb, each.ab)
        asked, cpu_ms = suggested_places(photo, each, calibration)
        cost.append(cpu_ms)
        for count in COUNTS:
            ways = {
                "suggested": [asked[:count]],
                "random": [random_places(photo, count, seed * _DRAWS + n) for n in range(_DRAWS)],
                "grid": [grid_places(photo, count)],
            }
            for name, draws in ways.items():
                found = [gained(photo, true_discs(photo, places)).gain_db for places in draws]
                gains.setdefault((name, count), []).append(float(np.mean(found)))
    for count in COUNTS:
        best = np.array(gains["suggested", count])
        for name in ("suggested", "random", "grid"):
            own = np.array(gains[name, count])
            more = "" if name == "suggested" else f" {mean_told(best - own, sign='+')}"
            yield (
                f"| {name} | {count} | {mean_told(own, sign='+')} | {own.mean() / count:+.2f} |"
                f" {np.mean(own < 0):.0%} |{more} |"
            )
    yield f"\nMap, figure and places take {np.median(cost):.0f} ms of CPU."


def draw(out: Path) -> None:
    """Two samples, a row each: grey, in colour with suggested places, and the map."""
    rows = []
    with Colorizer() as colorizer:
        for name in SHOWN:
            rgb = read_photo(SAMPLES / name)
            grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
            colour = np.array(colorizer.colorize(grey))
            found = colorizer.confidence(grey)
            for number, (x, y) in enumerate(found.hint_places, 1):
                at = round(x), round(y)
                cv2.circle(colour, at, 15, (255, 255, 255), -1, cv2.LINE_AA)
                cv2.putText(
                    colour, str(number), (at[0] - 7, at[1] + 7), cv2.FONT_HERSHEY_SIMPLEX, 0.7,
                    (20, 20, 20), 2, cv2.LINE_AA,
                )  # fmt: skip
            strip = np.hstack([np.dstack([grey] * 3), colour, np.dstack([found.map] * 3)])
            size = (_WIDTH, _WIDTH * len(strip) // strip.shape[1])
            rows.append(cv2.resize(strip, size, interpolation=cv2.INTER_AREA))
    Image.fromarray(np.asarray(np.vstack(rows), np.uint8)).save(out, quality=88)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, default=SAMPLES)
    parser.add_argument("--photos", type=int, default=1000, help="at most, evenly spaced")
    parser.add_argument("--hinted", type=int, default=120, help="of those that are checked")
    parser.add_argument("--store", type=Path, default=BUNDLED_ROOT, help="folder of models")
    parser.add_argument("--amend", action="store_true", help="store the calibration")
    parser.add_argument("--picture", type=Path, help="draw the example of the documentation")
    options = parser.parse_args()
    if options.picture:
        draw(options.picture)
        return
    cv2.setNumThreads(1)
    paths = sorted(options.folder.rglob("*.jpg"))
    store = ModelStore(options.store)
    version = store.resolve("latest")
    vividness, blend = version.description.default_vividness, version.description.blend
    engine = load_engines(version, PipelineSettings())[0]
    print(f"Model {version.version} by {engine.name}, vividness {vividness:g}", flush=True)
    chosen = [paths[i] for i in evenly_spaced(len(paths), options.photos)]
    levels = (vividness, 0.0, 1.0)
    few = [seen(engine, path, levels[n % 3], blend) for n, path in enumerate(chosen[::2])]
    fitted = calibrated(few)
    print(f"Calibrated on {len(few)} photos: {fitted.model_dump_json()}", flush=True)
    if options.amend:
        with tempfile.TemporaryDirectory() as nothing:
            version = store.amend(version, Path(nothing), confidence=fitted)
    calibration = version.description.confidence or fitted
    checked = [seen(engine, path, vividness, blend) for path in chosen[1::2]]
    print(f"Checked on {len(checked)} others: {calibration.model_dump_json()}\n")
    print("| tenth | expected error | actual | confidence | within 15 |")
    print("| ---: |" + " ---: |" * 4, *deciles(checked, calibration), sep="\n", flush=True)
    print("\n| ranked by | places | within a photo [95%] | photos |")
    print("| --- |" + " ---: |" * 3, *rankings(checked, calibration), sep="\n", flush=True)
    few = [checked[i] for i in evenly_spaced(len(checked), options.hinted)]
    print(f"\nVividness, {len(few)} of these photos:\n")
    print("| vividness | expected error | actual | confidence | within 15 |")
    print("| ---: |" + " ---: |" * 4)
    for other in sorted(levels):
        again = few if other == vividness else [seen(engine, p.path, other, blend) for p in few]
        error = np.concatenate([expected(each, calibration) for each in again])
        actual = np.sqrt(np.mean([each.squared.mean() for each in again]))
        near = np.mean([each.near.mean() for each in again])
        chance = confidence_in(error, calibration).mean()
        print(f"| {other:g} | {rms(error):.1f} | {actual:.1f} | {chance:.2f} | {near:.2f} |")
    print(f"\nHints, {len(few)} of these photos:\n\n| places | hints | gain, dB [95%] |", end="")
    print(" a hint | worse | suggested ones more [95%] |\n| --- |" + " ---: |" * 5)
    for line in hinted(few, calibration):
        print(line, flush=True)
    network, of_moments = np.median([each.cpu_ms for each in checked], axis=0)
    print(
        f"The network up to its distribution: {network:.0f} ms; its moments: {of_moments:.0f} ms."
    )


if __name__ == "__main__":
    main()
