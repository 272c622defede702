"""A photo's lightness at a small size, gathered from strips of rows."""

from collections.abc import Iterator

import cv2
import numpy as np

from chromaserve.photos.photo import Float
from chromaserve.store.contract import squeeze

Sum = tuple[int | slice, float, Float]
"""Where among the rows of means, the weight, and the sum of rows."""


class Thumbnail:
    """What `squeeze` makes of a plane, for one that is never held as a whole."""

    def __init__(self, rows: int, columns: int, height: int, width: int) -> None:
        """Prepare for a plane of rows × columns, to become height × width."""
        self._size = height, width
        self._rows = rows
        self._means = np.zeros((min(height, rows), columns), np.float32)
        # Edges of the rows of means, in units of the plane's: row i covers [i, i + 1).
        self._edges = np.linspace(0, rows, len(self._means) + 1)

    def sums(self, start: int, strip: Float) -> list[Sum]:
        """What float32 [n, columns], the plane's rows from `start` on, add, for `put`.

        On any thread, as nothing is changed.
        """
        rows, columns = strip.shape
        if rows == self._rows:
            return [(slice(None), 1.0, squeeze(strip, len(self._means), columns))]
        sums: list[Sum] = []
        stop = start + rows
        k = int(np.searchsorted(self._edges, start, "right")) - 1
        while k < len(self._means) and self._edges[k] < stop:
            top, bottom = max(self._edges[k], start), min(self._edges[k + 1], stop)
            share = 1 / (self._edges[k + 1] - self._edges[k])
            # Whole rows are added up, of the first and the last one a part.
            for i, part in _parts(top - start, bottom - start):
                row = strip[i] if isinstance(i, int) else cv2.reduce(strip[i], 0, cv2.REDUCE_SUM)[0]
                sums.append((k, part * share, row))
            k += 1
        return sums

    def put(self, sums: list[Sum]) -> None:
        """Add what `sums` gave for the next rows: from the top, as float32 rounds."""
        for k, share, row in sums:
            cv2.scaleAdd(row, share, self._means[k], dst=self._means[k])

    def finish(self) -> Float:
        """float32 [height, width]: area means along an axis that shrinks, else linear."""
        return squeeze(self._means, *self._size)


def _parts(top: float, bottom: float) -> Iterator[tuple[int | slice, float]]:
    """The rows between two heights, one or several, and how much of each."""
    first, last = int(np.ceil(top)), int(np.floor(bottom))
    if first > last:  # within one row
        yield last, bottom - top
        return
    if top < first:
        yield first - 1, first - top
    if last > first:
        yield slice(first, last), 1.0
    if bottom > last:
        yield last, bottom - last
