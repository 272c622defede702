"""How much colours flicker from frame to frame, with and without smoothing, and what it costs.

    python -m benchmarks.flicker
    python -m benchmarks.flicker --video clip.mp4 --sheet build/flicker

Without --video, clips are made of sample photos: with a sensor's noise, and through x264, see
`benchmarks.clips`. All figures are of the frames as they come out, in ab, the colour plane of Lab:

- still: mean change from a frame to the next where lightness hardly changes;
- along: the same along the motion, where things move by half a pixel and more;
- off, moved: mean and 99th percentile of how far the colours are from the network's answer for the
  frame before noise and compression, where lightness changes (smoothing that lags or leaves ghosts
  shows here); for --video from the unsmoothed answer, as there is nothing else;
- uncovered: the same, where something has moved away in the last three frames (made clips alone);
- cut: how far the first frame of the second scene is from its unsmoothed answer.

2.3 is about what an eye tells apart in Lab (Mahy, Van Eycken & Oosterlinck 1994). Motion is found
at full size, in the frames before noise where there are any, by another method (Farnebäck 2003)
than the smoothing's own. With --sheet, frames are written side by side: grey, alone, smoothed.

Smoothing is what `chromaserve video` does, from both sides. The last rows of each table are of the
default from one side, as a live picture would need it, and with everything taken for still: what
following the motion brings.
"""

import argparse
import io
import math
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import Clip, Grey, made_clips, read_clip
from chromaserve.color.lab import srgb_to_L, srgb_to_lab
from chromaserve.library.colorizer import Colorizer
from chromaserve.store.contract import NETWORK_SIZE
from chromaserve.video import DEFAULT_SMOOTHING, colorize, colorize_frames, steady

T = TypeVar("T")
Float = NDArray[np.float32]
RGB = NDArray[np.uint8]

WINDOW = 9  # pixels over which a change of lightness is averaged
STILL_L, MOVED_L = 1.0, 4.0
MOVED_PIXELS = 0.5
RECENT = 3  # frames
FEW = 500  # pixels; fewer say nothing
SHEET_COLUMNS = 8
SPEED_BATCHES = 10


@dataclass
class Figures:
    """Lists of one figure a frame, by name."""

    of: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, values: NDArray[np.floating], where: NDArray[np.bool_]) -> None:
        if np.count_nonzero(where) >= FEW:
            self.of.setdefault(name, []).append(float(values[where].mean()))

    def mean(self, name: str) -> str:
        return f"{np.mean(self.of[name]):.2f}" if name in self.of else "–"


@dataclass(frozen=True)
class Scene:
    """What is known of each frame and the one before it, whatever the colours."""

    still: NDArray[np.bool_]
    moved: NDArray[np.bool_]
    uncovered: NDArray[np.bool_]
    followed: NDArray[np.bool_]
    """Moves, and is the same thing."""
    origin: tuple[Float, Float]
    """Where each pixel was in the frame before: columns, rows."""


def colours(colorizer: Colorizer, frames: list[Grey], smoothing: float) -> list[RGB]:
    """The frames coloured as a stream."""
    height, width = frames[0].shape
    source, sink = io.BytesIO(b"".join(frame.tobytes() for frame in frames)), io.BytesIO()
    colorize_frames(
        source, sink, width, height,
        colorizer=colorizer, pixel_format="gray", smoothing=smoothing,
    )  # fmt: skip
    made = np.frombuffer(sink.getbuffer(), np.uint8).reshape(-1, height, width, 3)
    assert len(made) == len(frames)
    return list(made)


def one_way(
    frames: Iterable[tuple[T, steady.Float, steady.Float]], smoothing: float
) -> Iterator[tuple[T, steady.Float]]:
    """As `steadied`, from the past alone."""
    forward = steady.SteadyColours(smoothing)
    for item, L, ab in frames:
        yield item, forward(L, ab)


def scenes(clip: Clip) -> Iterator[Scene]:
    """Of every frame but the first."""
    lightness = [srgb_to_L(frame) for frame in clip.frames]
    seen = clip.clean or clip.frames
    rows, columns = np.mgrid[0 : seen[0].shape[0], 0 : seen[0].shape[1]].astype(np.float32)
    flow = np.zeros((*seen[0].shape, 2), np.float32)
    for t in range(1, len(seen)):
        change = _blurred(lightness[t], lightness[t - 1])
        moves = seen[t] is not seen[t - 1]
        if moves:
            flow = np.asarray(
                cv2.calcOpticalFlowFarneback(seen[t], seen[t - 1], flow, 0.5, 5, 21, 3, 7, 1.5, 0),
                np.float32,
            )
        x, y = columns + flow[..., 0], rows + flow[..., 1]
        before = cv2.remap(srgb_to_L(seen[t - 1]), x, y, cv2.INTER_LINEAR)
        apart = _blurred(srgb_to_L(seen[t]), np.asarray(before, np.float32))
        speed = np.hypot(flow[..., 0], flow[..., 1])
        yield Scene(
            still=change < STILL_L,
            moved=change > MOVED_L,
            uncovered=_uncovered(clip, t),
            followed=moves & (speed > MOVED_PIXELS) & (apart < STILL_L),
            origin=(x, y),
        )


def _uncovered(clip: Clip, t: int) -> NDArray[np.bool_]:
    if clip.covered is None:
        return np.zeros(clip.frames[t].shape, bool)
    recent = np.logical_or.reduce(clip.covered[max(0, t - RECENT) : t])
    return np.asarray(recent & ~clip.covered[t])


def _blurred(L: Float, other: Float) -> Float:
    return np.asarray(cv2.blur(np.abs(L - other), (WINDOW, WINDOW)), np.float32)


def measure(clip: Clip, made: list[RGB], alone: list[RGB], truth: list[RGB] | None) -> Figures:
    """Figures of a coloured clip; `alone` is without smoothing, `truth` without noise."""
    figures = Figures()
    chroma = [srgb_to_lab(frame)[1] for frame in made]
    for t, scene in enumerate(scenes(clip), start=1):
        off = _distance(chroma[t], srgb_to_lab((truth or alone)[t])[1])
        if t == clip.cut:
            everywhere = np.ones(off.shape, bool)
            own = srgb_to_lab(alone[t])[1]
            figures.add("cut", _distance(chroma[t], own), everywhere)
            continue
        step = _distance(chroma[t], chroma[t - 1])
        figures.add("still", step, scene.still)
        before = cv2.remap(chroma[t - 1], *scene.origin, cv2.INTER_LINEAR)
        figures.add("along", _distance(chroma[t], np.asarray(before)), scene.followed)
        for name, where in (("moved", scene.moved), ("uncovered", scene.uncovered)):
            figures.add(name, off, where)
            if np.count_nonzero(where) >= FEW:
                figures.of.setdefault(f"{name} p99", []).append(
                    float(np.percentile(off[where], 99))
                )
    return figures


def _distance(ab: NDArray[np.floating], other: NDArray[np.floating]) -> Float:
    a, b = np.moveaxis(np.asarray(ab - other, np.float32), 2, 0)
    return np.asarray(np.hypot(a, b), np.float32)


def sheet(path: Path, clip: Clip, alone: list[RGB], made: list[RGB]) -> None:
    """Some frames side by side: grey, coloured alone, smoothed; the frames around a cut."""
    count = len(made)
    if clip.cut:
        chosen = range(clip.cut - 2, clip.cut - 2 + SHEET_COLUMNS)
    else:
        chosen = range(count // 4, count, max(1, count // (SHEET_COLUMNS + 3)))
    columns = []
    for t in list(chosen)[:SHEET_COLUMNS]:
        grey = np.repeat(clip.frames[t][:, :, np.newaxis], 3, axis=2)
        columns.append(np.vstack([grey, alone[t], made[t]]))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.hstack(columns)[:, :, ::-1])


SPEED_SIZES = ((640, 360), (1280, 720), (1920, 1080))
COLUMNS = ("still", "along", "moved", "moved p99", "uncovered", "uncovered p99", "cut")


def main() -> None:
    """Print a table for every clip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Formatter)
    parser.add_argument("--video", type=Path, help="a video file, in place of the made clips")
    parser.add_argument("--frames", type=int, default=100, help="of --video")
    parser.add_argument("--speed", action="store_true", help="frames a second alone")
    parser.add_argument("--sheet", type=Path, help="folder for pictures of frames")
    parser.add_argument(
        "--smoothing", type=float, nargs="+", default=[0.0, 0.5, DEFAULT_SMOOTHING, 0.9, 0.95]
    )
    arguments = parser.parse_args()
    if not arguments.speed:
        _quality(arguments)
    if not arguments.video:
        os.environ["CHROMASERVE_CACHE_MB"] = "0"
        with Colorizer() as colorizer:
            _speed(colorizer)


def _quality(arguments: argparse.Namespace) -> None:
    clips = [read_clip(arguments.video, arguments.frames)] if arguments.video else made_clips()
    # The same frames are coloured again and again: the network need not see them anew.
    os.environ["CHROMASERVE_CACHE_MB"] = "512"
    with Colorizer() as colorizer:
        print(f"{colorizer.engine}; ab, smaller is steadier or nearer")
        for clip in clips:
            _report(colorizer, clip, arguments.smoothing, arguments.sheet)


def _report(colorizer: Colorizer, clip: Clip, smoothing: list[float], folder: Path | None) -> None:
    rows, columns = clip.frames[0].shape
    print(f"\n{clip.name}: {len(clip.frames)} frames, {columns} × {rows}\n")
    print(f"| smoothing | {' | '.join(COLUMNS)} |")
    print(f"| --- |{' --- |' * len(COLUMNS)}")
    alone = colours(colorizer, clip.frames, 0)
    truth = colours(colorizer, clip.clean, 0) if clip.clean else None

    def row(name: str, made: list[RGB]) -> None:
        figures = measure(clip, made, alone, truth)
        print(f"| {name} | {' | '.join(figures.mean(each) for each in COLUMNS)} |", flush=True)

    for value in smoothing:
        made = colours(colorizer, clip.frames, value)
        row(f"{value:g}", made)
        if folder and value == DEFAULT_SMOOTHING:
            sheet(folder / f"{clip.name.replace(' ', '-')}.png", clip, alone, made)
    with patch.object(colorize, "steadied", one_way):
        row(f"{DEFAULT_SMOOTHING:g}, one way", colours(colorizer, clip.frames, DEFAULT_SMOOTHING))
    with patch.object(steady, "STILL", math.inf):
        row(f"{DEFAULT_SMOOTHING:g}, no motion", colours(colorizer, clip.frames, DEFAULT_SMOOTHING))


def _speed(colorizer: Colorizer) -> None:
    """Frames a second by size, beside what the network alone does."""
    frames = next(clip for clip in made_clips() if clip.name == "pan and zoom").frames
    print("\n| frames a second | the network alone | smoothing 0 | the default |")
    print("| --- | --- | --- | --- |")
    for size in SPEED_SIZES:
        large = b"".join(cv2.resize(frame, size).tobytes() for frame in frames)
        told = [f"{_network_alone(colorizer):.1f}"]  # just before: other work may be going on
        for smoothing in (0.0, DEFAULT_SMOOTHING):
            with open(os.devnull, "wb") as sink:  # noqa: PTH123 - no file
                report = colorize_frames(
                    io.BytesIO(large), sink, *size,
                    colorizer=colorizer, pixel_format="gray", smoothing=smoothing,
                )  # fmt: skip
            told.append(f"{report.frames_per_second:.1f}")
        print(f"| {size[0]} × {size[1]} | {' | '.join(told)} |", flush=True)


def _network_alone(colorizer: Colorizer) -> float:
    """Frames a second, in full batches."""
    engine = colorizer.background.model.engine
    L = np.full((engine.max_batch, NETWORK_SIZE, NETWORK_SIZE, 1), 50, np.float32)
    start = time.perf_counter()
    for _ in range(SPEED_BATCHES):
        engine.infer(L, np.full(len(L), 0.5, np.float32))
    return SPEED_BATCHES * len(L) / (time.perf_counter() - start)


class _Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    pass


if __name__ == "__main__":
    main()
