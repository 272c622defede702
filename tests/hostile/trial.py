"""What becomes of one file: photo, or an error for whoever sent it."""

import numpy as np

from chromaserve.errors import (
    DamagedPhoto,
    TooManyPixels,
    UnsupportedFormat,
    UnsupportedSamples,
)
from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect

MAX_PIXELS, MAX_SIDE = 2_000_000, 30_000
REFUSALS = (DamagedPhoto, TooManyPixels, UnsupportedFormat, UnsupportedSamples)


def outcome(data: bytes) -> str:
    """How it ended; whatever else is raised is a fault of ours."""
    try:
        header = inspect(data, max_pixels=MAX_PIXELS, max_side=MAX_SIDE)
        photo = decode(data, header)
    except REFUSALS as error:
        return type(error).__name__
    assert sorted(photo.size) == sorted((header.width, header.height))
    assert photo.thumbnail.shape == (224, 224)
    assert np.isfinite(photo.thumbnail).all()
    assert 0 <= photo.thumbnail.min() <= photo.thumbnail.max() <= 100
    return "photo"
