"""Photos for the tests, from scikit-image's wheel, and ways to encode and measure them."""

import io
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image
from skimage.color import rgb2lab
from skimage.io import imread

FOLDER = Path(skimage.data.__file__).parent
NAMES = [
    *("astronaut.png", "chelsea.png", "coffee.png", "camera.png", "rocket.jpg", "page.png"),
    *("coins.png", "moon.png", "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png"),
]


@cache
def load(name: str) -> NDArray[Any]:
    """A photo as scikit-image reads it, uint8 [H, W] or [H, W, 3]; it can't be written to."""
    photo = np.asarray(imread(FOLDER / name))
    photo.setflags(write=False)
    return photo


def raw(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def small(mode: str = "RGB", size: tuple[int, int] = (120, 80)) -> Image.Image:
    """Part of a photo in one of Pillow's modes."""
    return Image.fromarray(load("astronaut.png")).resize(size).convert(mode)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:  # noqa: ANN401
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(side: int) -> bytes:
    """A grey PNG whose result is no smaller: it does not fit into a connection's buffers."""
    return encoded(Image.effect_noise((side, side), 100), "PNG")


def png16(array: NDArray[np.uint16]) -> bytes:
    """A 16-bit PNG of grey, RGB or RGBA samples."""
    if array.ndim == 3:
        array = array[..., [2, 1, 0, 3][: array.shape[2]]]
    return cv2.imencode(".png", np.ascontiguousarray(array))[1].tobytes()


def decoded(data: bytes) -> NDArray[Any]:
    """Pixels in the order R, G, B(, A) by OpenCV: not the decoder that the service reads with."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    if pixels.ndim == 2:
        return np.asarray(pixels)
    return np.asarray(pixels[..., [2, 1, 0, 3][: pixels.shape[2]]])


def lightness(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """L* by scikit-image, of grey or RGB(A) samples of 8 or 16 bits."""
    if pixels.ndim == 2:
        pixels = np.dstack([pixels] * 3)
    return np.asarray(rgb2lab(pixels[..., :3] / np.iinfo(pixels.dtype).max)[..., 0])
