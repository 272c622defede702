"""What is decided of a photo once it is decoded."""

from typing import Any, cast

from chromaserve.color.tiles import MAX_TILES
from chromaserve.photos.decode import decode
from chromaserve.photos.header import inspect
from chromaserve.photos.photo import Photo
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.steps import decoded_by
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
