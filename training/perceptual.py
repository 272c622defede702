"""LPIPS, a distance of pictures in deep features, where the `evaluate` extra is installed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.network import BGR_MEAN, BLOCKS

Image = NDArray[np.uint8]
SIDE = 256  # pixels: larger photos are reduced to it
_LEAST = 16  # pixels that four poolings need


@dataclass(frozen=True)
class Perceptual:
    """A distance under the name of its column: "lpips", or "lpips_uncalibrated".

    distances: (truth, pictures) -> a distance each: uint8 sRGB [H, W, 3] of one size; 0 for equal
    pictures.
    """

    name: str
    distances: Callable[[Image, list[Image]], list[float]]


class UnavailableError(Exception):
    """LPIPS can't be measured here; the message says why and what to do."""


def load_perceptual(weights: Path | None) -> Perceptual:
    """LPIPS on VGG16 (Zhang et al. 2018, eq. 1), by the authors' package, on the CPU.

    The backbone's weights come from a file, by its suffix:

    - .npz: the Visual Geometry Group's own (keys block1_conv1/kernel [h, w, in, out] and
      block1_conv1/bias and so on; BGR, 0 to 255, less the mean). The paper's linear weights were
      calibrated for the channels of torchvision's VGG16, a network trained anew, and mean nothing
      for these; so every channel weighs 1: the paper's uncalibrated distance, on a scale of its
      own. Compare it within one evaluation or between evaluations, not with published LPIPS; its
      column is "lpips_uncalibrated".
    - .pth: torchvision's state dict of vgg16 (vgg16-397923af.pth), with the calibrated linear
      weights: the published LPIPS.

    Photos with a side over 256 pixels are reduced to it by area means first: LPIPS was
    calibrated on patches of 64, and colour has no finer detail.

    Raises UnavailableError without weights, or where lpips or torch can't be imported.
    """
    if weights is None:
        raise UnavailableError("name VGG16's weights by --lpips-weights FILE")
    try:
        import lpips
        import torch
    except ImportError as e:
        name = e.name or "lpips"
        raise UnavailableError(
            f"{name} can't be imported: pip install 'chromaserve[evaluate]'"
        ) from None
    except (RuntimeError, OSError) as e:
        # What torchvision raises beside a torch that it wasn't built for.
        raise UnavailableError(
            f"lpips can't be imported ({e}): install torch and torchvision of one release, from "
            "one index"
        ) from None
    original = weights.suffix == ".npz"
    # "Random" means that the package fetches no weights; its own are only the linear ones.
    model = lpips.LPIPS(net="vgg", pnet_rand=True, lpips=not original, verbose=False)
    if original:
        model.scaling_layer = _original_scaling()
    _load(model.net, _read_npz(weights) if original else _read_pth(weights))
    model.eval()

    def batch(images: list[Image]) -> Any:  # noqa: ANN401 - a torch.Tensor, where torch is
        small = np.stack([_reduce(image) for image in images])
        return torch.from_numpy(small.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)

    def measure(truth: Image, pictures: list[Image]) -> list[float]:
        with torch.inference_mode():
            # The truth's features are computed once, and broadcast.
            distances = model(batch([truth]), batch(pictures))
        return [float(d) for d in distances.flatten()]

    return Perceptual("lpips_uncalibrated" if original else "lpips", measure)


def _reduce(image: Image) -> Image:
    height, width = image.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = tuple(max(_LEAST, round(scale * n)) for n in (width, height))
    if size == (width, height):
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _original_scaling() -> Any:  # noqa: ANN401 - a torch.nn.Module, where torch is
    """The input of the original VGG16, from RGB in [-1, 1]: BGR in [0, 255] less its mean."""
    import torch

    class Scaling(torch.nn.Module):  # type: ignore[misc]
        def forward(self, rgb: Any) -> Any:  # noqa: ANN401
            mean = torch.tensor(BGR_MEAN).view(1, 3, 1, 1)
            return (rgb.flip(1) + 1) * 127.5 - mean

    return Scaling()


Weights = list[tuple[NDArray[np.float32], NDArray[np.float32]]]


def _read_npz(path: Path) -> Weights:
    """Kernels [out, in, h, w] and biases of the 13 convolutions, in order."""
    names = [f"block{b}_conv{c}" for b, (n, _) in enumerate(BLOCKS, 1) for c in range(1, n + 1)]
    try:
        with np.load(path) as arrays:
            return [
                (arrays[f"{name}/kernel"].transpose(3, 2, 0, 1), arrays[f"{name}/bias"])
                for name in names
            ]
    except (OSError, KeyError, ValueError) as e:
        raise UnavailableError(f"{path} doesn't hold VGG16's weights: {e}") from None


def _read_pth(path: Path) -> Weights:
    """The same of torchvision's state dict."""
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
