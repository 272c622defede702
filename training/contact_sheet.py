"""Contact sheets: photos as users get them, side by side."""

import cv2
import numpy as np
from numpy.typing import NDArray

from .evaluate import Outcome

Image = NDArray[np.uint8]


def contact_sheet(outcomes: list[Outcome], height: int = 160) -> Image:
    """Lay out grey | output | truth, two photos a row, each `height` pixels high; RGB."""
    return sheet([[o.grey, o.output, o.truth] for o in outcomes], height, across=2)


def sheet(groups: list[list[Image]], height: int, across: int) -> Image:
    """Lay out groups of RGB images of any size, `across` groups a row; uint8 [H, W, 3]."""

    def fit(image: Image) -> Image:
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
    cells = [np.hstack([*map(fit, group), gap]) for group in groups]
    while len(cells) % across:
        cells.append(np.full_like(cells[0], 255))
    lines = [np.hstack(cells[i : i + across]) for i in range(0, len(cells), across)]
    return np.vstack([np.pad(x, ((0, 6), (0, 0), (0, 0)), constant_values=255) for x in lines])
