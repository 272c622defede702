"""What a file's numbers mean in sRGB: by matrix and curves, or by LittleCMS where there are tables.

Matrix and curves are applied here, since Pillow's LittleCMS has 8 bits a channel and the binding
with 16 (imagecodecs) is 80 MB for this one function. Lightness then needs a table a channel and
three weights, has no detour over 8 bits of sRGB, and keeps what lies outside of sRGB. Profiles with
colour tables (some scanners') go through LittleCMS: 8 bits as they are, 16 bits by its answers on a
grid, to 16 bits each, between which is interpolated.
"""

from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any, Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from chromaserve.color.gamut import XYZ_FROM_RGB
from chromaserve.color.lab import codes, srgb_to_grey
from chromaserve.photos.icc import grey_profile, srgb_profile
from chromaserve.photos.photo import Float, Pixels, empty

_WIDE = np.dtype(np.uint16)
_Y = np.asarray(XYZ_FROM_RGB, np.float64)[1]
_LIKE_SRGB = 100
"""Codes of 16 bits, not half of one of 8: a profile that moves none further is taken for sRGB."""
_BLOCK = 1 << 14  # pixels whose light is held
_GRID = 52
"""Points a channel of which LittleCMS is asked: every fifth code of 8 bits."""


class Profile(Protocol):
    """Makes sRGB of numbers."""

    def grey(self, pixels: Pixels) -> Pixels:
        """sRGB greys [H, W] of the lightness of grey [H, W] or colours [H, W, C]."""

    def srgb(self, pixels: Pixels) -> Pixels:
        """[H, W, 3] of the depth of `pixels`, [H, W, C]."""


class Srgb:
    """Numbers that are sRGB."""

    def grey(self, pixels: Pixels) -> Pixels:
        """See `Profile`."""
        return pixels if pixels.ndim == 2 else srgb_to_grey(pixels)

    def srgb(self, pixels: Pixels) -> Pixels:
        """See `Profile`."""
        return pixels


SRGB = Srgb()


@dataclass(frozen=True)
class Curves:
    """A curve a channel to linear light, then a matrix."""

    curves: tuple[NDArray[np.float64], ...]
    """Linear light, one for grey or three for red, green, blue: at 65,536 even steps."""
    matrix: NDArray[np.float64]
    """[3, 3] from there to linear sRGB; of no meaning for grey."""

    def grey(self, pixels: Pixels) -> Pixels:
        """See `Profile`."""
        if pixels.ndim == 2:
            table = codes(self._tables(pixels.itemsize)[0].reshape(1, -1), _WIDE)
            return _look_up(pixels, table.reshape(-1))
        tables = self._tables(pixels.itemsize)
        weights = _Y @ self.matrix
        Y = np.zeros(pixels.shape[:2], np.float32)
        for i, weight in enumerate(weights):
            cv2.scaleAdd(_look_up(pixels[..., i], tables[i]), float(weight), Y, dst=Y)
        return codes(np.clip(Y, 0, 1), _WIDE)

    def srgb(self, pixels: Pixels) -> Pixels:
        """See `Profile`; what lies outside of sRGB is clipped."""
        tables, matrix = self._tables(pixels.itemsize), self.matrix.T.astype(np.float32)
        made = empty((*pixels.shape[:2], 3), pixels.dtype.type)
        step = max(1, _BLOCK // pixels.shape[1])
        for i in range(0, len(pixels), step):
            part = pixels[i : i + step]
            linear = np.dstack([_look_up(part[..., k], tables[k]) for k in range(3)])
            linear = np.clip(linear @ matrix, 0, 1).reshape(1, -1)
            made[i : i + step] = codes(linear, pixels.dtype).reshape(*part.shape[:2], 3)
        return made

    def _tables(self, itemsize: int) -> list[Float]:
        return self._wide if itemsize == 2 else [table[::257].copy() for table in self._wide]

    @cached_property
    def _wide(self) -> list[Float]:
        return [np.clip(curve, 0, 1).astype(np.float32) for curve in self.curves]

    @property
    def is_srgb(self) -> bool:
        """Whether the greys of all colours are sRGB's, as near as 8 bits tell."""
        steps = np.linspace(0, 65535, 18).round().astype(np.uint16)
        if len(self.curves) == 1:
            ramp = np.arange(65536, dtype=np.uint16).reshape(1, -1)
            mine, own = self.grey(ramp), ramp
        else:
            grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
            mine, own = self.grey(grid), srgb_to_grey(grid)
        return bool(np.abs(mine.astype(np.int64) - own).max() <= _LIKE_SRGB)


class Tables:
    """A profile with colour tables, of RGB or CMYK, by LittleCMS."""

    def __init__(self, profile: ImageCms.ImageCmsProfile, mode: str) -> None:
        """Raise PyCMSError where it cannot be used."""
        srgb, grey = (
            ImageCms.ImageCmsProfile(BytesIO(each)) for each in (srgb_profile(), grey_profile())
        )
        self._to_srgb = ImageCms.buildTransform(profile, srgb, mode, "RGB")
        self._to_grey = ImageCms.buildTransform(profile, grey, mode, "I;16")
        self._mode = mode

    def grey(self, pixels: Pixels) -> Pixels:
        """See `Profile`."""
        if pixels.itemsize == 1:
            return self._narrow_grey(pixels)
        from scipy.ndimage import map_coordinates  # a fifth of a start, and seldom needed

        at = pixels.reshape(-1, 3).T.astype(np.float32) * np.float32((_GRID - 1) / 65535)
        found = map_coordinates(self._grid, at, order=1, mode="nearest", output=np.float32)
        grey: NDArray[np.uint16] = np.rint(found).astype(np.uint16)
        return grey.reshape(pixels.shape[:2])

    def srgb(self, pixels: Pixels) -> Pixels:
        """See `Profile`; through 8 bits."""
        narrow = pixels if pixels.itemsize == 1 else cv2.convertScaleAbs(pixels, alpha=1 / 257)
        found: NDArray[np.uint8] = np.asarray(
            self._apply(cast(NDArray[np.uint8], narrow), self._to_srgb)
        )
        wide: NDArray[np.uint16] = found.astype(np.uint16) * np.uint16(257)
        return wide if pixels.itemsize == 2 else found

    @cached_property
    def _grid(self) -> Float:
        steps = np.linspace(0, 255, _GRID).round().astype(np.uint8)
        nodes = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1)
        grey = self._narrow_grey(nodes.reshape(_GRID, -1, 3))
        return grey.reshape(_GRID, _GRID, _GRID).astype(np.float32)

    def _narrow_grey(self, pixels: Pixels) -> NDArray[np.uint16]:
        """LittleCMS's grey is of D50's luminance, from which D65's differs by little."""
        numbers = cast(NDArray[np.uint8], pixels)
        grey = np.asarray(self._apply(numbers, self._to_grey)).astype(np.uint16)
        colours = np.asarray(self._apply(numbers, self._to_srgb))
        linear = _look_up(grey, _LINEAR)
        for i, weight in enumerate(_Y - _D50_Y):
            cv2.scaleAdd(
                _look_up(colours[..., i], _LINEAR[::257].copy()), weight, linear, dst=linear
            )
        return cast(NDArray[np.uint16], codes(np.clip(linear, 0, 1), _WIDE).reshape(grey.shape))

    def _apply(
        self, pixels: NDArray[np.uint8], transform: ImageCms.ImageCmsTransform
    ) -> Image.Image:
        image = Image.frombuffer(
            self._mode, pixels.shape[1::-1], np.ascontiguousarray(pixels), "raw", self._mode, 0, 1
        )
        return cast(Image.Image, ImageCms.applyTransform(image, transform))


def srgb_curve(v: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB's numbers in [0, 1] -> linear light (IEC 61966-2-1)."""
    return np.asarray(np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4))


STEPS = np.linspace(0, 1, 65536)
"""Where the tables of `Curves` have their entries."""
_LINEAR = srgb_curve(STEPS).astype(np.float32)
_D50_Y = np.array([0.2224884, 0.7168732, 0.0606079])


def _look_up(plane: Pixels, table: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(cv2.LUT(np.ascontiguousarray(plane), table)).reshape(plane.shape)
