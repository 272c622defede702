"""What is decided of a photo once it is decoded."""

from typing import Any, cast

import numpy as np

from chromaserve.color.tiles import MAX_TILES
from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect
from chromaserve.photos.photo import Photo
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.recolor import Close, recolor
from chromaserve.pipeline.steps import decoded_by
from chromaserve.store.contract import GuidedFilter, Postprocess
from tests.app.test_looks import class_photo, panorama


def looks(data: bytes, most: int = MAX_TILES) -> int:
    order = Order(cast(Any, None), 0.5, "guided", "png")

    def read() -> Photo:
        return decode(data, inspect(data, max_pixels=10**8, max_side=10**5))

    return decoded_by(read, order, most=most)[1].count


def test_where_there_is_no_time_for_close_ups_a_photo_is_looked_at_once() -> None:
    photo, _ = class_photo()
    found = looks(photo)
    assert found > 2
    assert looks(photo, most=found - 1) == found
    assert looks(photo, most=found - 2) == looks(photo, most=0) == 1


def test_tiles_that_its_size_tells_of_are_made_in_any_case() -> None:
    assert looks(panorama(), most=0) == looks(panorama()) == 8


def test_close_ups_keep_the_colours_that_total_variation_would_flatten() -> None:
    random = np.random.default_rng(0)
    grey = random.integers(90, 160, (448, 448), np.uint8)
    photo = Photo(grey, None, np.uint8, random.uniform(30, 70, (224, 224)).astype(np.float32))
    ab = np.zeros((224, 224, 2), np.float32)
    dots = random.normal(0, 20, (112, 112, 2)).astype(np.float32)
    close = Close(dots.repeat(4, 0).repeat(4, 1), np.ones((448, 448, 1), np.float32))
    guided = GuidedFilter(radius=8, eps=1e-4)
    by_tv, by_guided = (
        recolor(photo, ab, method, guided, close=close).pixels().astype(int)
        for method in cast(tuple[Postprocess, ...], ("tv", "guided"))
    )
    np.testing.assert_allclose(by_tv, by_guided, atol=1)
