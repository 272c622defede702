"""Clips whose colours are known, made of photos or cut from films; and the truth as a hint."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import HEIGHT, NOISE, WIDTH
from chromaserve.color.lab import lab_to_srgb, srgb_to_lab
from chromaserve.pipeline.hints import AnyHint, Hint, Region

Float = NDArray[np.float32]
RGB = NDArray[np.uint8]
Mask = NDArray[np.bool_]

FRAMES, CUT, HINTED = 44, 38, 18
PIECE = 24  # frames of a film
CHROMA = 40.0  # of a coat
BLUR = 8.0  # pixels: errors of fewer are none that anybody would click


@dataclass(frozen=True)
class Clip:
    """Frames whose colours are known."""

    colours: list[RGB]
    """What they would be in colour, before noise and compression."""
    grey: list[NDArray[np.uint8]]
    things: list[Mask]
    """Where the thing is; nowhere at all in films."""
    steps: list[tuple[int, int]]
    """The thing's middle, x and y."""
    cut: int


def made(photos: Sequence[RGB], seed: int, *, coat: bool) -> Clip:
    """A thing that passes before a scene, and what is seen after: three photos."""
    thing, scene, after = photos
    rng = np.random.default_rng(seed)
    axes = np.array([rng.uniform(50, 85), rng.uniform(75, 120)])
    pan, grow, speed = rng.uniform(-1, 1), rng.uniform(-0.004, 0.008), rng.uniform(19, 23)
    height, hue = rng.uniform(150, 210), rng.uniform(0, 2 * np.pi)
    colours, things, steps = [], [], []
    texture = _window(thing, 0, 0)
    if coat:
        L, _ = srgb_to_lab(texture)
        ab = np.full((*L.shape, 2), CHROMA * np.array([np.cos(hue), np.sin(hue)]), np.float32)
        texture = np.asarray(lab_to_srgb(np.clip(L, 30, 75), ab), np.uint8)
    for t in range(CUT):
        frame = _window(scene, pan * (t - CUT / 2), t)
        size = axes * (1 + grow * (t - HINTED))
        centre = int(speed * (t - 4) - axes[0] / 2), int(height + 10 * np.sin(t / 6))
        mask = np.zeros(frame.shape[:2], np.float32)
        cv2.ellipse(mask, centre, size.astype(int).tolist(), 0, 0, 360, 1.0, -1)
        soft = cv2.GaussianBlur(mask, (0, 0), 1.2)[..., np.newaxis]
        scale = 1 + grow * (t - HINTED)
        matrix = np.array(
            [[scale, 0, centre[0] - scale * WIDTH / 2], [0, scale, centre[1] - scale * HEIGHT / 2]]
        )
        moved = cv2.warpAffine(texture, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
        colours.append(np.rint(soft * moved + (1 - soft) * frame).astype(np.uint8))
        things.append(mask > 0)
        steps.append(centre)
    for t in range(CUT, FRAMES):
        colours.append(_window(after, t - CUT, 0))
        things.append(np.zeros((HEIGHT, WIDTH), bool))
        steps.append((0, 0))
    noise = rng.standard_normal((FRAMES, HEIGHT, WIDTH)).astype(np.float32) * NOISE
    grey = [
        np.clip(_grey(rgb) + n, 0, 255).astype(np.uint8)
        for rgb, n in zip(colours, noise, strict=True)
    ]
    return Clip(colours, grey, things, steps, CUT)


def pieces(film: Path) -> Iterator[Clip]:
    """A film in pieces."""
    reader = imageio_ffmpeg.read_frames(film, pix_fmt="rgb24")
    width, height = next(reader)["size"]
    while len(raw := list(islice(reader, PIECE))) == PIECE:
        colours = [np.frombuffer(each, np.uint8).reshape(height, width, 3) for each in raw]
        nothing = np.zeros((height, width), bool)
        grey = [_grey(rgb) for rgb in colours]
        yield Clip(colours, grey, [nothing] * PIECE, [(0, 0)] * PIECE, PIECE)


def _window(photo: RGB, pan: float, zoom: float) -> RGB:
    rows, columns = photo.shape[:2]
    scale = max(WIDTH / columns, HEIGHT / rows) * 1.15 * (1 + 0.001 * zoom)
    x, y = columns / 2 + pan / scale, rows / 2
    matrix = np.array([[scale, 0, WIDTH / 2 - scale * x], [0, scale, HEIGHT / 2 - scale * y]])
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    view = cv2.warpAffine(
        photo, matrix, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(view, np.uint8)


def _grey(rgb: RGB) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)


def hint_for(clip: Clip, plain: list[RGB], frame: int, *, coat: bool) -> AnyHint:
    """The truth of one frame."""
    _, truth = srgb_to_lab(clip.colours[frame])
    thing = clip.things[frame]
    if coat:
        lines, _ = cv2.findContours(
            cv2.dilate(thing.astype(np.uint8), np.ones((9, 9), np.uint8)),
            cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE,
        )  # fmt: skip
        line = [(float(x), float(y)) for x, y in cv2.approxPolyDP(lines[0], 2, True)[:, 0]]
        colour = _colour(clip.colours[frame], truth, thing)
        return Region(region=tuple(line), color=colour, frame=frame)
    off = np.asarray(srgb_to_lab(plain[frame])[1] - truth, np.float32)
    error = np.hypot(*np.moveaxis(cv2.GaussianBlur(off, (0, 0), BLUR), 2, 0))
    if thing.any():
        error[~cv2.erode(thing.astype(np.uint8), np.ones((25, 25), np.uint8)).astype(bool)] = 0
    row, column = np.unravel_index(int(error.argmax()), error.shape)
    y, x = np.ogrid[: error.shape[0], : error.shape[1]]
    disc = np.hypot(y - row, x - column) <= 0.01 * max(error.shape)
    colour = _colour(clip.colours[frame], truth, disc)
    return Hint(x=float(column) + 0.5, y=float(row) + 0.5, color=colour, frame=frame)


def _colour(rgb: RGB, ab: Float, where: Mask) -> str:
    """The median ab somewhere, at a lightness that has it."""
    middle = np.median(ab[where], axis=0).astype(np.float32).reshape(1, 1, 2)
    L = np.full((1, 1), np.median(srgb_to_lab(rgb)[0][where]), np.float32)
    red, green, blue = np.asarray(lab_to_srgb(L, middle), np.uint8)[0, 0].tolist()
    return f"#{red:02x}{green:02x}{blue:02x}"
