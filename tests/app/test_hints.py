"""The option `hints`: colours that a client knows, at places of the photo."""

import json
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.color import rgb2lab

from tests.app.photos import decoded, encoded, lightness, load, raw, small

Hints = list[dict[str, Any]]


def send(http: httpx.Client, photo: bytes, hints: Hints | str, **options: str) -> httpx.Response:
    text = hints if isinstance(hints, str) else json.dumps(hints)
    data = {"hints": text, **options}
    return http.post("/colorize", files={"file": ("photo", photo)}, data=data)


def colours(http: httpx.Client, photo: bytes, hints: Hints, **options: str) -> NDArray[Any]:
    answer = send(http, photo, hints, **options)
    assert answer.status_code == 200, answer.text[:400]
    return decoded(answer.content)


def lab(pixels: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(rgb2lab(pixels))


def hue(ab: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.degrees(np.arctan2(ab[..., 1], ab[..., 0]))


def two_regions(side: int = 300) -> bytes:
    """A light disc on a dark ground, with a camera's grain."""
    y, x = np.mgrid[:side, :side] - side / 2
    grey = np.where(x**2 + y**2 < (side / 4) ** 2, 170, 60)
    grey = grey + np.random.default_rng(0).normal(0, 2, grey.shape)
    return encoded(Image.fromarray(np.rint(grey).astype(np.uint8)), "PNG")


def test_a_hint_colours_its_region_up_to_the_edge_and_nothing_else(http: httpx.Client) -> None:
    photo = two_regions()
    green = {"x": 150, "y": 120, "color": "#2e8b57"}
    before, after = colours(http, photo, []), colours(http, photo, [green])
    y, x = np.mgrid[:300, :300] - 150
    inside, outside = np.hypot(x, y) < 70, np.hypot(x, y) > 82
    expected = rgb2lab(np.array([[[0x2E, 0x8B, 0x57]]], np.uint8))[0, 0, 1:]
    apart = np.hypot(*np.moveaxis(lab(after)[..., 1:] - expected, -1, 0))
    assert np.percentile(apart[inside], 95) < 4
    assert np.abs(after[outside].astype(int) - before[outside]).mean() < 1
