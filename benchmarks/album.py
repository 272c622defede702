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
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.hints import SHOWN_SHAPES
from benchmarks.scenes import Pixels, Points, grey, made, series, shared, sized
from chromaserve.color.lab import lab_to_srgb, srgb_to_lab
from chromaserve.library.colorizer import Colorizer
from chromaserve.pipeline.hints import AnyHint, Hint, Region
from training.data import evenly_spaced, read_photo
from training.intervals import mean_told
from training.metrics import psnr

Float = NDArray[np.float32]

_ALBUM = 8  # photos that do not belong together
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


def measured(colorizer: Colorizer, photos: Sequence[Pixels], points: Points) -> Measured:
    """Colorize a set each way."""
    greys = [grey(each) for each in photos]
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


def strangers(colorizer: Colorizer, photos: Sequence[Pixels]) -> list[float]:
    """How much each of some photos of different scenes changes: mean distance of ab."""
    greys = [grey(each) for each in photos]
    before, after = (_colours(colorizer, greys, album=album) for album in (False, True))
    return [
        float(np.hypot(*np.moveaxis(one - other, -1, 0)).mean())
        for one, other in zip(before, after, strict=True)
    ]


def draw(colorizer: Colorizer, photo: Pixels, out: Path) -> None:
    """A set in grey, each by itself, as an album, and that with regions on its first photo."""
    photos = made(photo)
    greys = [grey(each) for each in photos]
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
    alone, album = ([each.apart[k] for each in found] for k in (0, 1))
    gains = [[each.gain_db[k] for each in found] for k in (0, 1, 2)]
    more = [b - a for a, b in zip(gains[0], gains[1], strict=True)]
    hints = [each.hint_db for each in found if each.hint_db]
    return (
        f"| {name} | {len(found)} | {mean_told(alone)} | {mean_told(album)} |"
        f" {np.mean(gains[0]):+.2f} | {np.mean(gains[1]):+.2f} | {mean_told(more, sign='+')} |"
        f" {np.mean(gains[2]):+.2f} | {mean_told([b for _, b in hints], sign='+')} |"
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
            sets[source] = [[sized(read_photo(path)) for path in group] for group in chosen]
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
