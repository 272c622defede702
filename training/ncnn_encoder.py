"""The frozen encoder on ncnn: the same taps, by Winograd convolution, for CPUs."""

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .config import TAP_NAMES, Decoder
from .conversion.ncnn_network import Layer, written
from .vgg import BGR_MEAN, BLOCKS, frozen_taps, pool_factors

if TYPE_CHECKING:  # worker processes, which have the encoder, need no Keras
    import keras

    from .model import ColorizationModel


class NcnnEncoder:
    """VGG16's convolutions with taps as outputs, pooled as a decoder takes them; one thread."""

    def __init__(
        self,
        weights: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]],
        taps: tuple[str, ...] = TAP_NAMES,
        decoder: Decoder = Decoder(),  # noqa: B008
    ) -> None:
        """weights: layer name -> kernel [3, 3, in, out], bias [out]. taps: the first ones, or all.

        decoder: whose sizes the taps have. `digest` tells encoders apart.
        """
        self._taps = taps
        self._files = _network(weights, len(taps), pool_factors(decoder))
        lines, blob = self._files
        self.digest = hashlib.sha256(lines.encode() + blob).hexdigest()[:12]
        self._load()

    def _load(self) -> None:
        import ncnn

        self._mat, self._net = ncnn.Mat, ncnn.Net()
        self._net.opt.num_threads = 1
        for half in ("fp16_storage", "fp16_arithmetic", "fp16_packed", "bf16_storage"):
            setattr(self._net.opt, f"use_{half}", False)
        with tempfile.TemporaryDirectory() as folder:
            param, binary = Path(folder, "vgg.param"), Path(folder, "vgg.bin")
            param.write_text(self._files[0])
            binary.write_bytes(self._files[1])
            self._net.load_param(str(param))
            self._net.load_model(str(binary))

    def __getstate__(self) -> dict[str, object]:
        """What goes to a worker process: the files, not the network loaded from them."""
        return {name: v for name, v in vars(self).items() if name not in ("_mat", "_net")}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._load()

    def __call__(self, L: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """L float32 [side, side, 1] in [0, 100] -> pooled taps, each float32 [h, w, C]."""
        mean = np.asarray(BGR_MEAN, np.float32)[:, None, None]
        pixels = np.ascontiguousarray(2.55 * L[None, :, :, 0] - mean)
        extractor = self._net.create_extractor()
        extractor.input("pixels", self._mat(pixels).clone())
        taps = {}
        for name in self._taps:
            code, out = extractor.extract(f"{name}_out")
            if code != 0:
                raise RuntimeError(f"ncnn could not compute {name}: code {code}")
            taps[name] = np.asarray(out, np.float32).transpose(1, 2, 0)
        return taps


def frozen_part(model: "ColorizationModel") -> NcnnEncoder:
    """The frozen blocks of a model's encoder."""
    return NcnnEncoder(
        encoder_weights(model.encoder), frozen_taps(model.config), model.config.decoder
    )


def encoder_weights(
    encoder: "keras.Model",
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Take the convolutions' kernels and biases out of a Keras encoder."""
    return {layer.name: tuple(layer.get_weights()) for layer in encoder.layers if layer.weights}


def _network(
    weights: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]],
    blocks: int,
    factors: dict[str, int],
) -> tuple[str, bytes]:
    """VGG16's first blocks in ncnn's two files; the outputs are the pooled taps."""
    layers = [Layer("Input", "pixels")]
    outputs: list[str] = []
    previous = "pixels"
    for b, (convolutions, width) in enumerate(BLOCKS[:blocks], 1):
        for c in range(1, convolutions + 1):
            name = f"block{b}_conv{c}"
            kernel, bias = weights[name]
            # 3 x 3, one pixel of padding, a bias, a ReLU.
            params: dict[int, int | float] = {0: width, 1: 3, 4: 1, 5: 1, 6: kernel.size, 9: 1}
            layers.append(
                Layer(
                    "Convolution", name, (previous,), params, [kernel.transpose(3, 2, 0, 1), bias]
                )
            )
            previous = name
        factor = factors[previous]
        outputs.append(f"{previous}_out")
        # Pooling 0=1 is the average, 0=0 the maximum; a 1x1 average passes the tap through.
        layers.append(Layer("Pooling", outputs[-1], (previous,), {0: 1, 1: factor, 2: factor}))
        if b < blocks:
            pool = Layer("Pooling", f"block{b}_pool", (previous,), {0: 0, 1: 2, 2: 2})
            layers.append(pool)
            previous = pool.name
    return written(layers, outputs)
