"""Copies of a training photo as an old photograph might show it: cropped, faded, grainy, soft."""

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.color.lab import lab_to_srgb, srgb_to_L

from .config import Augment

Float = NDArray[np.float32]
Random = np.random.Generator


def augment(L: Float, ab: Float, settings: Augment, random: Random) -> tuple[Float, Float]:
    """Crop a photo at random and age its L; the colours of what is left stay the truth.

    L float32 [H, W] in [0, 100], ab float32 [H, W, 2] in Lab units; both come back with the size of
    the crop. Tone, softness, grain and compression are each applied with the settings' chance.
    """
    rows, columns = crop_window(L.shape, settings, random)
    L, ab = L[rows, columns], np.ascontiguousarray(ab[rows, columns])
    for change in (fade, soften, add_grain, compress):
        if random.random() < settings.chance:
            L = change(L, settings, random)
    return np.ascontiguousarray(np.clip(L, 0, 100)), ab


def crop_window(shape: tuple[int, ...], settings: Augment, random: Random) -> tuple[slice, slice]:
    """A window of the settings' share of the area, its aspect within 3:4 and 4:3 of the photo's.

    With a share of 1 it is the whole photo.
    """
    if settings.min_area == 1:
        return slice(0, shape[0]), slice(0, shape[1])
    area = random.uniform(settings.min_area, 1)
    stretch = np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)) / 2)
    height = min(shape[0], max(1, round(shape[0] * np.sqrt(area) * stretch)))
    width = min(shape[1], max(1, round(shape[1] * np.sqrt(area) / stretch)))
    top = int(random.integers(0, shape[0] - height + 1))
    left = int(random.integers(0, shape[1] - width + 1))
    return slice(top, top + height), slice(left, left + width)


def fade(L: Float, settings: Augment, random: Random) -> Float:
    """Another exposure and print: gamma, and blacks and whites that are not quite."""
    gamma = np.exp(random.uniform(-1, 1) * settings.gamma)
    black, white = random.uniform(0, settings.fade, 2)
    toned = (np.clip(L, 0, 100) / 100) ** gamma
    return np.asarray(100 * (black + toned * (1 - black - white)), np.float32)


def soften(L: Float, settings: Augment, random: Random) -> Float:
    """An old lens: a Gaussian blur, its sigma a share of the shorter side."""
    sigma = random.uniform(0, settings.blur) * min(L.shape)
    return np.asarray(cv2.GaussianBlur(L, (0, 0), max(sigma, 1e-3)), np.float32)


def add_grain(L: Float, settings: Augment, random: Random) -> Float:
    """Film grain: noise a little wider than a pixel, strongest in the middle tones."""
    noise = cv2.GaussianBlur(
        random.standard_normal(L.shape).astype(np.float32), (0, 0), random.uniform(0.4, 1.2)
    )
    strength = random.uniform(0, settings.grain) / max(float(noise.std()), 1e-6)
    return np.asarray(L + strength * noise * (0.5 + 2 * L / 100 * (1 - L / 100)), np.float32)


def compress(L: Float, settings: Augment, random: Random) -> Float:
    """JPEG's noise, as a grey picture at a quality down to the settings' lowest."""
    quality = int(random.integers(settings.min_jpeg_quality, 96))
    grey = np.asarray(lab_to_srgb(L, np.zeros((*L.shape, 2), np.float32)), np.uint8)[..., 0]
    _, coded = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])
    back = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
    return srgb_to_L(np.asarray(back, np.uint8))
