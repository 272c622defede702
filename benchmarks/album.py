"""What `album` brings: photos of one scene, and how far the colours of the same things are apart.

Run: python -m benchmarks.album PHOTOS [--sets N] [--series SOURCE:GAP ...] [--picture OUT.jpg]

Sets are made of one photo each: a crop of its left, a darker crop of its right, and the photo
mirrored and enlarged. With --series they are real ones: photos of a source whose numbers in
manifest.csv, beside PHOTOS, follow each other at no more than the gap. All are colorized from their
luminance, 448 pixels on the longer side, by `Colorizer`, each by itself and as an album.

Points that two photos share are found on their grey alone, by SIFT (Lowe 2004), its ratio test and
a homography by RANSAC; photos with fewer than 40 are not of one scene. Told are the distance of ab
at these points, and the gain over grey in PSNR. Beside it: the same colours with the set's mean ab
at every place, whose points are not apart at all; grey is not, either, and gains nothing. A hint
has the true colour of the shared point where the first photo errs most; its gain is that of the
others.
Albums of photos that do not belong together have the first of each set.
"""

import argparse
import csv
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.hints import SHOWN_SHAPES
from chromaserve.color.lab import lab_to_srgb, srgb_to_lab
from chromaserve.library.colorizer import Colorizer
from chromaserve.pipeline.hints import AnyHint, Hint, Region
from training.data import evenly_spaced, read_photo
from training.metrics import psnr
from training.summary import interval

Float = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Points = dict[tuple[int, int], tuple[NDArray[np.intp], NDArray[np.intp]]]
"""Of two photos of a set, rows and columns [n, 2] of what both show."""

_SIDE = 448
_LEAST = 40  # points that two photos of one scene share
_RATIO = 0.75
_ALBUM = 8  # photos that do not belong together
_GAMMA = 1.3
_HEIGHT = 200  # of a row of the picture


@dataclass(frozen=True)
class Measured:
    """Of one set."""

    apart: tuple[float, float]
    """Distance of ab at shared points, alone and in the album."""
    gain_db: tuple[float, float, float]
    """Over grey: alone, in the album, and with the set's mean colour."""
    hint_db: tuple[float, float] | None
    """What a hint on the first photo changes in the others: without album 0, and with it."""
    seconds: tuple[float, float]
    """A photo, alone and in the album."""


def made(rgb: Pixels) -> list[Pixels]:
    """Three views of a photo."""
    height, width = rgb.shape[:2]
    right = rgb[height // 8 :, width // 4 :]
    darker = np.rint(255 * (right / 255.0) ** _GAMMA).astype(np.uint8)
    middle = rgb[height // 8 : -height // 8, width // 8 : -width // 8]
    views = rgb[:, : width * 3 // 4], darker, middle[:, ::-1]
    return [_sized(np.ascontiguousarray(each)) for each in views]


def series(photos: Path, source: str, gap: int) -> Iterator[list[Path]]:
    """Photos of a source that follow each other, 2 to 4 at a time."""
    with (photos.parent / "manifest.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == source]
    there = [row for row in rows if row["place"] == photos.name]

    def place(row: dict[str, str]) -> tuple[str, int]:
        path = row["original_path"]
        numbers = re.findall(r"\d+", Path(path).name)
        return re.sub(r"\d+(?=\.\w+$)", "", path), int(numbers[-1]) if numbers else 0

    there.sort(key=place)
    for _, alike in groupby(there, lambda row: place(row)[0]):
        group: list[Path] = []
        last = 0
        for row in alike:
            number = place(row)[1]
            if group and (number - last > gap or len(group) == 4):
                yield group
                group = []
            group.append(photos / row["file"])
            last = number
        yield group


def shared(photos: Sequence[Pixels]) -> Points:
    """What photos show of the same things, mirrored or not, by their grey."""
    found: Points = {}
    greys = [_grey(each) for each in photos]
    for i, j in combinations(range(len(photos)), 2):
        width = greys[j].shape[1]
        mirrored = np.ascontiguousarray(greys[j][:, ::-1])
        ways = [_points(greys[i], each) for each in (greys[j], mirrored)]
        best = max(ways, key=lambda pair: len(pair[0]))
        if len(best[0]) >= _LEAST:
            here, there = best
            if best is ways[1]:
                there = there * (1, -1) + (0, width - 1)
            found[i, j] = here, there
    return found


def _points(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> tuple[NDArray[np.intp], ...]:
    sift = cv2.SIFT.create(2000)
    (keys, told), (others, known) = (sift.detectAndCompute(each, None) for each in (one, other))
    nothing = np.zeros((0, 2), np.intp)
    if told is None or known is None or min(len(told), len(known)) < 8:
        return nothing, nothing
    pairs = cv2.BFMatcher().knnMatch(told, known, k=2)
    good = [a for a, b in pairs if a.distance < _RATIO * b.distance]
    if len(good) < 8:
        return nothing, nothing
    here = np.array([keys[match.queryIdx].pt for match in good], np.float32)
    there = np.array([others[match.trainIdx].pt for match in good], np.float32)
    _, inside = cv2.findHomography(here, there, cv2.RANSAC, 4.0)
    if inside is None:
        return nothing, nothing
    fits = inside.ravel() > 0
    return tuple(np.rint(each[fits][:, ::-1]).astype(np.intp) for each in (here, there))


def measured(colorizer: Colorizer, photos: Sequence[Pixels], points: Points) -> Measured:
    """Colorize a set each way."""
    greys = [_grey(each) for each in photos]
    start = time.process_time()
    alone = _colours(colorizer, greys, album=False)
    middle = time.process_time()
    album = _colours(colorizer, greys, album=True)
    seconds = (middle - start) / len(photos), (time.process_time() - middle) / len(photos)
    mean = np.mean([each.mean((0, 1)) for each in alone], axis=0)
    flat = [np.broadcast_to(mean, each.shape).astype(np.float32) for each in alone]
    gains = [
        float(np.mean([_gain(photo, ab) for photo, ab in zip(photos, way, strict=True)]))
        for way in (alone, album, flat)
    ]
    return Measured(
        (_apart(alone, points), _apart(album, points)),
        (gains[0], gains[1], gains[2]),
        _hinted(colorizer, photos, greys, alone, album, points),
        seconds,
    )


def _hinted(
    colorizer: Colorizer,
    photos: Sequence[Pixels],
    greys: Sequence[Pixels],
    alone: Sequence[Float],
    album: Sequence[Float],
    points: Points,
) -> tuple[float, float] | None:
    """The gain of a hint on the first photo, in photos that share points with it."""
    others = sorted({j for i, j in points if i == 0})
    if not others:
        return None
    here = np.concatenate([points[0, j][0] for j in others])
    _, truth = srgb_to_lab(photos[0])
    soft = np.asarray(cv2.GaussianBlur(truth, (0, 0), 4), np.float32)
    off = np.asarray(cv2.GaussianBlur(soft - alone[0], (0, 0), 8), np.float32)
    row, column = here[np.hypot(*off[here[:, 0], here[:, 1]].T).argmax()]
    L, _ = srgb_to_lab(photos[0][row : row + 1, column : column + 1])
    red, green, blue = lab_to_srgb(L, soft[row : row + 1, column : column + 1])[0, 0].tolist()
    hint = Hint(x=column + 0.5, y=row + 0.5, color=f"#{red:02x}{green:02x}{blue:02x}", photo=0)
    told = _colours(colorizer, greys, album=True, hints=[hint])
    only = _colours(colorizer, greys, album=False, hints=[hint])
    changes = [
        np.mean([_gain(photos[j], after[j]) - _gain(photos[j], before[j]) for j in others])
        for before, after in ((alone, only), (album, told))
    ]
    return float(changes[0]), float(changes[1])


def _colours(
    colorizer: Colorizer, greys: Sequence[Pixels], *, album: bool, hints: Sequence[AnyHint] = ()
) -> list[Float]:
    results = colorizer.colorize_many(list(greys), album=album, hints=list(hints) or None)
    return [srgb_to_lab(np.asarray(each, np.uint8))[1] for each in results]


def _apart(colours: Sequence[Float], points: Points) -> float:
    distances = [
        np.hypot(*(colours[i][tuple(here.T)] - colours[j][tuple(there.T)]).T).mean()
        for (i, j), (here, there) in points.items()
    ]
    return float(np.mean(distances))


def _gain(photo: Pixels, ab: Float) -> float:
    """PSNR over that of the same photo in grey, dB."""
    L, _ = srgb_to_lab(photo)
    coloured, grey = (lab_to_srgb(L, each) for each in (ab, np.zeros_like(ab)))
    return psnr(np.asarray(coloured, np.uint8), photo) - psnr(np.asarray(grey, np.uint8), photo)


def _grey(rgb: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)


def _sized(rgb: Pixels) -> Pixels:
    scale = _SIDE / max(rgb.shape[:2])
    size = round(rgb.shape[1] * scale), round(rgb.shape[0] * scale)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def strangers(colorizer: Colorizer, photos: Sequence[Pixels]) -> list[float]:
    """How much each of some photos of different scenes changes: mean distance of ab."""
    greys = [_grey(each) for each in photos]
    before, after = (_colours(colorizer, greys, album=album) for album in (False, True))
    return [
        float(np.hypot(*np.moveaxis(one - other, -1, 0)).mean())
        for one, other in zip(before, after, strict=True)
    ]


def draw(colorizer: Colorizer, photo: Pixels, out: Path) -> None:
    """A set in grey, each by itself, as an album, and that with regions on its first photo."""
    photos = made(photo)
    greys = [_grey(each) for each in photos]
    height, width = photos[0].shape[:2]
    hints = [  # that lie in the first view, which is nearly as large as the sample
        Region(
            region=tuple((min(x, width - 1.0), min(y, height - 1.0)) for x, y in hint.points),
            color=hint.color,
            photo=0,
        )
        for hint in SHOWN_SHAPES
        if isinstance(hint, Region)
    ]
    ways = (
        [np.zeros((*each.shape, 2), np.float32) for each in greys],
        _colours(colorizer, greys, album=False),
        _colours(colorizer, greys, album=True),
        _colours(colorizer, greys, album=True, hints=hints),
    )
    strips = [np.hstack([_small(p, ab) for p, ab in zip(photos, way, strict=True)]) for way in ways]
    scale = _HEIGHT / photos[0].shape[0]
    for hint in hints:
        line = np.rint(np.array(hint.points) * scale).astype(np.int32)
        cv2.polylines(strips[0], [line], True, hint.rgb, 2, cv2.LINE_AA)
    Image.fromarray(np.asarray(np.vstack(strips), np.uint8)).save(out, quality=88)


def _small(photo: Pixels, ab: Float) -> Pixels:
    L, _ = srgb_to_lab(photo)
    rgb = np.asarray(lab_to_srgb(L, ab), np.uint8)
    size = rgb.shape[1] * _HEIGHT // len(rgb), _HEIGHT
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _row(name: str, found: Sequence[Measured]) -> str:
    def told(values: Sequence[float], form: str = "{:.2f}") -> str:
        low, high = interval(lambda v: np.asarray(v.mean(-1)), np.array(values))
        return f"{form.format(np.mean(values))} [{form.format(low)}, {form.format(high)}]"

    alone, album = ([each.apart[k] for each in found] for k in (0, 1))
    gains = [[each.gain_db[k] for each in found] for k in (0, 1, 2)]
    more = [b - a for a, b in zip(gains[0], gains[1], strict=True)]
    hints = [each.hint_db for each in found if each.hint_db]
    return (
        f"| {name} | {len(found)} | {told(alone)} | {told(album)} | {np.mean(gains[0]):+.2f} |"
        f" {np.mean(gains[1]):+.2f} | {told(more, '{:+.2f}')} | {np.mean(gains[2]):+.2f} |"
        f" {told([b for _, b in hints], '{:+.2f}')} |"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("photos", type=Path, help="a folder of photos in colour")
    parser.add_argument("--sets", type=int, default=30, help="of each kind, at most, evenly spaced")
    parser.add_argument("--series", action="append", default=[], metavar="SOURCE:GAP")
    parser.add_argument("--picture", type=Path, help="draw a set made of the file PHOTOS")
    options = parser.parse_args()
    with Colorizer(cache_mb=200) as colorizer:
        if options.picture:
            draw(colorizer, read_photo(options.photos), options.picture)
            return
        print(f"Model {colorizer.model_version} by {colorizer.engine}", flush=True)
        sets: dict[str, list[list[Pixels]]] = {}
        paths = sorted(options.photos.glob("*.jpg"))
        taken = [paths[i] for i in evenly_spaced(len(paths), options.sets)]
        sets["made"] = [made(read_photo(path)) for path in taken]
        for each in options.series:
            source, _, gap = each.partition(":")
            groups = [g for g in series(options.photos, source, int(gap)) if len(g) > 1]
            chosen = [groups[i] for i in evenly_spaced(len(groups), options.sets)]
            sets[source] = [[_sized(read_photo(path)) for path in group] for group in chosen]
        seconds: list[tuple[float, float]] = []
        rows = []
        for name, some in sets.items():
            found = []
            for photos in some:
                if points := shared(photos):
                    found.append(measured(colorizer, photos, points))
            print(f"{name}: {len(found)} of {len(some)} sets share points", flush=True)
            seconds += [each.seconds for each in found]
            rows += [_row(name, found)] if found else []
        print(
            "| sets | count | ab apart, alone | as album | gain, dB, alone | album | more", end=""
        )
        print(" | set's mean | a hint's gain in the others |\n|" + " --- |" * 9)
        print("\n".join(rows))
        firsts = [photos[0] for photos in sets["made"]]
        moved = [
            distance
            for i in range(0, len(firsts) - 1, _ALBUM)
            for distance in strangers(colorizer, firsts[i : i + _ALBUM])
        ]
        print(
            f"Strangers: {np.mean(np.array(moved) == 0):.0%} of {len(moved)} keep their bytes; the"
            f" others change by {np.sum(moved) / max(1, np.count_nonzero(moved)):.2f}, at most"
            f" {np.max(moved):.2f}"
        )
        alone, album = 1000 * np.median(seconds, axis=0)
        print(
            f"CPU a photo: {alone:.0f} ms alone, {album - alone:.0f} ms more as an album after it"
        )


if __name__ == "__main__":
    main()
