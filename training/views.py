"""Views of a training photo: a fresh crop each time, its L as another camera or print shows it.

The colours that a view is to be answered with stay the photo's own, whatever becomes of its L.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.color.lab import lab_to_srgb, srgb_to_L, srgb_to_lab
from chromaserve.store.contract import NETWORK_SIZE, network_input, squeeze

from .config import Views

Float = NDArray[np.float32]
Image = NDArray[np.uint8]
Random = np.random.Generator

MAX_STRETCH = 1.25  # of a crop's aspect, either way
LUMA = np.array([0.2126, 0.7152, 0.0722])  # Rec. 709's red, green, blue


def whole(rgb: Image, target: int) -> tuple[Float, Float]:
    """A photo as it is served: L [224, 224, 1] in [0, 100], ab [target, target, 2], Lab units."""
    L, ab = srgb_to_lab(rgb)
    return network_input(L), squeeze(ab, target, target)


def view(rgb: Image, settings: Views, target: int, random: Random) -> tuple[Float, Float]:
    """Draw a view: L float32 [side, side, 1] in [0, 100], ab float32 [target, target, 2].

    rgb: uint8 [H, W, 3], any size: it is squeezed to 224x224, as a photo is for the network.
    """
    if rgb.shape[:2] != (NETWORK_SIZE, NETWORK_SIZE):
        rgb = np.asarray(cv2.resize(rgb, (NETWORK_SIZE,) * 2, interpolation=cv2.INTER_AREA))
    rows, columns = crop(settings, random)
    rgb = rgb[rows, columns]
    if random.random() < 0.5:
        rgb = rgb[:, ::-1]
    rgb = np.ascontiguousarray(rgb)
    if rgb.shape[:2] != (settings.side, settings.side):
        shrinks = rgb.shape[0] * rgb.shape[1] > settings.side**2
        rgb = np.asarray(
            cv2.resize(
                rgb, (settings.side,) * 2,
                interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
            )
        )  # fmt: skip
    L, ab = srgb_to_lab(rgb)
    if random.random() < settings.film:
        L = other_film(rgb, random)
    return age(L, settings, random)[:, :, None], squeeze(ab, target, target)


def crop(settings: Views, random: Random) -> tuple[slice, slice]:
    """A window of the photo at 224x224.

    With the chance `native` it is as large as the view, so that objects have the size that the
    encoder learned them at; else it takes a larger share of the photo, stretched a little.
    """
    height = width = settings.side
    if random.random() >= settings.native:
        least = max(settings.min_area, (settings.side / NETWORK_SIZE) ** 2)
        if settings.side == NETWORK_SIZE:
            least = settings.min_area
        side = NETWORK_SIZE * np.sqrt(random.uniform(least, 1))
        stretch = MAX_STRETCH ** random.uniform(-0.5, 0.5)
        height, width = (min(NETWORK_SIZE, round(side * s)) for s in (stretch, 1 / stretch))
    top = int(random.integers(0, NETWORK_SIZE - height + 1))
    left = int(random.integers(0, NETWORK_SIZE - width + 1))
    return slice(top, top + height), slice(left, left + width)


def other_film(rgb: Image, random: Random) -> Float:
    """L as a film that sees red, green and blue in other shares, or a toned print, shows it.

    Orthochromatic plates are blind to red; a print in sepia turned grey weighs channels anew.
    """
    weights = 0.5 * LUMA + 0.5 * random.dirichlet((1.0, 1.5, 1.0))
    grey = rgb.reshape(-1, 3) @ weights.astype(np.float32)
    return srgb_to_L(np.rint(grey).astype(np.uint8).reshape(rgb.shape[:2]))


def age(L: Float, settings: Views, random: Random) -> Float:
    """What time and print do to L [H, W], each with its own chance; within [0, 100]."""
    changes: tuple[tuple[float, Callable[[Float, Views, Random], Float]], ...] = (
        (settings.vignette, vignette),
        (settings.tone, tone),
        (settings.fade, fade),
        (settings.blur, soften),
        (settings.grain, add_grain),
        (settings.jpeg, compress),
    )
    for chance, change in changes:
        if random.random() < chance:
            L = change(L, settings, random)
    return np.clip(L, 0, 100)


def vignette(L: Float, _: Views, random: Random) -> Float:
    """Corners that are up to half as light."""
    height, width = L.shape
    y, x = np.linspace(-1, 1, height), np.linspace(-1, 1, width)
    distance = (y[:, None] ** 2 + x[None] ** 2) / 2
    return np.asarray(L * (1 - random.uniform(0.1, 0.5) * distance), np.float32)


def tone(L: Float, settings: Views, random: Random) -> Float:
    """Another exposure: gamma."""
    gamma = np.exp(random.uniform(-1, 1) * settings.gamma)
    return np.asarray(100 * (np.clip(L, 0, 100) / 100) ** gamma, np.float32)


def fade(L: Float, settings: Views, random: Random) -> Float:
    """A faded print: blacks and whites that are not, as codes 40 to 215 or 100 to 180."""
    span = random.uniform(settings.min_contrast, 1)
    black = 100 * random.uniform(0, 1 - span)
    return np.asarray(black + span * L, np.float32)


def soften(L: Float, settings: Views, random: Random) -> Float:
    """An old lens."""
    sigma = max(random.uniform(0, settings.max_blur), 1e-3)
    return np.asarray(cv2.GaussianBlur(L, (0, 0), sigma), np.float32)


def add_grain(L: Float, settings: Views, random: Random) -> Float:
    """Film grain: noise a little wider than a pixel, strongest in the middle tones."""
    noise = random.standard_normal(L.shape, np.float32)
    noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), random.uniform(0.4, 1.2)), np.float32)
    strength = random.uniform(0, settings.max_grain) / max(float(noise.std()), 1e-6)
    return np.asarray(L + strength * noise * (0.5 + 2 * L / 100 * (1 - L / 100)), np.float32)


def compress(L: Float, settings: Views, random: Random) -> Float:
    """JPEG's noise, as a grey picture."""
    quality = int(random.integers(settings.min_quality, 96))
    clipped = np.clip(L, 0, 100)
    grey = np.asarray(lab_to_srgb(clipped, np.zeros((*L.shape, 2), np.float32)), np.uint8)[..., 0]
    _, coded = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])
    back = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
    return srgb_to_L(np.asarray(back, np.uint8))
