"""Where the time of a film goes: CPU milliseconds a frame of each part, and of the whole.

    python -m benchmarks.film_parts

Parts: reading (decoding and conversion to RGB), lightness, the network in full batches, smoothing,
colours at full size, writing (conversion and x264). The film is a slow pan with sound, see
`benchmarks.films`. CPU time is that of all threads, so that others' work on the machine changes it
little; frames a second are by the clock.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.films import FRAMES, Kind, make
from chromaserve.library.colorizer import Colorizer
from chromaserve.library.colour_options import order_for
from chromaserve.photos.in_memory import read_array
from chromaserve.pipeline.recolor import prepare, recolor
from chromaserve.store.contract import NETWORK_SIZE
from chromaserve.video import colorize_film
from chromaserve.video.container import FilmReader, PartWriter
from chromaserve.video.steady import DEFAULT_SMOOTHING, steadied

T = TypeVar("T")
SIZES = ((640, 360), (1920, 1080))


def main() -> None:
    """Print CPU milliseconds a frame of each part by itself, and of the whole."""
    names = ("reading", "lightness", "network", "smoothing", "colours", "writing", "sum", "whole")
    print(f"| size | {' | '.join(names)} | frames a second |")
    print("| --- |" + " --- |" * 9)
    os.environ["CHROMASERVE_CACHE_MB"] = "0"
    with Colorizer() as colorizer, tempfile.TemporaryDirectory() as name:
        for width, height in SIZES:
            kind = Kind("h264", ".mp4", "-map 0:v -map 1:a -pix_fmt yuv420p -c:a aac",
                        (width, height))  # fmt: skip
            film = make(kind, Path(name))
            each = _each(film, Path(name), colorizer)
            start, used = time.perf_counter(), time.process_time()
            colorize_film(film, Path(name) / "whole.mp4", colorizer=colorizer)
            whole = (time.process_time() - used) / FRAMES
            speed = FRAMES / (time.perf_counter() - start)
            told = [*each, sum(each), whole]
            cells = " | ".join(f"{1000 * seconds:.0f}" for seconds in told)
            print(f"| {width} × {height} | {cells} | {speed:.1f} |", flush=True)


def _each(film: Path, folder: Path, colorizer: Colorizer) -> list[float]:
    """CPU seconds a frame of the parts, one after the other."""
    model = colorizer.background.model
    order = order_for(model, "png", {})
    seconds: list[float] = []

    def timed(work: Callable[[], T]) -> T:
        start = time.process_time()
        made = work()
        seconds.append((time.process_time() - start) / FRAMES)
        return made

    reader = FilmReader(film)
    frames = timed(lambda: list(reader.frames()))
    photos = timed(lambda: [read_array(frame) for _, frame in frames])
    L = np.stack([prepare(photo) for photo in photos])
    size = model.engine.max_batch
    full = np.resize(L, (size, NETWORK_SIZE, NETWORK_SIZE, 1))
    batches = -(-FRAMES // size)
    vividness = np.full(size, order.vividness, np.float32)
    timed(lambda: [model.engine.infer(full, vividness) for _ in range(batches)])
    seconds[-1] *= FRAMES / (batches * size)
    ab = np.zeros((NETWORK_SIZE, NETWORK_SIZE, 2), np.float32)
    given = [(photo, photo.thumbnail, ab) for photo in photos]
    steady = timed(lambda: list(steadied(given, DEFAULT_SMOOTHING)))
    filter_ = model.description.guided_filter
    made = timed(
        lambda: [
            recolor(photo, each, order.postprocess, filter_).pixels() for photo, each in steady
        ]
    )
    writer = PartWriter(folder / "film.part", reader, "h264")

    def write() -> None:
        for (pts, _), pixels in zip(frames, made, strict=True):
            writer.write(pts, pixels)
        writer.close()

    timed(write)
    reader.close()
    return seconds


if __name__ == "__main__":
    main()
