"""The contact sheet of an evaluation: grey, output and truth side by side."""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.evaluate import Outcome


def contact_sheet(outcomes: list[Outcome], height: int = 160, pairs: int = 2) -> NDArray[np.uint8]:
    """Lay out grey | output | truth, `pairs` photos a row, each `height` pixels high; RGB."""

    def fit(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        tile = np.full((height, height * 4 // 3, 3), 255, np.uint8)
        h, w = image.shape[:2]
        scale = min(tile.shape[0] / h, tile.shape[1] / w)
        small = cv2.resize(
            image, (max(1, int(w * scale)), max(1, int(h * scale))), interpolation=cv2.INTER_AREA
        )
        top, left = ((tile.shape[i] - small.shape[i]) // 2 for i in (0, 1))
        tile[top : top + small.shape[0], left : left + small.shape[1]] = small
        return tile

    gap = np.full((height, 12, 3), 255, np.uint8)
    cells = [np.hstack([fit(o.grey), fit(o.output), fit(o.truth), gap]) for o in outcomes]
    while len(cells) % pairs:
        cells.append(np.full_like(cells[0], 255))
    lines = [np.hstack(cells[i : i + pairs]) for i in range(0, len(cells), pairs)]
    return np.vstack([np.pad(x, ((0, 6), (0, 0), (0, 0)), constant_values=255) for x in lines])
