"""Several colourings of one photo: what a network's distribution over colours says beside its mean.

A photo is divided into regions whose places have like distributions (k-means on them, by
Hellinger's distance), so that grass changes with grass. The colours that a region may have fall
into a few groups (Lloyd's algorithm on its mean distribution: Lloyd 1982, "Least squares
quantization in PCM"), its modes; a colouring has one mode a region, throughout. Of all combinations
those are proposed, one after the other, that make the expected squared distance from the truth to
the nearest proposal least, the regions taken as independent: likely ones, far from those before
them (greedily, as for medians: Nemhauser, Wolsey & Fisher 1978).
"""

from itertools import combinations, product
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

MAX_PROPOSALS: Final = 8
"""Of a photo, the model's own answer included, which is the first."""
SIDE: Final = 28
"""Of the grid that proposals are made on."""

# Chosen on 60 photos of `val` other than those of docs/measurements/proposals.md.
_FLATTER = 0.15 / 0.35  # the temperature that a version is published with is for one sharp answer
_REGIONS = 3
_MODES = (9, 3, 3)  # of each region of 1, 2 or 3: nine combinations at least
_PLACE = 0.35  # how much the place counts in what belongs to a region
_LIKE = 0.3  # squared Hellinger distance, 0 to 2, up to which two regions are one
_BLUR = 1.5  # of regions' borders, in places of the grid
_STEPS = 20


def proposed(logits: Float, bins: Float) -> Float:
    """What each proposal after the first adds to the model's answer.

    The first so many do not depend on how many are wanted.

    Args:
        logits: float32 [h, w, Q] of one photo, h and w multiples of 28.
        bins: float32 [Q, 2], ab in Lab units.

    Returns:
        float32 [7, 28, 28, 2] in Lab units.
    """
    p = _probabilities(logits)
    regions = _regions(p)
    count = _MODES[regions.shape[-1] - 1]
    area = regions.mean((0, 1))
    mean = p @ bins
    masses, moves, fields = [], [], []
    for r in range(regions.shape[-1]):
        weight = regions[..., r, np.newaxis]
        whole = (p * weight).sum((0, 1)) / max(float(weight.sum()), 1e-6)
        mode, colours = _modes(whole, bins, count)
        of_mode = np.eye(count, dtype=np.float32)[mode]
        masses.append(whole @ of_mode)
        moves.append((colours - whole @ bins) * np.sqrt(area[r]))
        # Each place's own mean within the mode; where it has next to nothing there, the mode's.
        share = p @ of_mode
        by_mode = of_mode[:, :, np.newaxis] * bins[:, np.newaxis]
        within = (p @ by_mode.reshape(len(bins), -1)).reshape(SIDE, SIDE, count, 2)
        within = (within + 1e-3 * colours) / (share + 1e-3)[..., np.newaxis]
        fields.append(within - mean[:, :, np.newaxis])
    chosen = _chosen(np.stack(masses), np.stack(moves))
    soft = cv2.GaussianBlur(regions, (0, 0), _BLUR, borderType=cv2.BORDER_REPLICATE)
    soft = np.asarray(soft, np.float32).reshape(regions.shape)
    return np.stack(
        [
            sum(soft[..., r, np.newaxis] * fields[r][:, :, m] for r, m in enumerate(combination))
            for combination in chosen
        ]
    ).astype(np.float32)


def with_proposal(ab: Float, added: Float) -> Float:
    """A proposal: the model's answer float32 [H, W, 2] and what is added to it, [28, 28, 2]."""
    height, width = ab.shape[:2]
    larger = cv2.resize(added, (width, height), interpolation=cv2.INTER_LINEAR)
    return ab + np.asarray(larger, np.float32)


def _probabilities(logits: Float) -> Float:
    """[h, w, Q] -> [28, 28, Q], the mean over the places that fall together."""
    z = logits * np.float32(_FLATTER)
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    height, width, count = p.shape
    pooled = p.reshape(SIDE, height // SIDE, SIDE, width // SIDE, count).mean((1, 3))
    return np.asarray(pooled, np.float32)


def _regions(p: Float) -> Float:
    """Which region each place belongs to, float32 [28, 28, regions] of 0 and 1: up to three."""
    roots = np.sqrt(p.reshape(SIDE * SIDE, -1))
    spread = float(np.sqrt(roots.var(0).sum()))
    y, x = np.mgrid[:SIDE, :SIDE] / (SIDE - 1) - 0.5
    place = _PLACE * spread * np.stack([x.ravel(), y.ravel()], 1)
    points = np.hstack([roots, place]).astype(np.float32)
    for count in range(_REGIONS, 0, -1):
        centres = _centres(points, _first_centres(points, count))
        if all(_unlike(a, b) for a, b in combinations(centres[:, :-2], 2)):
            break
    labels = _nearest(points, centres)
    return np.eye(count, dtype=np.float32)[labels].reshape(SIDE, SIDE, count)


def _unlike(one: Float, other: Float) -> bool:
    """Whether regions with these roots of distributions are to change apart from each other."""
    return float(np.square(one - other).sum()) > _LIKE


def _first_centres(points: Float, count: int) -> Float:
    """The point farthest from the mean, then those farthest from all before (Gonzalez 1985)."""
    distance = np.square(points - points.mean(0)).sum(1)
    centres: list[Float] = []
    for _ in range(count):
        centres.append(points[int(distance.argmax())])
        here = np.square(points - centres[-1]).sum(1)
        distance = np.minimum(distance, here) if len(centres) > 1 else here
    return np.stack(centres)


def _modes(whole: Float, bins: Float, count: int) -> tuple[NDArray[np.intp], Float]:
    """The mode of each bin, [Q], and the modes' mean colours, [modes, 2], under a distribution."""
    mean = whole @ bins
    apart = bins - mean
    variances, axes = np.linalg.eigh((apart * whole[:, np.newaxis]).T @ apart)
    along = np.sqrt(max(float(variances[-1]), 0)) * axes[:, -1]
    start = mean + np.linspace(-1, 1, count)[:, np.newaxis] * along
    colours = _centres(bins, start, whole)
    return _nearest(bins, colours), colours


def _centres(points: Float, centres: Float, weights: Float | None = None) -> Float:
    """Lloyd's algorithm: centres [K, D] moved to the means of the points [N, D] nearest to them."""
    weights = np.ones(len(points), np.float32) if weights is None else weights
    before = None
    for _ in range(_STEPS):
        labels = _nearest(points, centres)
        if before is not None and np.array_equal(labels, before):
            break
        before = labels
        member = np.eye(len(centres), dtype=np.float32)[labels] * weights[:, np.newaxis]
        mass = member.sum(0)[:, np.newaxis]
        centres = np.where(mass > 1e-6, member.T @ points / np.maximum(mass, 1e-6), centres)
    return np.asarray(centres, np.float32)


def _nearest(points: Float, centres: Float) -> NDArray[np.intp]:
    squares = np.square(centres).sum(1) - 2 * points @ centres.T  # less the point's own
    return np.asarray(squares.argmin(1))


def _chosen(masses: Float, moves: Float) -> list[tuple[int, ...]]:
    """A mode for each region, for each proposal after the first.

    Args:
        masses: [regions, modes], how likely each is.
        moves: [regions, modes, 2], how far its colour is from the region's mean, by the root of the
            region's area.
    """
    found = list(product(range(masses[0].size), repeat=len(masses)))
    index, each = np.asarray(found), np.arange(len(masses))
    likely = masses[each, index].prod(1)
    colours = moves[each, index].reshape(len(index), -1)
    apart = np.square(colours[:, np.newaxis] - colours).sum(-1)
    nearest = np.square(colours).sum(1)  # to the model's answer, which is proposed first
    chosen: list[int] = []
    for _ in range(MAX_PROPOSALS - 1):
        expected = likely @ np.minimum(nearest[:, np.newaxis], apart)
        expected[chosen] = np.inf
        chosen.append(int(expected.argmin()))
        nearest = np.minimum(nearest, apart[:, chosen[-1]])
    return [found[n] for n in chosen]
