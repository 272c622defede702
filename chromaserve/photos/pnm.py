"""Pixels of binary PNM: Pillow scales what is not 255 or 65535 at a pixel a step of Python."""

from typing import cast

import numpy as np

from chromaserve.photos.foreign import pnm_head, pnm_row
from chromaserve.photos.photo import Pixels
from chromaserve.photos.structure import Unreadable


class Pnm:
    """A file's pixels, by rows."""

    def __init__(self, data: bytes) -> None:
        """Raise Unreadable where it is not whole."""
        kind, self.columns, self.rows, self._most, at = pnm_head(data)
        self._bits, self.channels = kind == 4, 3 if kind == 6 else 1
        depth = 2 if self._most > 255 else 1
        row = pnm_row(kind, self.columns, self._most)
        if len(data) - at < row * self.rows:
            raise Unreadable
        samples = np.frombuffer(
            data, ">u2" if depth == 2 else np.uint8, row * self.rows // depth, at
        )
        self._samples = samples.reshape(self.rows, -1)

    def strips(self, start: int, stop: int) -> tuple[Pixels, None]:
        """Grey [n, W] or colours [n, W, 3]."""
        part = self._samples[start:stop]
        if self._bits:  # 1 is black
            bits = np.unpackbits(part, axis=1)[:, : self.columns]
            return 255 - 255 * bits, None
        full = 65535 if self._most > 255 else 255
        kind = np.uint16 if full > 255 else np.uint8
        if self._most != full:
            scale = np.float32(full / self._most)
            made = np.minimum(part * scale + np.float32(0.5), full).astype(kind)
        else:
            made = np.ascontiguousarray(part, kind)
        shape = (len(part), self.columns, 3)[: 3 if self.channels == 3 else 2]
        return cast(Pixels, made.reshape(shape)), None
