"""Decoding of untrusted bytes to a photo's lightness and alpha."""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.color.lab import srgb_to_L
from chromaserve.color.toned import SAMPLE, judge
from chromaserve.photos.free_cores import ALONE, FreeCores
from chromaserve.photos.metadata import NOTHING, Metadata
from chromaserve.photos.photo import Depth, Header, Photo, Pixels, empty, strips, upright
from chromaserve.photos.pixels import Source, open_source
from chromaserve.photos.profiles import Profile
from chromaserve.photos.thumbnail import Sum, Thumbnail
from chromaserve.store.contract import NETWORK_SIZE


def decode(
    data: bytes,
    header: Header,
    *,
    accept_damage: bool = False,
    keep_colours: bool = False,
    cores: FreeCores = ALONE,
) -> Photo:
    """Decode a photo whose header `inspect` has passed: one page, upright, sRGB lightness.

    Beside what the decoder itself holds, only a photo's grey and alpha are kept at full size.

    Args:
        data: the file.
        header: of it.
        accept_damage: whether a photo is taken of which pixels are missing.
        keep_colours: whether a photo that has colours is to keep them.
        cores: which work on strips.

    Raises:
        DamagedPhoto: the file is truncated or corrupt.
        UnsupportedSamples: a kind of pixel that cannot be converted.
    """
    source = open_source(data, header, accept_damage=accept_damage)
    try:
        planes = Planes(source.rows, source.columns, depth_of(header), keep_colours=keep_colours)
        planes.fill(source, cores)
        metadata = source.metadata
    finally:
        source.close()
    return planes.photo(
        1 if source.is_upright else metadata.orientation, metadata, source.missing()
    )


def depth_of(header: Header) -> Depth:
    """The depth of the colours to make."""
    return np.uint16 if header.bits == 16 else np.uint8


@dataclass(frozen=True)
class _Part:
    """What is kept of a strip."""

    rows: slice
    grey: Pixels
    alpha: Pixels | None
    """None where it is opaque."""
    small: NDArray[np.uint8] | None
    colours: Pixels | None
    sums: list[Sum]


class Planes:
    """What is kept of a photo, filled strip by strip."""

    def __init__(
        self,
        rows: int,
        columns: int,
        depth: Depth,
        *,
        keep_colours: bool = False,
        keep_alpha: bool = False,
    ) -> None:
        """Prepare for a photo of rows × columns whose colours are to be of this depth.

        Args:
            rows: of it.
            columns: of it.
            depth: of the result.
            keep_colours: whether it keeps colours, if it has any.
            keep_alpha: whether transparency is kept that is opaque everywhere.
        """
        self._shape, self._depth = (rows, columns), depth
        self._keeps, self._keep_alpha = keep_colours, keep_alpha
        self._grey: Pixels | None = None
        self._alpha: Pixels | None = None
        self._colours: Pixels | None = None
        self._thumbnail = Thumbnail(rows, columns, NETWORK_SIZE, NETWORK_SIZE)
        self._small: list[NDArray[np.uint8]] = []

    def fill(self, source: Source, cores: FreeCores = ALONE) -> None:
        """Take the whole photo; the same on any number of cores."""
        rows, columns = self._shape
        cores.each(
            ((start, *source.strips(start, stop)) for start, stop in strips(rows, columns)),
            lambda strip: self._part(*strip, source.profile),
            self._put,
            pixels=rows * columns,
        )

    def _part(self, start: int, colours: Pixels, alpha: Pixels | None, profile: Profile) -> _Part:
        """Of rows from `start` on: grey [n, W] or colours [n, W, C], and alpha [n, W]."""
        grey = profile.grey(colours)
        coloured = colours.ndim == 3
        return _Part(
            slice(start, start + len(colours)),
            grey,
            None if alpha is None else self._unless_opaque(_as_depth(alpha, self._depth)),
            self._sample(colours, profile) if coloured else None,
            profile.srgb(colours) if coloured and self._keeps else None,
            self._thumbnail.sums(start, srgb_to_L(grey)),
        )

    def _put(self, part: _Part) -> None:
        """Take the next rows."""
        if self._grey is None:
            self._grey = empty(self._shape, part.grey.dtype.type)
        self._grey[part.rows] = part.grey
        if part.alpha is not None and self._alpha is None:
            self._alpha = empty(self._shape, self._depth)
            self._alpha[: part.rows.start] = np.iinfo(self._depth).max
        if self._alpha is not None:
            self._alpha[part.rows] = np.iinfo(self._depth).max if part.alpha is None else part.alpha
        if part.small is not None:
            self._small.append(part.small)
        if part.colours is not None:
            if self._colours is None:
                self._colours = empty((*self._shape, 3), self._depth)
            self._colours[part.rows] = part.colours
        self._thumbnail.put(part.sums)

    def _unless_opaque(self, alpha: Pixels) -> Pixels | None:
        opaque = not self._keep_alpha and alpha.min() == np.iinfo(self._depth).max
        return None if opaque else alpha

    def _sample(self, colours: Pixels, profile: Profile) -> NDArray[np.uint8]:
        """The rows at a small size, in sRGB: to tell whether there are colours."""
        rows, columns = colours.shape[:2]
        scale = min(1, SAMPLE / max(self._shape))
        size = max(1, round(columns * scale)), max(1, round(rows * scale))
        means = cast(Pixels, cv2.resize(colours, size, interpolation=cv2.INTER_AREA))
        small = profile.srgb(means.reshape(size[1], size[0], -1))
        return (small if small.itemsize == 1 else small >> 8).astype(np.uint8)

    def photo(self, orientation: int, metadata: Metadata = NOTHING, missing: float = 0.0) -> Photo:
        """The photo, turned upright."""
        assert self._grey is not None  # a photo has a row
        colour = judge(np.concatenate(self._small)) if self._small else "grey"
        # The network's input is square, so it can be turned after it was squeezed.
        thumbnail = upright(np.clip(self._thumbnail.finish(), 0, 100), orientation)
        self._grey = upright(self._grey, orientation)
        if self._alpha is not None:
            self._alpha = upright(self._alpha, orientation)
        own = self._colours if colour == "colour" else None
        self._colours = None
        return Photo(
            self._grey,
            self._alpha,
            self._depth,
            thumbnail,
            colour,
            metadata,
            missing,
            None if own is None else upright(own, orientation),
        )


def _as_depth(alpha: Pixels, depth: Depth) -> Pixels:
    return alpha if alpha.dtype == depth else alpha.astype(np.uint16) * np.uint16(257)
