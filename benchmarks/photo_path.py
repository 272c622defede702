"""Everything around the network for a 12-megapixel photo: time, CPU time and peak memory.

    python -m benchmarks.photo_path
    python -m benchmarks.photo_path --encoders

The photo is a sample enlarged, with grain from a fixed seed. The yardstick is OpenCV's own
decoding of the same file and its default PNG encoding of the same result. Everything is run in
turn, several times; the tables give medians and, in brackets, the fastest and slowest. Peak memory
is what a process grows by over the same work on a tiny photo, the file's bytes included. With
--encoders, ways of encoding the result as PNG are compared, as far as they are installed.
"""

import argparse
import io
import re
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray
from PIL import Image

from chromaserve.color.lab import srgb_to_lab
from chromaserve.photos import png
from chromaserve.photos.decode import decode
from chromaserve.photos.encode import encode
from chromaserve.photos.header import inspect
from chromaserve.photos.photo import Float, Photo, Striped
from chromaserve.pipeline.recolor import recolor
from chromaserve.store.contract import NETWORK_SIZE, GuidedFilter

SAMPLE = Path(__file__).parents[1] / "samples" / "colour" / "picos-de-europa.jpg"
GUIDED = GuidedFilter(radius=8, eps=1e-4)
KINDS = {
    "RGB JPEG": ("colour", 8, ".jpg"),
    "RGB PNG": ("colour", 8, ".png"),
    "grey JPEG": ("grey", 8, ".jpg"),
    "grey PNG": ("grey", 8, ".png"),
    "RGB PNG, 16 bits": ("colour", 16, ".png"),
    "grey PNG, 16 bits": ("grey", 16, ".png"),
}
Pixels = NDArray[np.uint8] | NDArray[np.uint16]
Times = dict[str, list[tuple[float, float]]]


def made_photo(rows: int, columns: int, bits: int = 8, *, grain: float = 4) -> Pixels:
    """The sample at another size, with grain: blue, green, red [rows, columns, 3]."""
    sample = cv2.imread(str(SAMPLE))
    assert sample is not None
    big = cv2.resize(sample, (columns, rows), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    rng = np.random.default_rng(0)
    big += grain * rng.standard_normal((rows, columns, 1), np.float32)
    big += grain / 2 * rng.standard_normal(big.shape, np.float32)
    if bits == 16:
        return np.clip(big * 257, 0, 65535).astype(np.uint16)
    return np.clip(big, 0, 255).astype(np.uint8)


def photo_file(kind: str, rows: int, columns: int) -> bytes:
    """The photo encoded by OpenCV as one of `KINDS`."""
    colours, bits, suffix = KINDS[kind]
    pixels = made_photo(rows, columns, bits)
    if colours == "grey":
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)  # type: ignore[assignment]
    return cv2.imencode(suffix, pixels)[1].tobytes()


def network_answer() -> Float:
    """The sample's own chroma at the network's size, in the network's place."""
    sample = Image.open(SAMPLE).resize((NETWORK_SIZE, NETWORK_SIZE))
    return srgb_to_lab(np.asarray(sample))[1]


def timed(steps: dict[str, Callable[[], object]], repeats: int) -> Times:
    """Wall and CPU seconds of every step, in turn."""
    times: Times = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            wall, cpu = time.perf_counter(), time.process_time()
            step()
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return times


def said(values: list[float]) -> str:
    """Median (smallest–largest)."""
    return f"{statistics.median(values):.3f} ({min(values):.3f}–{max(values):.3f})"


def added(*steps: list[tuple[float, float]]) -> list[float]:
    """Wall seconds of steps together, run by run."""
    return [sum(wall for wall, _ in run) for run in zip(*steps, strict=True)]


def path_steps(data: bytes, ab: Float) -> dict[str, Callable[[], object]]:
    """OpenCV's and our own ways through one photo."""
    header = inspect(data, max_pixels=10**9, max_side=10**6)
    photo: Photo = decode(data, header)
    file = np.frombuffer(data, np.uint8)

    def colours() -> Striped:
        return recolor(photo, ab, "guided", GUIDED)

    result = cv2.imdecode(np.frombuffer(encode(colours(), "png"), np.uint8), cv2.IMREAD_UNCHANGED)
    assert result is not None
    return {
        "OpenCV decode": lambda: cv2.imdecode(file, cv2.IMREAD_UNCHANGED),
        "decode": lambda: decode(data, header),
        "colour, without encoding": lambda: colours().each(lambda start, _: start, lambda _: None),
        "OpenCV encode": lambda: cv2.imencode(".png", result),
        "colour and encode": lambda: encode(colours(), "png"),
    }


def peak(kind: str, rows: int, columns: int) -> float:
    """Peak memory in bytes a pixel, measured in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        for name, size in (("small", (64, 64)), ("large", (rows, columns))):
            (Path(folder) / name).write_bytes(photo_file(kind, *size))
        command = [sys.executable, "-m", "benchmarks.photo_path", "--peak-of", folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout) / (rows * columns)


def print_peak(folder: Path) -> None:
    """For `peak`: by how many bytes this process grows."""
    ab, peaks = network_answer(), []
    for name in ("small", "large"):
        data = (folder / name).read_bytes()
        header = inspect(data, max_pixels=10**9, max_side=10**6)
        photo = decode(data, header)
        del data
        encode(recolor(photo, ab, "guided", GUIDED), "png")
        status = Path("/proc/self/status").read_text()
        peaks.append(1024 * int(re.findall(r"VmHWM:\s+(\d+)", status)[0]))
    print(peaks[1] - peaks[0])


def print_path(kinds: list[str], rows: int, columns: int, repeats: int) -> None:
    """The tables of the photo's way."""
    ab = network_answer()
    for kind in kinds:
        times = timed(path_steps(photo_file(kind, rows, columns), ab), repeats)
        ours = added(times["decode"], times["colour and encode"])
        theirs = added(times["OpenCV decode"], times["OpenCV encode"])
        print(f"\n{kind}\n\n| step | wall (s) | CPU (s) |\n| --- | --- | --- |")
        for name, each in times.items():
            print(f"| {name} | {said([t[0] for t in each])} | {said([t[1] for t in each])} |")
        ratios = [mine / theirs[i] for i, mine in enumerate(ours)]
        print(f"\nall but the network: {said(ours)} s, OpenCV: {said(theirs)} s,"
              f" ratio {said(ratios)}, peak {peak(kind, rows, columns):.1f} B/pixel",
              flush=True)  # fmt: skip


def encoders(bgr: NDArray[np.uint8]) -> dict[str, Callable[[], Any]]:
    """Ways of encoding a photo as PNG."""
    rgb = np.ascontiguousarray(bgr[..., ::-1])

    def opencv(*options: int) -> Callable[[], Any]:
        return lambda: cv2.imencode(".png", bgr, options)[1]

    def pillow() -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(rgb).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()

    def ours(compressor: Callable[[], Any]) -> Callable[[], Any]:
        def encode() -> bytes:
            image = Striped(rgb.shape, np.uint8, lambda start, stop: rgb[start:stop])
            with patch.object(png, "_compressor", lambda _: compressor()):
                return png.png(image)

        return encode

    level, strategy = cv2.IMWRITE_PNG_COMPRESSION, cv2.IMWRITE_PNG_STRATEGY
    ways: dict[str, Callable[[], Any]] = {
        "OpenCV default": opencv(),
        "OpenCV level 1": opencv(level, 1),
        "OpenCV level 1, run lengths": opencv(level, 1, strategy, cv2.IMWRITE_PNG_STRATEGY_RLE),
        "OpenCV level 1, Huffman only": opencv(
            level, 1, strategy, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY
        ),
        "Pillow level 1": pillow,
        "ours, ISA-L level 0": ours(lambda: isal_zlib.compressobj(0, 8, -15)),
        "ours, ISA-L level 1 (fast)": ours(lambda: isal_zlib.compressobj(1, 8, -15)),
        "ours, ISA-L level 3": ours(lambda: isal_zlib.compressobj(3, 8, -15)),
        "ours, zlib level 1": ours(lambda: zlib.compressobj(1, 8, -15)),
        "ours, zlib level 6": ours(lambda: zlib.compressobj(6, 8, -15)),
        "ours, zlib level 6, filtered (small)": ours(
            lambda: zlib.compressobj(6, zlib.DEFLATED, -15, 9, zlib.Z_FILTERED)
        ),
    }
    if find_spec("zlib_ng"):
        zlib_ng = import_module("zlib_ng.zlib_ng")
        ways["ours, zlib-ng level 1"] = ours(lambda: zlib_ng.compressobj(1, 8, -15))
        ways["ours, zlib-ng level 2"] = ours(lambda: zlib_ng.compressobj(2, 8, -15))
        ways["ours, zlib-ng level 6"] = ours(lambda: zlib_ng.compressobj(6, 8, -15))
    if find_spec("imagecodecs"):
        imagecodecs = import_module("imagecodecs")
        ways["imagecodecs level 1"] = lambda: imagecodecs.png_encode(rgb, level=1)
    if find_spec("fpng"):
        fpng = import_module("fpng")
        ways["fpng"] = lambda: fpng.from_ndarray(rgb)
    return ways


def print_encoders(rows: int, columns: int, repeats: int) -> None:
    """The table of PNG encoders."""
    for name, grain in (("with grain", 4.0), ("smooth", 0.0)):
        ways = encoders(made_photo(rows, columns, grain=grain))  # type: ignore[arg-type]
        times = timed(ways, repeats)
        print(f"\n{name}\n\n| encoder | wall (s) | CPU (s) | bytes a pixel |")
        print("| --- | --- | --- | --- |")
        for way, each in times.items():
            size = len(ways[way]()) / (rows * columns)
            print(f"| {way} | {said([t[0] for t in each])} | {said([t[1] for t in each])}"
                  f" | {size:.2f} |", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--columns", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--encoders", action="store_true", help="compare PNG encoders instead")
    parser.add_argument("--peak-of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak_of:
        print_peak(options.peak_of)
    elif options.encoders:
        print_encoders(options.rows, options.columns, options.repeats)
    else:
        print_path(options.kinds, options.rows, options.columns, options.repeats)


if __name__ == "__main__":
    main()
