"""Decoding of untrusted bytes to a photo's lightness and alpha."""

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.color.lab import srgb_to_L
from chromaserve.color.toned import SAMPLE, judge
from chromaserve.photos.metadata import NOTHING, Metadata
from chromaserve.photos.photo import Depth, Header, Photo, Pixels, empty, strips, upright
from chromaserve.photos.pixels import Source, open_source
from chromaserve.photos.profiles import SRGB, Profile
from chromaserve.photos.thumbnail import Thumbnail
from chromaserve.store.contract import NETWORK_SIZE


def decode(
    data: bytes, header: Header, *, accept_damage: bool = False, keep_colours: bool = False
) -> Photo:
    """Decode a photo whose header `inspect` has passed: one page, upright, sRGB lightness.

    Beside what the decoder itself holds, only a photo's grey and alpha are kept at full size.

    Args:
        data: the file.
        header: of it.
        accept_damage: whether a photo is taken of which pixels are missing.
        keep_colours: whether a photo that has colours is to keep them.

    Raises:
        DamagedPhoto: the file is truncated or corrupt.
        UnsupportedSamples: a kind of pixel that cannot be converted.
    """
    source = open_source(data, header, accept_damage=accept_damage)
    try:
        planes = Planes(source.rows, source.columns, depth_of(header), keep_colours=keep_colours)
        planes.fill(source)
        metadata = source.metadata
    finally:
        source.close()
    return planes.photo(
        1 if source.is_upright else metadata.orientation, metadata, source.missing()
    )


def depth_of(header: Header) -> Depth:
    """The depth of the colours to make."""
    return np.uint16 if header.bits == 16 else np.uint8


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

    def fill(self, source: Source) -> None:
        """Take the whole photo."""
        for start, stop in strips(*self._shape):
            self.add(start, *source.strips(start, stop), source.profile)

    def add(
        self, start: int, colours: Pixels, alpha: Pixels | None, profile: Profile = SRGB
    ) -> None:
        """Take rows from `start` on: grey [n, W] or colours [n, W, C], and alpha [n, W]."""
        part = slice(start, start + len(colours))
        grey = profile.grey(colours)
        if self._grey is None:
            self._grey = empty(self._shape, grey.dtype.type)
        self._grey[part] = grey
        if alpha is not None:
            self._add_alpha(part, _as_depth(alpha, self._depth))
        if colours.ndim == 3:
            self._small.append(self._sample(colours, profile))
            if self._keeps:
                if self._colours is None:
                    self._colours = empty((*self._shape, 3), self._depth)
                self._colours[part] = profile.srgb(colours)
        self._thumbnail.add(start, srgb_to_L(grey))

    def _add_alpha(self, part: slice, alpha: Pixels) -> None:
        most = np.iinfo(self._depth).max
        if self._alpha is None:
            if not self._keep_alpha and alpha.min() == most:
                return
            self._alpha = empty(self._shape, self._depth)
            self._alpha[: part.start] = most
        self._alpha[part] = alpha

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
