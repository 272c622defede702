"""LPIPS, a distance of pictures in deep features, where the `evaluate` extra is installed.

PyTorch runs in a process of its own: in one process, its CUDA builds' Triton and TensorFlow end
each other by a segmentation fault. Nothing here may import TensorFlow.
"""

import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
SIDE = 256  # pixels: larger photos are reduced to it
_LEAST = 16  # pixels that four poolings need


Perceptual = Callable[[Image, list[Image]], list[float]]
"""(truth, pictures) -> a distance each: uint8 sRGB [H, W, 3] of one size; 0 for equal pictures."""


class UnavailableError(Exception):
    """LPIPS can't be measured here; the message says why and what to do."""


def load_perceptual(weights: Path | None) -> Perceptual:
    """LPIPS on VGG16 (Zhang et al. 2018, eq. 1), by the authors' package, on the CPU.

    weights: torchvision's state dict of vgg16, vgg16-397923af.pth.
    Photos with a side over 256 pixels are reduced to it by area means first: LPIPS was
    calibrated on patches of 64, and colour has no finer detail.

    Raises UnavailableError without weights, or where lpips or torch can't be imported.
    """
    if weights is None:
        raise UnavailableError("name VGG16's weights by --lpips-weights FILE")
    for package in ("lpips", "torch", "torchvision"):
        if find_spec(package) is None:
            raise UnavailableError(f"no {package} here: pip install 'chromaserve[evaluate]'")
    worker = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    try:
        worker.submit(_warm, weights).result()
    except BrokenProcessPool:
        raise UnavailableError("its process ended while loading PyTorch") from None

    def distances(truth: Image, pictures: list[Image]) -> list[float]:
        small = [_reduce(image) for image in (truth, *pictures)]
        return worker.submit(_distances, weights, np.stack(small)).result()

    return distances


def _reduce(image: Image) -> Image:
    height, width = image.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = tuple(max(_LEAST, round(scale * n)) for n in (width, height))
    if size == (width, height):
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


@cache
def _model(weights: Path) -> Callable[[Image], list[float]]:
    """In the worker: the distances of pictures [1 + N, H, W, 3] from the first of them."""
    try:
        import lpips
        import torch
    except (ImportError, RuntimeError, OSError) as e:
        # RuntimeError is what torchvision raises beside a torch that it wasn't built for.
        raise UnavailableError(
            f"lpips can't be imported ({e}): torch and torchvision must be of one release, from "
            "one index"
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # lpips calls torchvision the old way
        # "Random" means that the package fetches no weights; its own are only the linear ones.
        model = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False)
    _load(model.net, _read(weights))
    model.eval()

    def measure(images: Image) -> list[float]:
        pixels = images.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
        with torch.inference_mode():
            batch = torch.from_numpy(pixels)
            # The truth's features are computed once, and broadcast.
            return [float(d) for d in model(batch[:1], batch[1:]).flatten()]

    return measure


def _warm(weights: Path) -> None:
    """In the worker: load the model, so that what is wrong is known before photos are."""
    _model(weights)


def _distances(weights: Path, images: Image) -> list[float]:
    return _model(weights)(images)


Weights = list[tuple[NDArray[np.float32], NDArray[np.float32]]]


def _read(path: Path) -> Weights:
    """Kernels [out, in, h, w] and biases of the 13 convolutions, in order."""
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:  # torch raises many types for a broken file
        reason = str(e).partition("\n")[0]
        raise UnavailableError(f"{path} can't be read by torch: {reason}") from None
    kernels = [n for n in state if n.startswith("features.") and n.endswith(".weight")]
    return [
        (state[name].numpy(), state[name.removesuffix("weight") + "bias"].numpy())
        for name in kernels
    ]


def _load(backbone: Any, weights: Weights) -> None:  # noqa: ANN401 - a torch.nn.Module
    import torch

    layers = [m for m in backbone.modules() if isinstance(m, torch.nn.Conv2d)]
    if len(layers) != len(weights):
        raise UnavailableError(f"{len(weights)} convolutions in the file, VGG16 has {len(layers)}")
    for layer, (kernel, bias) in zip(layers, weights, strict=True):
        if tuple(layer.weight.shape) != kernel.shape:
            raise UnavailableError(f"a kernel of {kernel.shape}, not {tuple(layer.weight.shape)}")
        layer.weight.data = torch.from_numpy(np.array(kernel, np.float32))
        layer.bias.data = torch.from_numpy(np.array(bias, np.float32))
