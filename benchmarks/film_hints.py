"""What a hint on one frame brings to the others of its shot, where a thing moves.

    python -m benchmarks.film_hints PHOTOS [--clips N] [--films FILM ...] [--picture OUT.jpg]

Clips are made of photos: an oval of one passes before another, which pans; it comes into sight and
goes again, and after a cut a third one is seen. `natural` things have their own colours, `coats`
one that nobody can guess. Noise and x264 as in `benchmarks.clips`. A hint tells the truth on one
frame of the middle: of natural things at a point where the network errs most, of coats by a region
around it. Each clip is colorized by `colorize_film`: without the hint, with it, and with the same
hint at the same place of each frame of the shot, which is the baseline.

- dB: gain in PSNR over no hint, around the thing in the other frames where it is seen whole;
- ab, thing: distance from the true ab in it;
- ab, elsewhere: the same in the rest of these frames;
- changed: ab by which frames change where the thing is not, and how many of them keep their bytes;
- flicker: change of ab from frame to frame, along the thing's own motion.

With --films, pieces of films in colour: a hint at a point where the network errs most, the gain
over all of the other frames' pixels.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from unittest.mock import patch

import cv2
import imageio_ffmpeg
import numpy as np
from PIL import Image

from benchmarks.clips import HEIGHT, WIDTH, encoded
from benchmarks.hint_gains import Measured, measured
from benchmarks.true_clips import CUT, HINTED, RGB, Clip, Float, hint_for, made, pieces
from chromaserve.library.colorizer import Colorizer
from chromaserve.pipeline.hints import AnyHint, Hint
from chromaserve.video import colorize_film
from chromaserve.video import hints as film_hints
from chromaserve.video.carrying import Carried
from training.data import evenly_spaced, read_photo
from training.intervals import mean_told

FEW = 12  # frames that tell what one costs


def colours(
    colorizer: Colorizer, film: Path, hints: Sequence[AnyHint], *, pasted: bool = False
) -> list[RGB]:
    """A film in colours; `pasted`: every hint is of its own frame alone."""

    def alone(self: Carried, L: Float, seen: object) -> None:  # noqa: ARG001
        self._before = None

    result = film.with_name("result.mkv")
    with ExitStack() as patches:
        if pasted:
            patches.enter_context(patch.object(Carried, "__call__", alone))
            patches.enter_context(patch.object(film_hints, "REACH", 0))
        colorize_film(film, result, colorizer=colorizer, codec="ffv1", hints=list(hints))
    reader = imageio_ffmpeg.read_frames(result, pix_fmt="rgb24")
    width, height = next(reader)["size"]
    return [np.frombuffer(each, np.uint8).reshape(height, width, 3) for each in reader]


WAYS = ("no hint", "hint", "pasted")


def compared(colorizer: Colorizer, clip: Clip, folder: Path, *, coat: bool) -> list[Measured]:
    """A clip by each way."""
    film = folder / "clip.mkv"
    encoded(clip.grey, film)
    hinted = min(HINTED, clip.cut // 2)
    plain = colours(colorizer, film, ())
    hint = hint_for(clip, plain, hinted, coat=coat)
    each = [hint.model_copy(update={"frame": t}) for t in range(clip.cut)]
    told = colours(colorizer, film, [hint])
    pasted = colours(colorizer, film, each, pasted=True)
    return [measured(clip, way, plain, hinted) for way in (plain, told, pasted)]


def draw(colorizer: Colorizer, clip: Clip, out: Path) -> None:
    """Frames in grey, without the hint and with it; its line is drawn on the first row."""
    with tempfile.TemporaryDirectory() as name:
        film = Path(name) / "clip.mkv"
        encoded(clip.grey, film)
        plain = colours(colorizer, film, ())
        hint = hint_for(clip, plain, HINTED, coat=True)
        told = colours(colorizer, film, [hint])
    grey = [np.repeat(frame[..., np.newaxis], 3, 2) for frame in clip.grey]
    line = np.rint(hint.points).astype(np.int32)
    cv2.polylines(grey[HINTED], [line], True, hint.rgb, 6, cv2.LINE_AA)
    shown = [2, 7, 12, HINTED, 26, 35, CUT + 2]
    strips = [np.hstack([way[t] for t in shown]) for way in (grey, plain, told)]
    strip = np.vstack(strips)
    size = 1400, 1400 * len(strip) // strip.shape[1]
    small = cv2.resize(strip, size, interpolation=cv2.INTER_AREA)
    Image.fromarray(np.asarray(small, np.uint8)).save(out, quality=88)


def cost(clip: Clip, folder: Path) -> tuple[float, float]:
    """CPU milliseconds a frame: without hints, and more with one on the first frame of a shot."""
    film = folder / "clip.mkv"
    encoded(clip.grey[:FEW], film)
    seconds = []
    with Colorizer(cache_mb=0) as colorizer:
        first = Hint(x=WIDTH / 2, y=HEIGHT / 2, radius=40, color="#a03030", frame=0)
        colours(colorizer, film, [first])  # what is loaded at the first time
        for hints in ((), (first,)):
            start = time.process_time()
            colours(colorizer, film, hints)
            seconds.append((time.process_time() - start) / FEW)
    return 1000 * seconds[0], 1000 * (seconds[1] - seconds[0])


def table(name: str, found: Sequence[Sequence[Measured]]) -> None:
    """Print the rows of clips of one kind, each by all ways."""
    for way, rows in zip(WAYS, zip(*found, strict=True), strict=True):
        cells = [
            mean_told([row.gain_db for row in rows], sign="+") if way != "no hint" else "",
            mean_told([row.error for row in rows]),
            f"{np.mean([row.elsewhere for row in rows]):.2f}",
            f"{np.mean([row.changed for row in rows]):.3f}",
            f"{np.mean([row.kept for row in rows]):.0%}",
            mean_told([row.flicker for row in rows]),
        ]
        print(f"| {name}, {len(rows)} | {way} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, help="a folder of photos in colour")
    parser.add_argument("--clips", type=int, default=12, help="of each kind")
    parser.add_argument("--films", type=Path, nargs="+", default=[], help="in colour, in pieces")
    parser.add_argument("--pieces", type=int, default=3, help="of each film, at most")
    parser.add_argument("--picture", type=Path, help="draw a clip, and measure nothing")
    parser.add_argument("--cost", action="store_true", help="CPU time of a frame alone")
    options = parser.parse_args()
    paths = sorted(options.photos.glob("*.jpg"))
    chosen = [read_photo(paths[i]) for i in evenly_spaced(len(paths), 3 * options.clips)]
    threes = [chosen[i : i + 3] for i in range(0, len(chosen) - 2, 3)]
    os.environ.setdefault("CHROMASERVE_CACHE_MB", "1024")  # the same frames come again and again
    with Colorizer() as colorizer, tempfile.TemporaryDirectory() as name:
        if options.picture:
            draw(colorizer, made(threes[-1], seed=len(threes) - 1, coat=True), options.picture)
            return
        if options.cost:
            plain, more = cost(made(threes[0], seed=0, coat=True), Path(name))
            print(f"CPU a frame: {plain:.0f} ms without hints, {more:.0f} ms more with one")
            return
        print(f"Model {colorizer.model_version} by {colorizer.engine}", flush=True)
        kinds: dict[str, list[list[Measured]]] = {}
        for kind, clip in _clips(threes, options.films, options.pieces):
            found = compared(colorizer, clip, Path(name), coat=kind == "coats")
            kinds.setdefault(kind, []).append(found)
            print(f"{kind}: {found}", file=sys.stderr, flush=True)
        print("| clips | way | dB | ab, thing | ab, elsewhere | changed | kept | flicker |")
        print("| --- |" + " --- |" * 7)
        for kind, rows in kinds.items():
            table(kind, rows)


def _clips(
    threes: Sequence[Sequence[RGB]], films: Sequence[Path], count: int
) -> Iterator[tuple[str, Clip]]:
    for film in films:
        for piece in islice(pieces(film), count):
            yield "films", piece
    for seed, photos in enumerate(threes):
        for kind in ("coats", "natural"):
            yield kind, made(photos, seed=seed, coat=kind == "coats")


if __name__ == "__main__":
    main()
