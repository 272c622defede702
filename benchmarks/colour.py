"""Colour arithmetic on a 12-megapixel photo with grain, as a share of OpenCV's coding of it.

Run: python -m benchmarks.colour

The yardstick is OpenCV's decoding of the photo's JPEG and encoding of its PNG in the same run, so
that the ratios can be compared between machines. Times are the medians of a few runs in turn.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.color.lab import lab_to_srgb, srgb_to_L, srgb_to_lab
from chromaserve.color.upsampling import upsample_ab
from chromaserve.store.contract import network_input


def grainy_photo(rows: int, columns: int) -> NDArray[np.uint8]:
    """Soft shapes of colour with a camera's grain: red, green, blue [rows, columns, 3]."""
    rng = np.random.default_rng(0)
    shapes = rng.uniform(20, 235, (12, 16, 3)).astype(np.float32)
    photo = np.asarray(cv2.resize(shapes, (columns, rows), interpolation=cv2.INTER_CUBIC))
    photo += rng.normal(0, 4, (rows, columns, 1)).astype(np.float32)
    photo += rng.normal(0, 2, photo.shape).astype(np.float32)
    return np.asarray(np.clip(photo, 0, 255), np.uint8)


def steps(photo: NDArray[np.uint8]) -> tuple[list[str], dict[str, Callable[[], object]]]:
    """Names of the yardstick's steps, and every step by name."""
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.uint8)
    jpeg = cv2.imencode(".jpg", photo)[1]
    L, ab = srgb_to_lab(photo)
    faint = 0.3 * ab
    wild = 2 * ab
    small = np.ascontiguousarray(cv2.resize(ab, (224, 224)), np.float32)
    edge = np.where(srgb_to_L(grey) > 50, np.float32(100), np.float32(0))
    yardstick: dict[str, Callable[[], object]] = {
        "decode JPEG (OpenCV)": lambda: cv2.imdecode(jpeg, cv2.IMREAD_COLOR),
        "encode PNG (OpenCV)": lambda: cv2.imencode(".png", photo),
    }
    ours: dict[str, Callable[[], object]] = {
        "srgb_to_L, grey": lambda: srgb_to_L(grey),
        "srgb_to_L, colour": lambda: srgb_to_L(photo),
        "srgb_to_lab": lambda: srgb_to_lab(photo),
        "network_input": lambda: network_input(L),
        "upsample_ab, radius 8": lambda: upsample_ab(small, L, radius=8, eps=1e-3),
        f"lab_to_srgb, {_outside(L, faint):.0%} out of gamut": lambda: lab_to_srgb(L, faint),
        f"lab_to_srgb, {_outside(L, wild):.0%} out of gamut": lambda: lab_to_srgb(L, wild),
        f"lab_to_srgb, black and white, {_outside(edge, faint):.0%}": lambda: lab_to_srgb(
            edge, faint
        ),
        "lab_to_srgb, 16 bits": lambda: lab_to_srgb(L, faint, np.uint16),
    }
    return list(yardstick), yardstick | ours


def _outside(L: NDArray[np.float32], ab: NDArray[np.float32]) -> float:
    """Share of colours that lose chroma on the way to 16 bits, from every 37th pixel."""
    L, ab = L.reshape(1, -1)[:, ::37], ab.reshape(1, -1, 2)[:, ::37]
    back = srgb_to_lab(lab_to_srgb(L, ab, np.uint16))[1]
    return float(np.mean(np.abs(back - ab).max(axis=-1) > 0.2))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--columns", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="OpenCV's threads")
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    yardstick, timed = steps(grainy_photo(options.rows, options.columns))
    times: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(options.repeats):
        for name, step in timed.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    whole = sum(medians[name] for name in yardstick)
    megapixels = options.rows * options.columns / 1e6
    print(f"{megapixels:.1f} megapixels, OpenCV {cv2.__version__}, {options.threads} thread(s)\n")
    print("| step | time (s) | share of decode + encode |\n| --- | --- | --- |")
    for name, seconds in medians.items():
        print(f"| {name} | {seconds:.3f} | {seconds / whole:.2f} |")


if __name__ == "__main__":
    main()
