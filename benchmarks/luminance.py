"""How far the service moves luminance: |L* out - L* in| over photos, by scikit-image.

    python -m benchmarks.luminance photos/val --photos 50

Each photo is sent as it is and, turned grey, as PNG.
"""

import argparse
import io
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from skimage.color import rgb2lab

from training.data import SUFFIXES, evenly_spaced


def luminance(photo: Image.Image) -> NDArray[np.float64]:
    """L* float64 [H, W] in [0, 100]."""
    return np.asarray(rgb2lab(np.asarray(photo.convert("RGB")))[..., 0])


def difference(http: httpx.Client, sent: bytes) -> NDArray[np.float64]:
    """|L* of the answer - L* of what was sent| a pixel, [H, W]."""
    answer = http.post("/colorize", files={"file": sent})
    answer.raise_for_status()
    before = ImageOps.exif_transpose(Image.open(io.BytesIO(sent)))
    after = Image.open(io.BytesIO(answer.content))
    return np.abs(luminance(after) - luminance(before))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=50, help="how many, evenly spaced by name")
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--vividness", type=float, nargs="+", default=[0.0, 1.0])
    arguments = parser.parse_args()
    files = sorted(f for f in arguments.folder.rglob("*") if f.suffix.lower() in SUFFIXES)
    chosen = [files[i] for i in evenly_spaced(len(files), arguments.photos)]
    for vividness in arguments.vividness:
        with httpx.Client(
            base_url=arguments.url, timeout=120, params={"vividness": vividness}
        ) as http:
            for kind in ("as it is", "grey"):
                means, worst = [], 0.0
                for path in chosen:
                    sent = path.read_bytes()
                    if kind == "grey":
                        buffer = io.BytesIO()
                        ImageOps.exif_transpose(Image.open(path)).convert("L").save(buffer, "PNG")
                        sent = buffer.getvalue()
                    moved = difference(http, sent)
                    means.append(moved.mean())
                    worst = max(worst, float(moved.max()))
                print(f"vividness {vividness:g}, {len(chosen)} photos {kind}: "
                      f"mean |dL*| {np.mean(means):.3f}, max {worst:.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
