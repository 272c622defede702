"""What colour hints bring: true colours at a few places, and how much nearer the photo gets.

Run: python -m benchmarks.hints [FOLDER ...] [--photos N] [--picture OUT.jpg [--shapes]]

Photos are colorized from their own luminance; then k hints say the true colour at the places where
the model errs most (the blurred error's maxima, apart from each other), or at random ones. A hint
is a disc of the default radius and has the disc's median colour. The gain is that in PSNR over the
model alone; CPU time is that of the hints' part, from the network's chroma on, in one thread.
"""

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.answer import answer
from chromaserve.color.hint_shapes import DEFAULT_RADIUS, Disc, Shape
from chromaserve.color.hint_spreading import hint_model, hinted
from chromaserve.color.lab import lab_to_srgb, srgb_to_lab
from chromaserve.color.postprocess import chroma_model
from chromaserve.color.upsampling import apply_model
from chromaserve.engines.choose import load_engines
from chromaserve.pipeline.hints import AnyHint, Hint, Region, Stroke
from chromaserve.pipeline.recolor import shapes_of
from chromaserve.settings import PipelineSettings
from chromaserve.store.contract import network_input, squeeze
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore
from training.data import evenly_spaced, read_photo
from training.intervals import mean_told
from training.metrics import ab_error, psnr

Float = NDArray[np.float32]
Place = tuple[float, float]

COUNTS = (1, 2, 5, 10)
SAMPLES = Path(__file__).parents[1] / "samples" / "colour"
SHOWN = "coffee.jpg"
SHOWN_HINTS = (
    *(Hint(x=x, y=y, color="#a03030") for x, y in ((110, 215), (440, 230))),  # the saucer
    *(
        Hint(x=x, y=y, color="#8a5a30")  # the table
        for x, y in ((70, 130), (150, 45), (60, 360), (560, 70), (500, 225))
    ),
)
"""A sample photo, and what a person might say of it."""
_SAUCER = (
    *((78, 215), (92, 150), (140, 95), (180, 70), (225, 20), (300, 12), (370, 25), (408, 65)),
    *((425, 75), (420, 105), (470, 150), (485, 205), (480, 260), (440, 320), (380, 360)),
    *((300, 388), (220, 380), (150, 345), (105, 300)),
)
_CUP = (
    *((176, 112), (195, 62), (240, 26), (292, 16), (345, 28), (388, 64), (405, 112)),
    *((388, 160), (345, 194), (292, 206), (240, 196), (195, 162)),
)
SHOWN_SHAPES = (
    Stroke(stroke=((40, 165), (130, 60), (250, 8)), color="#8a5a30"),
    Stroke(stroke=((60, 385), (120, 360), (150, 390)), color="#8a5a30"),
    Stroke(stroke=((450, 30), (560, 80), (570, 300), (480, 380)), color="#8a5a30"),
    Region(region=_SAUCER, color="#a03030"),
    Region(region=_CUP, color="#8c857a"),
)
"""The same by three strokes and two regions, of which the later one lies over the other."""
_WIDTH = 1200  # of the picture
_BLUR = 0.02  # of the longer side: errors of fewer pixels are no mistake that anybody would click
_APART = 0.12  # of the longer side, that chosen places have between them


@dataclass(frozen=True)
class Colorized:
    """A photo by the model alone."""

    name: str
    rgb: NDArray[np.uint8]
    L: Float
    truth: Float
    ab: Float

    @property
    def psnr(self) -> float:
        return psnr(_picture(self.L, self.ab), self.rgb)


@dataclass(frozen=True)
class Gained:
    """What some hints brought to a photo."""

    gain_db: float
    error_before: float
    error_after: float
    cpu_ms: float


def colorized(name: str, rgb: NDArray[np.uint8], ab: Float) -> Colorized:
    """A photo in the network's colours, float32 [224, 224, 2], at its own size."""
    L, truth = srgb_to_lab(rgb)
    description = ModelStore(BUNDLED_ROOT).resolve("latest").description
    model = chroma_model(
        ab,
        L.shape,
        lambda height, width: squeeze(L, height, width),
        method=description.postprocess,
        guided=description.guided_filter,
    )
    return Colorized(name, rgb, L, truth, apply_model(model, L))


def worst_places(photo: Colorized, count: int) -> list[Place]:
    """Where the model errs most, x and y in pixels, the worst first."""
    error = np.hypot(*np.moveaxis(photo.truth - photo.ab, -1, 0)).astype(np.float32)
    side = max(error.shape)
    error = np.asarray(cv2.GaussianBlur(error, (0, 0), _BLUR * side), np.float32)
    y, x = np.mgrid[: error.shape[0], : error.shape[1]]
    places: list[Place] = []
    for _ in range(count):
        row, column = np.unravel_index(int(error.argmax()), error.shape)
        places.append((float(column) + 0.5, float(row) + 0.5))
        error[np.hypot(y - row, x - column) < _APART * side] = -1
    return places


def random_places(photo: Colorized, count: int, seed: int) -> list[Place]:
    """Anywhere, x and y in pixels."""
    rng = np.random.default_rng(seed)
    height, width = photo.L.shape
    return [(rng.uniform(0, width), rng.uniform(0, height)) for _ in range(count)]


def true_discs(photo: Colorized, places: Iterable[Place]) -> list[Disc]:
    """Hints of the true colours at places."""
    y, x = np.mgrid[: photo.L.shape[0], : photo.L.shape[1]] + 0.5
    radius = max(1.0, DEFAULT_RADIUS * max(photo.L.shape))
    discs = []
    for place in places:
        inside = np.hypot(x - place[0], y - place[1]) <= radius
        a, b = np.median(photo.truth[inside], axis=0)
        discs.append(Disc(*place, None, float(a), float(b)))
    return discs


def with_hints(photo: Colorized, shapes: Sequence[Shape]) -> Float:
    """Chroma at the photo's size."""
    L = photo.L
    model = hint_model(shapes, L.shape, lambda h, w: squeeze(L, h, w))
    return hinted(photo.ab, L, model)


def gained(photo: Colorized, discs: list[Disc]) -> Gained:
    """Measure what hints bring."""
    start = time.process_time()
    ab = with_hints(photo, discs)
    cpu_ms = 1000 * (time.process_time() - start)
    gain = psnr(_picture(photo.L, ab), photo.rgb) - photo.psnr
    return Gained(gain, ab_error(photo.ab, photo.truth), ab_error(ab, photo.truth), cpu_ms)


def _picture(L: Float, ab: Float) -> NDArray[np.uint8]:
    return np.asarray(lab_to_srgb(L, ab), np.uint8)


def draw(photo: Colorized, out: Path, hints: Sequence[AnyHint]) -> None:
    """A picture of the photo in grey, in the model's colours, and with hints, which are marked."""
    grey = np.zeros_like(photo.ab)
    given = with_hints(photo, shapes_of(hints))
    pictures = [_picture(photo.L, ab) for ab in (grey, photo.ab, given)]
    # Lines would hide what became of them.
    marked = pictures[0 if any(len(hint.points) > 1 for hint in hints) else -1]
    for hint in hints:
        points = np.rint(hint.points).astype(np.int32)
        if isinstance(hint, Hint):
            for radius, ring in ((9, (255, 255, 255)), (7, hint.rgb)):
                cv2.circle(marked, points[0].tolist(), radius, ring, 2, cv2.LINE_AA)
            continue
        for width, line in ((9, (255, 255, 255)), (5, hint.rgb)):
            cv2.polylines(marked, [points], isinstance(hint, Region), line, width, cv2.LINE_AA)
    strip = np.hstack(pictures)
    small = cv2.resize(
        strip, (_WIDTH, _WIDTH * len(strip) // strip.shape[1]), interpolation=cv2.INTER_AREA
    )
    Image.fromarray(np.asarray(small, np.uint8)).save(out, quality=88)


def _photos(folders: list[Path], limit: int, vividness: float | None) -> Iterator[Colorized]:
    paths = sorted(path for folder in folders for path in folder.glob("*.jpg"))
    version = ModelStore(BUNDLED_ROOT).resolve("latest")
    if vividness is None:
        vividness = version.description.default_vividness
    blend = version.description.blend
    (engine, *_) = load_engines(version, PipelineSettings())
    print(f"Model {version.version} by {engine.name}, vividness {vividness:g}", flush=True)
    for i in evenly_spaced(len(paths), limit):
        rgb = read_photo(paths[i])
        L = network_input(srgb_to_lab(rgb)[0])
        yield colorized(paths[i].name, rgb, answer(engine, L, vividness, blend))


def _row(name: str, count: int, found: list[Gained]) -> str:
    gains = np.array([each.gain_db for each in found])
    before, after = (
        float(np.mean([getattr(each, f"error_{when}") for each in found]))
        for when in ("before", "after")
    )
    return (
        f"| {name} | {count} | {mean_told(gains, sign='+')} | {before:.2f} →"
        f" {after:.2f} | {np.mean(gains < 0):.0%} | {np.median([g.cpu_ms for g in found]):.0f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folders", nargs="*", type=Path, default=[SAMPLES])
    parser.add_argument("--photos", type=int, default=1000, help="at most, evenly spaced")
    parser.add_argument("--vividness", type=float)
    parser.add_argument("--picture", type=Path, help="draw the example of the documentation")
    parser.add_argument("--shapes", action="store_true", help="with strokes and a region")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.picture:
        for photo in _photos([SAMPLES], 1000, options.vividness):
            if photo.name == SHOWN:
                draw(photo, options.picture, SHOWN_SHAPES if options.shapes else SHOWN_HINTS)
        return
    found: dict[tuple[str, int], list[Gained]] = {}
    size = 0
    for photo in _photos(options.folders, options.photos, options.vividness):
        for count in COUNTS:
            places = {
                "worst": worst_places(photo, count),
                "random": random_places(photo, count, seed=size),
            }
            for name, each in places.items():
                found.setdefault((name, count), []).append(gained(photo, true_discs(photo, each)))
        size += 1
    print(f"{size} photos\n\n| where | hints | gain over the model, dB [95%] | ab error", end="")
    print(" | worse than the model | CPU ms |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in ("worst", "random"):
        for count in COUNTS:
            print(_row(name, count, found[name, count]))


if __name__ == "__main__":
    main()
