"""The colours of another photo, carried over to the places that look alike.

Places of the two photos are matched by deep features at two scales, centred so that what all places
have in common does not count (He, Chen, Liao, Sander & Yuan 2018, "Deep exemplar-based
colorization"; Zhang et al. 2019, "Deep exemplar-based video colorization"). A place gets the mean
colour of those it looks like most, those of its own lightness before others. How much that counts
beside the network's answer is told by evidence: how alike the two are, how much more than others,
whether the match leads back, whether neighbours' matches agree; times the same of the photo as a
whole, so that another scene has no say. Weights are fitted by benchmarks/reference_weights.py.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

SIDE: Final = 28
"""Of the grid that is matched."""
COLOURS: Final = 2 * SIDE
"""Of the grid that lightness and colours lie on."""

# Chosen on the photos that docs/measurements/reference.md names for that, as are the weights.
_COARSE = 0.5  # how much the coarse scale counts
_MATCHES = 8
_TEMPERATURE = 0.03  # of likeness
_LIGHTNESS = 12.0  # units of L by which a match may differ
_BLUR = 1.0  # of weights, in places of the grid
_EXACT = np.float32(2**12)
WEIGHTS: tuple[float, ...] = (1.45, 1.09, 0.61, -0.66, -0.31, -0.22, -0.57)
"""A constant's, then those of each kind of `Match.evidence`."""
WHOLE_WEIGHTS: tuple[float, ...] = (-7.53, 9.48, 9.09, 0.22)
"""The same for `Match.whole`."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What matching knows of a photo."""

    fine: Float
    """float32 [28, 28, C], the encoder's features."""
    coarse: Float
    """float32 [14, 14, D]."""
    L: Float
    """float32 [56, 56] in [0, 100]."""


@dataclass(frozen=True, eq=False)
class Match:
    """What a reference has for a photo's places."""

    ab: Float
    """float32 [56, 56, 2] in Lab units, the reference's colours."""
    evidence: Float
    """float32 [28, 28, 6] for and against a place's match: likeness, by how much it exceeds others,
    how far off the match of the match is, and neighbours' matches, how unlike each other the
    colours that it is a mean of are, and the lightnesses; each about 1 at most."""
    whole: Float
    """float32 [3], of the photo: shares of matches that lead back and that neighbours agree with,
    with the mean likeness between them."""


def matched(photo: Seen, reference: Seen, colours: Float) -> Match:
    """Match a photo's places with a reference's.

    Args:
        photo: that is to have colours.
        reference: that has them.
        colours: of it, float32 [56, 56, 2] in Lab units.
    """
    alike = likeness(photo, reference)
    top = np.argpartition(alike, -_MATCHES, axis=1)[:, -_MATCHES:]
    scores = np.take_along_axis(alike, top, 1)
    best, score = alike.argmax(1), scores.max(1)
    # Four parts of a place, each with all parts of its matches.
    mine, theirs = _parts(photo.L)[..., 0], _parts(relit(reference.L, photo.L))[..., 0]
    apart = mine[:, :, np.newaxis] - theirs[top].reshape(SIDE * SIDE, 1, -1)
    given = _parts(colours)[top].reshape(SIDE * SIDE, -1, 2)
    weights = np.repeat(np.exp((scores - score[:, np.newaxis]) / _TEMPERATURE), 4, 1)[:, np.newaxis]
    weights = weights * np.exp(-np.square(apart / _LIGHTNESS) / 2) + 1e-9
    weights /= weights.sum(-1, keepdims=True)
    ab = weights @ given
    spread = (weights @ np.square(given).sum(-1, keepdims=True))[..., 0] - np.square(ab).sum(-1)
    spread = np.sqrt(np.maximum(spread, 0).mean(1))
    unlike = (weights * np.abs(apart)).sum(-1).mean(1)
    grid = np.stack(np.divmod(np.arange(SIDE * SIDE), SIDE), 1).astype(np.float32)
    moved = (grid[best] - grid).reshape(SIDE, SIDE, 2)
    usual = np.dstack([cv2.medianBlur(np.ascontiguousarray(moved[..., i]), 5) for i in (0, 1)])
    astray = np.hypot(*(moved - usual).reshape(-1, 2).T)
    back = np.hypot(*(grid[alike.argmax(0)[best]] - grid).T)
    margin = (score - alike.mean(1)) / np.maximum(alike.std(1), 1e-6)
    whole = (back <= 1.5).mean(), score.mean(), (astray <= 2).mean()
    evidence = [
        score,
        margin / 5,
        np.minimum(back, 6) / 6,
        np.minimum(astray, 6) / 6,
        spread / 20,
        unlike / 10,
    ]
    places = np.stack(evidence, 1).reshape(SIDE, SIDE, -1).astype(np.float32)
    return Match(_whole(ab), places, np.asarray(whole, np.float32))


def weight(match: Match) -> Float:
    """How much matches count, by the evidence for each and for all: float32 [28, 28] in [0, 1]."""
    return _chance(match.evidence, WEIGHTS) * _chance(match.whole, WHOLE_WEIGHTS)


def _chance(evidence: Float, weights: tuple[float, ...]) -> Float:
    odds = evidence @ np.asarray(weights[1:], np.float32) + np.float32(weights[0])
    return np.asarray(1 / (1 + np.exp(-odds)), np.float32)


def with_reference(own: Float, match: Match) -> Float:
    """A photo's colours with those of a reference, where they are surer.

    Args:
        own: float32 [H, W, 2] in Lab units, the network's answer.
        match: of its places.
    """
    size = own.shape[1], own.shape[0]
    soft = cv2.GaussianBlur(weight(match), (0, 0), _BLUR, borderType=cv2.BORDER_REPLICATE)
    share = np.asarray(cv2.resize(soft, size, interpolation=cv2.INTER_LINEAR), np.float32)
    theirs = np.asarray(cv2.resize(match.ab, size, interpolation=cv2.INTER_LINEAR), np.float32)
    return own + share[:, :, np.newaxis] * (theirs - own)


def likeness(photo: Seen, reference: Seen) -> Float:
    """Cosines of all places with all: [photo's, reference's]."""
    pairs = (photo.fine, reference.fine, 1 - _COARSE), (photo.coarse, reference.coarse, _COARSE)
    alike = np.zeros((SIDE * SIDE, SIDE * SIDE), np.float32)
    for one, other, share in pairs:
        common = (one.mean((0, 1)) + other.mean((0, 1))) / 2
        alike += np.float32(share) * (described(one - common) @ described(other - common).T)
    return alike


def described(features: Float) -> Float:
    """Features [h, w, C] at all places, of length 1: [784, C], multiples of 2⁻¹².

    As multiples of that, of length 1 at most, all sums of their products are exact in single
    precision: a match does not hang on how many threads multiply, and in which order.
    """
    side = len(features)
    if side != SIDE:  # OpenCV has no room for so many channels
        rows = cv2.resize(
            np.eye(side, dtype=np.float32), (side, SIDE), interpolation=cv2.INTER_LINEAR
        )
        # Without `optimize`, by which threads would multiply.
        features = np.einsum("xj,yjc->yxc", rows, np.einsum("yi,ijc->yjc", rows, features))
    length = np.sqrt(np.square(features).sum(-1, keepdims=True))
    unit = np.asarray(features / np.maximum(length, 1e-6), np.float32).reshape(SIDE * SIDE, -1)
    return np.asarray(np.trunc(unit * _EXACT) / _EXACT, np.float32)


def relit(L: Float, like: Float) -> Float:
    """Lightness with the mean and deviation of another (Reinhard et al. 2001)."""
    least = 3.0  # units of L; a flat one is not blown up
    scale = max(float(like.std()), least) / max(float(L.std()), least)
    return np.asarray((L - L.mean()) * scale + like.mean(), np.float32)


def _parts(plane: Float) -> Float:
    """[56, 56] or [56, 56, C] as [784, 4, C]: each place's four parts."""
    cells = plane.reshape(SIDE, 2, SIDE, 2, -1).transpose(0, 2, 1, 3, 4)
    return cells.reshape(SIDE * SIDE, 4, -1)


def _whole(parts: Float) -> Float:
    """What `_parts` took apart: [56, 56, C]."""
    cells = parts.reshape(SIDE, SIDE, 2, 2, -1).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(cells.reshape(COLOURS, COLOURS, -1), np.float32)
