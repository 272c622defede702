"""`chromaserve benchmark`: how many photos a second this machine colorizes."""

import json
import time
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from chromaserve.command_line.exits import Complaint, complaints, tell_warnings
from chromaserve.command_line.shared_options import Json

if TYPE_CHECKING:
    from chromaserve.library.colorizer import Colorizer

SIZES = {"256 × 256": (256, 256), "1 MP": (1155, 866), "12 MP": (4000, 3000)}
_QUALITY = 90


def benchmark(
    photo: Annotated[
        Path | None, typer.Option(help="To resize; by default clouds of noise, like a photo's.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of each measurement.")] = 10,
    as_json: Json = False,
) -> None:
    """Measure this machine: grey JPEGs in memory to colour PNGs, and the model alone."""
    with complaints():
        tell_warnings()
        from chromaserve.library.colorizer import Colorizer

        jpegs = [_jpeg(photo, *size) for size in SIZES.values()]
        start = time.perf_counter()
        with Colorizer(cache_mb=0) as colorizer:
            told: dict[str, Any] = {
                "engine": colorizer.engine,
                "model": colorizer.model_version,
                "load_s": round(time.perf_counter() - start, 2),
                "model_alone_per_s": round(_alone(colorizer, seconds), 2),
                "sizes": [
                    {"width": width, "height": height} | _path(colorizer, jpeg, seconds)
                    for (width, height), jpeg in zip(SIZES.values(), jpegs, strict=True)
                ],
            }
        if as_json:
            print(json.dumps(told, indent=2))
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("photos", "photos/s", "one alone, s"):
            table.add_column(column, justify="right" if column != "photos" else "left")
        for name, row in zip(SIZES, told["sizes"], strict=True):
            table.add_row(name, f"{row['per_s']:.2f}", f"{row['one_s']:.3f}")
        table.add_row("model alone", f"{told['model_alone_per_s']:.2f}", "")
        console = Console(highlight=False)
        console.print(f"{told['engine']}, model {told['model']}, loaded in {told['load_s']:.1f} s")
        console.print(table)


def _alone(colorizer: "Colorizer", seconds: float) -> float:
    """Photos a second of the engine at its busiest, nothing else at work."""
    from chromaserve.engines.throughput import throughput

    return throughput(colorizer.background.model.engine, seconds)


def _path(colorizer: "Colorizer", jpeg: bytes, seconds: float) -> dict[str, float]:
    """Photos a second of many, and the seconds that one takes alone."""
    alone = 1 / _repeat(lambda: colorizer.colorize(jpeg), min(seconds, 3))
    count = max(1, round(seconds / alone))
    start = time.perf_counter()
    for _ in colorizer.colorize_many(repeat(jpeg, count)):
        pass
    return {
        "per_s": round(count / (time.perf_counter() - start), 2),
        "one_s": round(alone, 3),
    }


def _repeat(work: Callable[[], object], seconds: float) -> float:
    """Times a second, after once that does not count."""
    work()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        work()
        count += 1
    return count / (time.perf_counter() - start)


def _jpeg(photo: Path | None, width: int, height: int) -> bytes:
    from io import BytesIO

    import numpy as np
    from PIL import Image

    if photo:
        try:
            with Image.open(photo) as image:
                grey = image.convert("L").resize((width, height))
        except OSError as error:
            raise Complaint(f"{photo} cannot be read: {error}") from error
    else:
        # Amplitudes fall as 1/f in photos of nature (Field 1987).
        fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
        falling = 1 / np.maximum(np.hypot(fy, fx), 1 / max(width, height))
        noise = np.fft.rfft2(np.random.default_rng(1).normal(size=(height, width)))
        clouds = np.fft.irfft2(noise * falling, (height, width))
        clouds = 128 + 48 * (clouds - clouds.mean()) / clouds.std()
        grey = Image.fromarray(np.clip(clouds, 0, 255).astype(np.uint8))
    file = BytesIO()
    grey.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
