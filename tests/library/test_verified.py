"""`verify`: a result is held against its photo, whatever kind both are of."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chromaserve import Colorizer, verify
from chromaserve.library.given import Given
from tests.page.stage import GREY

CAT = GREY / "cat.jpg"


@pytest.mark.slow
def test_every_kind_of_result_is_its_photos_and_gives_the_grey_back(tmp_path: Path) -> None:
    with Image.open(CAT) as opened:
        image = opened.copy()
    grey = np.asarray(image)
    with Colorizer() as colorizer:
        as_bytes = colorizer.colorize(CAT.read_bytes(), vividness=0.8)
        as_path = colorizer.colorize(CAT, output=tmp_path / "cat.png", vividness=0.8)
        pairs: list[tuple[Given, Given]] = [
            (CAT.read_bytes(), as_bytes),
            (str(CAT), as_path),
            (image, colorizer.colorize(image)),
            (grey, colorizer.colorize(grey)),
        ]
    for photo, result in pairs:
        told = verify(photo, result)
        assert told.same
        assert told.mean is not None
        assert told.mean <= 0.3
        assert told.grey.dtype == np.uint8
        assert np.abs(told.grey.astype(int) - grey).max() <= 1
    made_by = verify(CAT, as_bytes).made_by
    assert made_by
    assert "vividness 0.8" in made_by


def test_another_lightness_and_another_size_are_told() -> None:
    grey = np.full((40, 60), 90, np.uint8)
    changed = grey.copy()
    changed[12, 34] = 200
    told = verify(grey, changed)
    assert (told.same, told.greatest_at) == (False, (34, 12))
    assert told.within_1 == round(1 - 1 / 2400, 6)
    file = io.BytesIO()
    Image.fromarray(grey[:30]).save(file, "PNG")
    told = verify(grey, file.getvalue())
    assert (told.same, told.size, told.size_of_result) == (False, (60, 40), (60, 30))
    assert told.mean is None
