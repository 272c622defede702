"""What faded prints cost, and what the network's look at them (levels stretched) brings back.

    python -m benchmarks.fades photos/val --photos 60

Each photo is turned grey, its codes are squeezed to a range as old prints fade, and the network's
chroma for it, at its own size, is held against the photo's true one.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chromaserve.color.lab import lab_to_srgb, srgb_to_L, srgb_to_lab
from chromaserve.color.look import network_look
from chromaserve.engines.choose import load_engines
from chromaserve.settings import PipelineSettings
from chromaserve.store.contract import NETWORK_SIZE
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore

Float = NDArray[np.float32]
RANGES = ((0, 255), (40, 215), (70, 190), (100, 180))


def faded(L: Float, dark: int, light: int) -> Float:
    """Lightness [H, W] as a grey print with codes from dark to light has it."""
    grey = lab_to_srgb(L, np.zeros((*L.shape, 2), np.float32))[..., 0]
    codes = np.rint(dark + np.asarray(grey, np.float32) * (light - dark) / 255)
    return srgb_to_L(codes.astype(np.uint8))


def chroma(ab: Float) -> float:
    """Mean chroma, Lab units."""
    return float(np.hypot(ab[..., 0], ab[..., 1]).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=60, help="how many, by position")
    parser.add_argument("--model-root", type=Path, default=BUNDLED_ROOT)
    options = parser.parse_args()
    model = ModelStore(options.model_root).resolve("latest")
    (engine, *_) = load_engines(model, PipelineSettings())
    files = sorted(path for path in options.folder.iterdir() if path.is_file())
    files = files[:: max(1, len(files) // options.photos)]
    settings = (0.0, model.description.default_vividness)
    gains: dict[tuple[float, tuple[int, int], bool], list[float]] = defaultdict(list)
    ratios: dict[tuple[float, tuple[int, int], bool], list[float]] = defaultdict(list)
    for path in files:
        with Image.open(path) as image:
            photo = np.asarray(
                image.convert("RGB").resize((NETWORK_SIZE,) * 2, Image.Resampling.BOX)
            )
        L, ab = srgb_to_lab(photo)
        grey = float((ab**2).mean())
        for codes in RANGES:
            plain = faded(L, *codes)
            for stretched in (False, True):
                seen = network_look(plain) if stretched else plain
                batch = np.stack([seen] * len(settings))[..., None]
                for vividness, answer in zip(
                    settings, engine.infer(batch, np.asarray(settings, np.float32)), strict=True
                ):
                    key = vividness, codes, stretched
                    gains[key].append(10 * np.log10(grey / float(((answer - ab) ** 2).mean())))
                    ratios[key].append(chroma(answer) / max(chroma(ab), 1.0))
    print(f"Model {model.version}, {len(files)} photos of {options.folder.name}, gain in ab over")
    print("grey in dB (mean), and chroma by the truth's (median).\n")
    print("| vividness | codes | as it is | | levels stretched | |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for vividness in settings:
        for codes in RANGES:
            cells = []
            for stretched in (False, True):
                key = vividness, codes, stretched
                cells += [f"{np.mean(gains[key]):+.2f}", f"{np.median(ratios[key]):.2f}"]
            print(f"| {vividness:g} | {codes[0]} to {codes[1]} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
