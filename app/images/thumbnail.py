"""A photo's lightness at a small size, gathered from strips of rows."""

import cv2
import numpy as np

from app.images.photo import Float
from model_store.contract import squeeze


class Thumbnail:
    """What `squeeze` makes of a plane, for one that is never held as a whole."""

    def __init__(self, rows: int, columns: int, height: int, width: int) -> None:
        """Prepare for a plane of rows × columns, to become height × width."""
        self._size = height, width
        self._means = np.zeros((min(height, rows), columns), np.float32)
        # Edges of the rows of means, in units of the plane's: row i covers [i, i + 1).
        self._edges = np.linspace(0, rows, len(self._means) + 1)

    def add(self, start: int, strip: Float) -> None:
        """Take float32 [n, columns], the plane's rows from `start` on."""
        for i, row in enumerate(strip, start):
            first = int(np.searchsorted(self._edges, i, "right")) - 1
            for k in range(first, len(self._means)):
                top, bottom = self._edges[k], self._edges[k + 1]
                if top >= i + 1:
                    break
                share = (min(bottom, i + 1) - max(top, i)) / (bottom - top)
                cv2.scaleAdd(row, share, self._means[k], dst=self._means[k])

    def finish(self) -> Float:
        """float32 [height, width]: area means along an axis that shrinks, else linear."""
        return squeeze(self._means, *self._size)
