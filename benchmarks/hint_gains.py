"""How near a clip's colours come to the true ones by a hint, what else it changes, and flicker."""

from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.true_clips import RGB, Clip, Mask
from chromaserve.color.lab import srgb_to_lab
from training.metrics import psnr


@dataclass(frozen=True)
class Measured:
    """Of one way to colour a clip."""

    gain_db: float
    error: float
    elsewhere: float
    changed: float
    kept: float
    flicker: float


def measured(clip: Clip, made: list[RGB], plain: list[RGB], hinted: int) -> Measured:
    """Figures of a way beside no hint."""
    rows: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        rows.setdefault(name, []).append(value)

    chroma = [srgb_to_lab(rgb)[1] for rgb in made]
    film = not any(mask.any() for mask in clip.things)
    whole = max(int(mask.sum()) for mask in clip.things)
    for t, (rgb, before, truth, thing) in enumerate(
        zip(made, plain, clip.colours, clip.things, strict=True)
    ):
        if t == hinted:
            continue
        _, true_ab = srgb_to_lab(truth)
        off = np.hypot(*np.moveaxis(chroma[t] - true_ab, 2, 0))
        if film or thing.sum() > 0.6 * whole:
            around = np.ones(off.shape, bool) if film else _around(thing)
            gain = psnr(rgb[around][None], truth[around][None]) - psnr(
                before[around][None], truth[around][None]
            )
            add("gain", gain)
            add("error", float(off[around if film else thing].mean()))
            add("elsewhere", 0.0 if film else float(off[~thing].mean()))
        elif not thing.any():
            _, ab = srgb_to_lab(before)
            add("changed", float(np.hypot(*np.moveaxis(chroma[t] - ab, 2, 0)).mean()))
            add("kept", float(np.array_equal(rgb, before)))
    for t in range(1, clip.cut):
        if film or (clip.things[t].sum() > 0.6 * whole and clip.things[t - 1].sum() > 0.6 * whole):
            (x, y), (x_before, y_before) = clip.steps[t], clip.steps[t - 1]
            shift = np.array([[1, 0, x - x_before], [0, 1, y - y_before]], float)
            past = cv2.warpAffine(chroma[t - 1], shift, rgb.shape[1::-1])
            core = cv2.erode(clip.things[t].astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
            step = np.hypot(*np.moveaxis(chroma[t] - past, 2, 0))
            add("flicker", float((step if film else step[core]).mean()))
    told = {name: float(np.mean(values)) for name, values in rows.items()}
    return Measured(
        told["gain"], told["error"], told["elsewhere"],
        told.get("changed", 0.0), told.get("kept", 1.0), told["flicker"],
    )  # fmt: skip


def _around(thing: Mask) -> Mask:
    return cv2.dilate(thing.astype(np.uint8), np.ones((31, 31), np.uint8)) > 0
