"""How sure a photo's colours are: a figure, places where a hint would help, a map."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chromaserve.color.confidence import confidence_in, expected_error
from chromaserve.color.hint_places import ground, suggested
from chromaserve.color.look import substance
from chromaserve.color.upsampling import Enlarged
from chromaserve.photos.free_cores import ALONE, FreeCores
from chromaserve.photos.photo import Float, Photo, Pixels, Striped
from chromaserve.pipeline.hints import AnyHint
from chromaserve.pipeline.recolor import shapes_of
from chromaserve.store.contract import Calibration


@dataclass(frozen=True)
class Assessed:
    """Of one photo in its colours, hints among them."""

    figure: float
    """The mean of `confidence`, rounded."""
    places: tuple[tuple[float, float], ...]
    """Where a hint would help most, the best first: x and y in pixels of the upright photo."""
    confidence: Float
    """float32 [h, w] in [0, 1], of the whole photo: see `confidence_in`."""


def assess(
    photo: Photo, ab: Float, moments: Float, hints: Sequence[AnyHint], calibration: Calibration
) -> Assessed:
    """How sure a photo's colours are.

    Args:
        photo: the decoded photo.
        ab: float32 [h, w, 2] in Lab units, the model's answer for it, without close-ups.
        moments: float32 [h, w, 3] of the distribution behind it.
        hints: that it is coloured with.
        calibration: of the model.
    """
    ab = ab * np.float32(substance(photo.thumbnail))
    error = expected_error(ab, moments, calibration)
    width, height = photo.size
    on = ground(photo.thumbnail, ab, error, photo.size, shapes_of(hints))
    confidence = confidence_in(
        np.sqrt(on.squared).reshape(on.L.shape) if hints else error, calibration
    )
    places = tuple(
        (round(float(x * width), 1), round(float(y * height), 1)) for x, y in suggested(on)
    )
    return Assessed(round(float(confidence.mean()), 3), places, confidence)


def as_map(assessed: Assessed, photo: Photo, cores: FreeCores = ALONE) -> Striped:
    """Confidence as a picture of the photo's size, uint8 [H, W, 1]: 0 is 0, 255 is 1."""
    rows, columns = photo.grey.shape
    plane = Enlarged(255 * assessed.confidence[:, :, np.newaxis], rows, columns)

    def greys(start: int, stop: int) -> Pixels:
        (strip,) = plane.strip(start, stop)
        return np.rint(np.clip(strip, 0, 255)).astype(np.uint8)[:, :, np.newaxis]

    return Striped((rows, columns, 1), np.uint8, greys, cores)


def certain(photo: Photo) -> Striped:
    """The map of a photo that keeps its own colours."""
    rows, columns = photo.grey.shape
    return Striped(
        (rows, columns, 1),
        np.uint8,
        lambda start, stop: np.full((stop - start, columns, 1), 255, np.uint8),
    )
