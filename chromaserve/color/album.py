"""Photos of one scene agree on its colours: places that look alike move toward their common mean.

Places of two photos are matched by deep features, as with a reference. A match counts by how alike
the two lightnesses are, whether it leads back, whether neighbours' matches agree with it, and
whether that holds for enough of the photo: photos of different scenes have no say in each other's
colours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.color.reference import SIDE, Seen, likeness, relit
from chromaserve.store.contract import squeeze

Float = NDArray[np.float32]

NEIGHBOURS: Final = 6
"""Photos that one is compared with, at most: those that look most alike."""

# Chosen on one half of the sets that docs/measurements/album.md names.
_MATCHES = 4  # places that a match is the mean of
_TEMPERATURE = 0.03  # of likeness
_LIGHTNESS = 12.0  # units of L by which matched places may differ
_BACK = 1.5  # places: where a match leads back to may be so far
_ASTRAY = 2.0  # places: from where neighbours' matches lead
_SCENE = 0.15, 0.30  # of all places with good matches: below it is another scene, above the same
_SAY = 3.0  # of another photo's place, to the photo's own 1
_ROUNDS = 8
_BLUR = 1.0  # of what is changed, in places


@dataclass(frozen=True, eq=False)
class Match:
    """Where a photo's places are in another one."""

    at: NDArray[np.intp]
    """[784, k], places of the other."""
    weights: Float
    """float32 [784, k], which add up to 1."""
    sure: Float
    """float32 [784] in [0, 1]."""


def matched(photo: Seen, other: Seen) -> Match:
    """Match a photo's places with another's."""
    alike = likeness(_wide(photo), _wide(other))
    top = np.argpartition(-alike, _MATCHES, axis=1)[:, :_MATCHES]
    scores = np.take_along_axis(alike, top, 1)
    best = alike.argmax(1)
    mine, theirs = (squeeze(each.L, SIDE, SIDE) for each in (photo, other))
    apart = mine.reshape(-1, 1) - relit(theirs, mine).ravel()[top]
    weights = np.exp((scores - scores.max(1, keepdims=True)) / _TEMPERATURE)
    lit = np.exp(-np.square(apart / _LIGHTNESS) / 2)
    sure = (weights * lit).sum(1) / weights.sum(1)
    weights = weights * lit + 1e-9
    places = np.stack(np.divmod(np.arange(SIDE * SIDE), SIDE), 1).astype(np.float32)
    back = np.hypot(*(places[alike.argmax(0)[best]] - places).T)
    moved = places[best].reshape(SIDE, SIDE, 2)
    # Neighbours' matches lead a place on, or in a mirrored photo a place back.
    astray = np.minimum(*(_astray(moved, x) for x in (places, places * (1, -1))))
    good = np.exp(-np.square(back / _BACK) - np.square(astray / _ASTRAY))
    least, enough = _SCENE
    same = np.clip((float(good.mean()) - least) / (enough - least), 0, 1)
    return Match(
        top, np.asarray(weights / weights.sum(1, keepdims=True), np.float32),
        np.asarray(same * good * sure, np.float32),
    )  # fmt: skip


def brought(match: Match, planes: Float) -> Float:
    """What a photo's places have of another one's planes, by their match: [28, 28, K], as those."""
    found = match.weights[..., np.newaxis] * planes.reshape(SIDE * SIDE, -1)[match.at]
    return np.asarray(found.sum(1).reshape(planes.shape), np.float32)


def agreed(
    colours: Sequence[Float], trust: Sequence[Float], pairs: Sequence[tuple[int, int, Match]]
) -> list[Float]:
    """What is to be added to each photo's chroma, so that photos of one scene agree.

    Args:
        colours: of each, float32 [28, 28, 2] in Lab units.
        trust: of each, float32 [28, 28]: how much its own colours count; 1 as a rule, and much more
            where somebody knows them.
        pairs: a photo's number, another's, and where the first one's places are in that.

    Returns:
        float32 [28, 28, 2] for each, all 0 where no other photo has a say.
    """
    own = [each.reshape(-1, 2) for each in colours]
    counts = [each.reshape(-1, 1) for each in trust]
    pairs = [(i, j, match) for i, j, match in pairs if match.sure.any()]
    now: list[Float] = list(own)
    for _ in range(_ROUNDS):
        sums = [count * each for count, each in zip(counts, own, strict=True)]
        totals = [count.copy() for count in counts]
        for i, j, match in pairs:
            say = match.weights * counts[j][match.at, 0]
            weight = _SAY * match.sure[:, np.newaxis] * say.sum(1, keepdims=True)
            theirs = (say[..., np.newaxis] * now[j][match.at]).sum(1)
            sums[i] += weight * theirs / say.sum(1, keepdims=True)
            totals[i] += weight
        # Half the way, or two photos would change places from round to round.
        now = [
            np.asarray((a + s / t) / 2, np.float32)
            for a, s, t in zip(now, sums, totals, strict=True)
        ]
    return [_soft(after - before) for after, before in zip(now, own, strict=True)]


def shifted(ab: Float, shift: Float) -> Float:
    """Chroma float32 [H, W, 2] with what `agreed` adds to it."""
    if not shift.any():
        return ab
    size = ab.shape[1], ab.shape[0]
    return ab + np.asarray(cv2.resize(shift, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _soft(shift: Float) -> Float:
    plane = shift.reshape(SIDE, SIDE, 2).astype(np.float32)
    if not plane.any():
        return plane
    blurred = cv2.GaussianBlur(plane, (0, 0), _BLUR, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)


def neighbours(photos: Sequence[Seen]) -> list[tuple[int, int]]:
    """Each photo with those that it is to be matched with, by their numbers."""
    if len(photos) <= NEIGHBOURS + 1:
        return [(i, j) for i in range(len(photos)) for j in range(len(photos)) if i != j]
    # The coarse grid tells which: how alike the places are that are most alike.
    described = [
        each.coarse.astype(np.float32).reshape(-1, each.coarse.shape[-1]) for each in photos
    ]
    alike = np.full((len(photos),) * 2, -np.inf)
    for i, one in enumerate(described):
        for j, other in enumerate(described):
            if i != j:
                alike[i, j] = (one @ other.T).max(1).mean()
    nearest = np.argsort(-(alike + alike.T), axis=1, kind="stable")[:, :NEIGHBOURS]
    return [(i, int(j)) for i, row in enumerate(nearest) for j in row]


def _wide(photo: Seen) -> Seen:
    """With features in single precision, which is what they are multiplied in."""
    return Seen(photo.fine.astype(np.float32), photo.coarse.astype(np.float32), photo.L)


def _astray(moved: Float, like: Float) -> Float:
    """How far each place's match is from where its neighbours' lead: [784]."""
    steps = np.ascontiguousarray(moved - like.reshape(SIDE, SIDE, 2), np.float32)
    usual = np.dstack([cv2.medianBlur(np.ascontiguousarray(steps[..., i]), 5) for i in (0, 1)])
    return np.asarray(np.hypot(*(steps - usual).reshape(-1, 2).T), np.float32)
