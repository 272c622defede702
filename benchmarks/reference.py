"""What a reference brings: another view of the scene in colour, and one of another scene.

Run: python -m benchmarks.reference FOLDER [--photos N] [--series MANIFEST SOURCE GAP]
     python -m benchmarks.reference FOLDER --fit ... | --cost | --picture OUT.jpg

Views are the two ends of a photo, each two thirds of it, so that they have a third of the photo in
common; the reference's end is lit otherwise (a power of 0.7 to 1.4 and a factor of 0.8 to 1.15 on
sRGB). A series, from a manifest with columns place, file, source, original_path, is photos of one
source whose numbers lie GAP apart at most: frames of a film, or a walk's photos. Photos are
colorized from their own luminance up to the network's 224 x 224, and compared with the truth there.
Gain is over grey, in dB of the squared error of ab. A wrong reference is that of another pair,
drawn at random, of another source where it is a series. Baselines: the network's answer with mean
and deviation of the reference's ab (Reinhard et al. 2001), and the reference's mean colour
everywhere.
"""

import argparse
import csv
import re
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import chromaserve.color.reference as weights
from chromaserve.color.lab import srgb_to_lab
from chromaserve.color.look import network_look
from chromaserve.color.reference import COLOURS, Match, Seen, matched, with_reference
from chromaserve.color.vividness import asked, livened
from chromaserve.engines import Engine
from chromaserve.engines.choose import load_engines
from chromaserve.library.colorizer import Colorizer
from chromaserve.settings import PipelineSettings
from chromaserve.store.contract import ModelDescription, network_input, squeeze
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore
from training.data import evenly_spaced, read_photo
from training.intervals import mean_told

Float = NDArray[np.float32]
Photo = NDArray[np.uint8]

SAMPLES = Path(__file__).parents[1] / "samples" / "colour"
SHOWN = ("wine-and-drum.jpg", "pagoda.jpg")
_PART = 2 / 3  # of a photo's longer side
_WIDTH = 1200  # of the picture
_RUNS = 7


@dataclass(frozen=True, eq=False)
class View:
    """A photo as the network has it."""

    seen: Seen
    own: Float
    """Its answer, float32 [224, 224, 2]."""
    truth: Float

    @property
    def small(self) -> Float:
        """The truth as a reference has it, [56, 56, 2]."""
        return squeeze(self.truth, COLOURS, COLOURS)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two views of one scene, and of another."""

    kind: str
    photo: View
    reference: View
    wrong: View


def gain(ab: Float, truth: Float) -> float:
    """Over grey, in dB of the squared error."""
    return float(10 * np.log10(np.square(truth).mean() / np.square(ab - truth).mean()))


def view(rgb: Photo, engine: Engine, described: ModelDescription) -> View:
    """A photo looked at."""
    L, ab = srgb_to_lab(rgb)
    look = network_look(network_input(L)[..., 0])
    vividness, blend = described.default_vividness, described.blend
    given = np.array([asked(vividness, blend)], np.float32)
    own, found = engine.infer_with_features(look[np.newaxis, ..., np.newaxis], given)
    seen = Seen(found.fine[0], found.coarse[0], squeeze(look, COLOURS, COLOURS))
    return View(seen, livened(own[0], vividness, blend), squeeze(ab, *own.shape[1:3]))


def ends(rgb: Photo, rng: np.random.Generator) -> tuple[Photo, Photo]:
    """Two views of a photo, the second lit otherwise."""
    along = int(rgb.shape[1] >= rgb.shape[0])
    length = int(rgb.shape[along] * _PART)
    first, last = np.split(rgb, [length], along)[0], np.split(rgb, [-length], along)[1]
    one, other = (first, last) if rng.random() < 0.5 else (last, first)
    lit = (other / 255.0) ** rng.uniform(0.7, 1.4) * rng.uniform(0.8, 1.15)
    return one, np.asarray(255 * np.clip(lit, 0, 1), np.uint8)


def views(folder: Path, limit: int) -> Iterator[tuple[str, Photo, Photo]]:
    """Two ends of photos of a folder, evenly spaced."""
    paths = sorted(folder.rglob("*.jpg"))
    for seed, i in enumerate(evenly_spaced(len(paths), limit)):
        yield "views", *ends(read_photo(paths[i]), np.random.default_rng(seed))


def series(manifest: Path, source: str, gap: int, limit: int) -> Iterator[tuple[str, Photo, Photo]]:
    """Photos of a source with the next one's, where their numbers are near."""
    with manifest.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == source]
    places = {row["file"]: _numbered(row["original_path"]) for row in rows}
    rows.sort(key=lambda row: places[row["file"]])
    near = []
    for one, other in pairwise(rows):
        (name, first), (also, second) = places[one["file"]], places[other["file"]]
        if name == also and second - first <= gap:
            near.append((one, other))
    for i in evenly_spaced(len(near), limit):
        one, other = near[i]
        yield source, _read(manifest.parent, one), _read(manifest.parent, other)


def _numbered(path: str) -> tuple[str, int]:
    """A path without its last number, and that."""
    found = re.fullmatch(r"(.*?)(\d+)(\.\w+)", path)
    return (found[1], int(found[2])) if found else (path, 0)


def _read(root: Path, row: dict[str, str]) -> Photo:
    if not row["place"].endswith(".tar"):
        return read_photo(root / row["place"] / row["file"])
    with tarfile.open(root / row["place"]) as tar:
        member = tar.extractfile(row["file"])
        assert member
        return np.asarray(Image.open(BytesIO(member.read())).convert("RGB"))


def pairs(options: argparse.Namespace) -> list[Pair]:
    """All that is asked for, each with a wrong reference."""
    version = ModelStore(BUNDLED_ROOT).resolve("latest")
    (engine, *_) = load_engines(version, PipelineSettings())
    print(f"Model {version.version} by {engine.name}", flush=True)
    given = list(views(options.folder, options.photos))
    for manifest, source, gap in options.series:
        given += series(Path(manifest), source, int(gap), options.photos)
    known = [
        (kind, view(one, engine, version.description), view(other, engine, version.description))
        for kind, one, other in given
    ]
    rng = np.random.default_rng(0)
    found = []
    for n, (kind, photo, reference) in enumerate(known):
        others = [
            m for m, (other, *_) in enumerate(known) if m != n and "views" in (kind, other)
        ] or [m for m in range(len(known)) if m != n]
        found.append(Pair(kind, photo, reference, known[int(rng.choice(others))][2]))
    return found


def matches(photo: View, reference: View) -> Match:
    """What the reference has for the photo."""
    return matched(photo.seen, reference.seen, reference.small)


def transferred(own: Float, reference: View) -> Float:
    """The first baseline: mean and deviation of the reference's colours."""
    theirs = reference.truth
    scale = theirs.std((0, 1)) / np.maximum(own.std((0, 1)), 1e-3)
    return np.asarray((own - own.mean((0, 1))) * scale + theirs.mean((0, 1)), np.float32)


WAYS: dict[str, Callable[[View, View], Float]] = {
    "with it": lambda photo, other: with_reference(photo.own, matches(photo, other)),
    "Reinhard": lambda photo, other: transferred(photo.own, other),
    "its mean colour": lambda _, other: np.broadcast_to(
        other.truth.mean((0, 1)), other.truth.shape
    ).astype(np.float32),
}


def row(name: str, photos: list[View], references: list[View]) -> str:
    """A line of the table."""
    own = np.array([gain(each.own, each.truth) for each in photos])
    both = list(zip(photos, references, strict=True))
    ways = {
        way: np.array([gain(made(photo, other), photo.truth) for photo, other in both])
        for way, made in WAYS.items()
    }
    more = ways["with it"] - own
    return (
        f"| {name} | {len(own)} | {own.mean():.2f} |"
        + "".join(f" {gains.mean():.2f} |" for gains in ways.values())
        + f" {mean_told(more, sign='+')} | {more.min():+.2f} |"
        f" {np.mean(more < -1):.0%} | {np.mean(more < -0.1):.0%} |"
    )


def table(found: list[Pair]) -> Iterator[str]:
    """Its lines."""
    yield (
        "| reference | photos | without | with it | Reinhard | its mean colour | more [95%]"
        " | worst | worse by 1 dB | by 0.1 dB |"
    )
    yield "| --- |" + " ---: |" * 9
    for kind in dict.fromkeys(pair.kind for pair in found):
        some = [pair for pair in found if pair.kind == kind]
        yield row(kind, [pair.photo for pair in some], [pair.reference for pair in some])
    yield row("wrong", [pair.photo for pair in found], [pair.wrong for pair in found])


def cost() -> Iterator[str]:
    """Medians a photo through the library, without the cache."""
    rgb = read_photo(SAMPLES / SHOWN[0])
    photo, reference = ends(rgb, np.random.default_rng(0))
    with Colorizer(cache_mb=0) as colorizer:
        statistics = colorizer.background.pipeline.batcher.statistics
        for name, other in (("without", None), ("with a reference", reference)):
            colorizer.colorize(photo, reference=other)
            before, took = statistics.photos, []
            for _ in range(_RUNS):
                start = time.perf_counter(), time.process_time()
                colorizer.colorize(photo, reference=other)
                took.append((time.perf_counter() - start[0], time.process_time() - start[1]))
            wall, cpu = 1000 * np.median(took, axis=0)
            runs = (statistics.photos - before) / _RUNS
            yield f"| {name} | {runs:g} | {wall:.0f} | {cpu:.0f} |"


def draw(out: Path) -> None:
    """A row a sample: grey, the network's colours, the reference, with it, with a wrong one."""
    rows, other = [], read_photo(SAMPLES / "dahlia.jpg")
    with Colorizer() as colorizer:
        for name in SHOWN:
            photo, reference = ends(read_photo(SAMPLES / name), np.random.default_rng(1))
            grey = np.asarray(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), np.uint8)
            shown = [np.dstack([grey] * 3), colorizer.colorize(grey), reference]
            shown += [colorizer.colorize(grey, reference=each) for each in (reference, other)]
            size = _WIDTH // len(shown), _WIDTH // len(shown) * photo.shape[0] // photo.shape[1]
            rows.append(
                np.hstack([cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in shown])
            )
    Image.fromarray(np.asarray(np.vstack(rows), np.uint8)).save(out, quality=88)


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, default=SAMPLES)
    parser.add_argument("--photos", type=int, default=60, help="of each kind at most")
    parser.add_argument(
        "--series", nargs=3, action="append", default=[], metavar=("MANIFEST", "SOURCE", "GAP")
    )
    parser.add_argument(
        "--fit", action="store_true", help="weights on one half, table of the other"
    )
    parser.add_argument("--cost", action="store_true", help="of a photo, in runs and milliseconds")
    parser.add_argument("--picture", type=Path, help="draw the example of the documentation")
    options = parser.parse_args()
    if options.picture:
        draw(options.picture)
        return
    if options.cost:
        print("\n".join(["| | runs of the network | ms | CPU ms |", *cost()]))
        return
    cv2.setNumThreads(1)
    found = pairs(options)
    if options.fit:
        from benchmarks.reference_weights import fitted

        here, whole = fitted(found[::2])
        print("WEIGHTS, WHOLE_WEIGHTS =", here, whole, flush=True)
        weights.WEIGHTS, weights.WHOLE_WEIGHTS = here, whole
        found = found[1::2]
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
