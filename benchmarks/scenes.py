"""Photos of one scene, made of one photo or real ones, and the points that they share."""

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import combinations, groupby
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Points = dict[tuple[int, int], tuple[NDArray[np.intp], NDArray[np.intp]]]
"""Of two photos of a set, rows and columns [n, 2] of what both show."""

_SIDE = 448
_LEAST = 40  # points that two photos of one scene share
_RATIO = 0.75
_GAMMA = 1.3


def made(rgb: Pixels) -> list[Pixels]:
    """Three views of a photo."""
    height, width = rgb.shape[:2]
    right = rgb[height // 8 :, width // 4 :]
    darker = np.rint(255 * (right / 255.0) ** _GAMMA).astype(np.uint8)
    middle = rgb[height // 8 : -height // 8, width // 8 : -width // 8]
    views = rgb[:, : width * 3 // 4], darker, middle[:, ::-1]
    return [sized(np.ascontiguousarray(each)) for each in views]


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
    greys = [grey(each) for each in photos]
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


def grey(rgb: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)


def sized(rgb: Pixels) -> Pixels:
    scale = _SIDE / max(rgb.shape[:2])
    size = round(rgb.shape[1] * scale), round(rgb.shape[0] * scale)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
