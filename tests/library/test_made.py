"""Results that were made with other options are told from those that were not, by what they say."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from chromaserve.library.made import Making, made_otherwise
from tests.sample_photos import encoded, small

HINTS = '[{"x": 10, "y": 10, "color": "#2e6b3a"}]'
GREY = encoded(small("L", (640, 560)), "PNG")
COLOUR = encoded(small("RGB", (240, 160)), "PNG")
TORN = encoded(small("L", (300, 200)), "JPEG")
BOOK = encoded(small("L"), "TIFF", save_all=True, append_images=[small("L")])
WAYS: list[tuple[bytes, str, dict[str, Any], dict[str, Any]]] = [
    (GREY, "png", {}, {"look": "tiles"}),
    (GREY, "png", {"vividness": 0.2}, {"vividness": 0.3}),
    (GREY, "png", {}, {"hints": HINTS}),
    (GREY, "png", {"hints": HINTS}, {"hints": HINTS.replace("10", "11")}),
    (GREY, "jpeg", {"quality": 80}, {"quality": 81}),
    (GREY, "jpeg", {}, {"quality": 80}),
    (COLOUR, "png", {"colour": "keep"}, {}),
    (TORN[: len(TORN) // 2], "png", {"damaged": "accept"}, {}),
    (BOOK, "tiff", {"pages": "all"}, {}),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("photo", "format", "one", "other"), WAYS, ids=[f"{a} and {b}" for _, _, a, b in WAYS]
)
def test_other_options_are_told_of_both_ways(
    http: httpx.Client,
    model_root: Path,
    tmp_path: Path,
    photo: bytes,
    format: str,
    one: dict[str, Any],
    other: dict[str, Any],
) -> None:
    source = tmp_path / "photo"
    source.write_bytes(photo)

    def unlike(result: Path, options: dict[str, Any]) -> int:
        return made_otherwise([(source, result)], Making.of(options, model_root=model_root))

    for made, another in ((one, other), (other, one)):
        answer = http.post("/colorize", content=photo, params={**made, "format": format})
        if "damaged" in another:
            assert answer.status_code == 422, "there is no such result"
            continue
        assert answer.status_code == 200, answer.text
        result = tmp_path / f"result.{format}"
        result.write_bytes(answer.content)
        assert unlike(result, made) == 0
        assert unlike(result, another) == 1


def test_what_makes_no_difference_is_none(
    http: httpx.Client, model_root: Path, tmp_path: Path
) -> None:
    small_one, result = tmp_path / "photo.png", tmp_path / "result.png"
    small_one.write_bytes(encoded(small("L"), "PNG"))
    result.write_bytes(http.post("/colorize", content=small_one.read_bytes()).content)
    same = {"look": "tiles", "colour": "keep", "damaged": "accept", "quality": 50, "pages": "all"}
    assert made_otherwise([(small_one, result)], Making.of(same, model_root=model_root)) == 0
