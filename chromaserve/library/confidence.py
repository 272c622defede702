"""What `Colorizer.confidence` tells."""

from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chromaserve.library.flow import Done


@dataclass(frozen=True)
class Confidence:
    """How sure the colours of one photo are."""

    map: NDArray[np.uint8] = field(repr=False)
    """uint8 [H, W] of the upright photo: 255 times the chance that a pixel's a and b are within 15
    Lab units of the truth."""
    figure: float | None
    """The mean of that chance, 0 to 1; None where the photo keeps its own colours."""
    hint_places: tuple[tuple[float, float], ...]
    """Where a colour hint would help most, the best place first: x and y in pixels."""


def confidence_of(done: Done) -> Confidence:
    """What is told by a map, encoded or not, and beside it."""
    value = done.value
    if isinstance(value, bytes):
        with Image.open(BytesIO(value)) as image:
            grey = np.asarray(image)
    else:
        grey = np.asarray(value)
    assessed = done.told.assessed if done.told else None
    return Confidence(
        grey.reshape(grey.shape[:2]),
        assessed.figure if assessed else None,
        assessed.places if assessed else (),
    )
