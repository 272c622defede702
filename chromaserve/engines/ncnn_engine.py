"""The engine that runs a model on a CPU by ncnn, whose Winograd convolutions are the fast ones."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromaserve.engines import (
    COARSE,
    FEATURES,
    FINE,
    Distribution,
    EngineUnusable,
    Features,
)
from chromaserve.engines.photo_numbers import PhotoNumbers
from chromaserve.settings import usable_cores
from chromaserve.store.contract import NETWORK_SIZE

_Network = Any  # ncnn.Net; its package has no types

INPUT, OUTPUT = "L", "ab"
FOLDER = "cpu"
"""Of a version, for these files."""
PARAM, WEIGHTS, NUMBERS = "network.param", "network.bin", "numbers.json"
PROBE = "probe.npz"
"""A made-up photo and the SavedModel's answer: arrays L, vividness, ab."""
MAX_BATCH = 1
"""ncnn runs photos one by one, so that in a batch a photo would only wait for others."""

# Beyond these a photo gains little, and many photos lose: docs/explanation/scaling.md.
_THREADS_A_PHOTO = 4
# More than one photo, as threads wait for each other after every layer.
_PHOTOS_A_THREAD = 1.5


def threads_of(threads: int) -> int:
    """How many of all threads one photo has."""
    return min(threads, _THREADS_A_PHOTO)


def streams_of(threads: int) -> int:
    """How many photos keep so many threads busy."""
    busy = math.ceil(_PHOTOS_A_THREAD * threads / threads_of(threads))
    return 1 if threads == 1 else busy + 1


_ENCODERS = {"BinaryOp", "Convolution", "Pooling", "ReLU", "Scale", "Split"}
"""Kinds of layers that an encoder is of."""


@dataclass(frozen=True)
class _Layer:
    """A line of a network's text."""

    kind: str
    inputs: list[str]
    outputs: list[str]
    numbers: dict[str, str]


@dataclass(frozen=True)
class _Head:
    """The blobs about a network's distribution over colours."""

    logits: str
    probabilities: str
    mean: str


class NcnnEngine:
    """A converted `vivid` signature in float32: the SavedModel's results, other arithmetic."""

    def __init__(self, folder: Path, *, threads: int = 0, max_batch: int | None = None) -> None:
        """Load a version's CPU files; the folder isn't read again.

        Args:
            folder: of the files.
            threads: for all photos at once; 0: one a core.
            max_batch: photos of one call.

        Raises:
            EngineUnusable: ncnn isn't installed, or cannot load the files.
            OSError, ValueError: the files cannot be read.
        """
        try:
            import ncnn
        except ImportError as error:
            raise EngineUnusable(f"ncnn cannot be imported: {error}") from error
        self._ncnn = ncnn
        self._threads = threads or usable_cores()
        self._max_batch = max_batch or MAX_BATCH
        self._numbers = PhotoNumbers.from_json((folder / NUMBERS).read_text("utf-8"))
        # Not on callers' threads: a daemon's would end the process by SIGABRT where Python ends
        # while it is in ncnn, and a pool's are waited for. Nor is it loaded there: OpenMP has
        # threads for each that called it, and in a forked process a caller waits for them for ever.
        self._pool = ThreadPoolExecutor(self.streams, thread_name_prefix="ncnn")
        self._network = self._pool.submit(self._load, folder).result()
        layers = _layers((folder / PARAM).read_text("utf-8"))
        self._head, self._seen = _head_of(layers), _seen_of(layers)
        self._bins: NDArray[np.float32] | None = None

    @property
    def name(self) -> str:
        """What `CHROMASERVE_ENGINE` calls it."""
        return "ncnn"

    @property
    def device(self) -> str:
        """Where it runs, with the threads."""
        return f"CPU ({self._threads} threads)"

    @property
    def max_batch(self) -> int:
        """The most photos that one call of `infer` may have."""
        return self._max_batch

    @property
    def streams(self) -> int:
        """See `Engine.streams`."""
        return streams_of(self._threads)

    def warm_up(self) -> None:
        """Run the network once, so that its memory is there."""
        L = np.full((1, NETWORK_SIZE, NETWORK_SIZE, 1), 50, np.float32)
        self.infer(L, np.full(1, 0.5, np.float32))

    def infer(self, L: NDArray[np.float32], vividness: NDArray[np.float32]) -> NDArray[np.float32]:
        """Chroma of a batch; see `Engine.infer`."""
        found = self._pool.map(partial(self._photo, outputs=[OUTPUT]), L, map(float, vividness))
        return np.stack([ab for (ab,) in found])

    @property
    def has_distribution(self) -> bool:
        """See `Engine.has_distribution`."""
        return self._head is not None

    def distribution(self, L: NDArray[np.float32]) -> Distribution:
        """See `Engine.distribution`."""
        assert self._head
        name = self._head.logits
        logits = np.stack(
            list(self._pool.map(lambda one: self._run({INPUT: _plane(one)}, name)[0], L))
        )
        if self._bins is None:
            # The mean of a distribution that is certain of a bin is that bin.
            certain = np.eye(logits.shape[-1], dtype=np.float32)[:, np.newaxis]
            inputs = {self._head.probabilities: certain}
            self._bins = self._run(inputs, self._head.mean)[0][0].copy()
        return Distribution(logits, self._bins)

    @property
    def has_features(self) -> bool:
        """See `Engine.has_features`."""
        return self._seen is not None

    def features(self, L: NDArray[np.float32]) -> Features:
        """See `Engine.features`."""
        assert self._seen
        seen = self._seen
        found = self._pool.map(lambda one: self._run({INPUT: _plane(one)}, *seen), L)
        return Features.of(*map(np.stack, zip(*found, strict=True)))

    def infer_with_features(
        self, L: NDArray[np.float32], vividness: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], Features]:
        """See `Engine.infer_with_features`."""
        assert self._seen
        # The deeper ones last: of what ncnn has gone past it keeps what it is still to read.
        outputs = (*self._seen, OUTPUT)
        found = self._pool.map(partial(self._photo, outputs=outputs), L, map(float, vividness))
        fine, coarse, ab = map(np.stack, zip(*found, strict=True))
        return ab, Features.of(fine, coarse)

    def _photo(
        self, L: NDArray[np.float32], vividness: float, outputs: Sequence[str]
    ) -> list[NDArray[np.float32]]:
        """Blobs, of L [224, 224, 1]; as for `_run`."""
        return self._run(self._numbers(vividness) | {INPUT: _plane(L)}, *outputs)

    def _run(
        self, inputs: dict[str, NDArray[np.float32]], *outputs: str
    ) -> list[NDArray[np.float32]]:
        """Blobs [C, h, w] as [h, w, C], views, from others."""
        extractor = self._network.create_extractor()
        for name, values in inputs.items():
            # A copy that ncnn owns: layers work in place where nobody else reads.
            if extractor.input(name, self._ncnn.Mat(values).clone()) != 0:
                raise EngineUnusable(f"{name} is no input of the network that ncnn has")
        found = []
        for name in outputs:
            code, out = extractor.extract(name)
            if code != 0:
                raise RuntimeError(f"ncnn could not run the network: code {code}")
            found.append(np.asarray(out).transpose(1, 2, 0))
        return found

    def _load(self, folder: Path) -> _Network:
        network = self._ncnn.Net()
        # Weights are laid out for so many, and ncnn keeps to them in every call.
        network.opt.num_threads = threads_of(self._threads)
        network.opt.use_vulkan_compute = False
        # Half the bits are no faster here, and differ by up to 3 ab (docs/explanation/engines.md).
        for half in ("fp16_storage", "fp16_arithmetic", "fp16_packed", "bf16_storage"):
            setattr(network.opt, f"use_{half}", False)
        for load, name in ((network.load_param, PARAM), (network.load_model, WEIGHTS)):
            code = load(str(folder / name))
            if code != 0:
                raise EngineUnusable(f"ncnn cannot load {folder / name}: code {code}")
        return network


def _plane(L: NDArray[np.float32]) -> NDArray[np.float32]:
    """L [224, 224, 1] as ncnn has it, [1, 224, 224]."""
    return np.ascontiguousarray(L[None, :, :, 0])


def _layers(param: str) -> list[_Layer]:
    """A network's text, layer by layer.

    A line is a layer's kind, name, counts of inputs and outputs, their names, and parameters:
    https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure.
    """
    found = []
    for line in param.splitlines()[2:]:
        kind, _, inputs, outputs, *rest = line.split()
        first, last = int(inputs), int(inputs) + int(outputs)
        numbers = dict(each.split("=", 1) for each in rest[last:])
        found.append(_Layer(kind, rest[:first], rest[first:last], numbers))
    return found


def _head_of(layers: list[_Layer]) -> _Head | None:
    """Where a network has one softmax, and a layer that takes the mean by it; else None."""
    softmax = [layer for layer in layers if layer.kind == "Softmax"]
    if len(softmax) != 1:
        return None
    (logits,), (probabilities,) = softmax[0].inputs, softmax[0].outputs
    means = [layer.outputs[0] for layer in layers if layer.inputs == [probabilities]]
    return _Head(logits, probabilities, means[0]) if len(means) == 1 else None


def _seen_of(layers: list[_Layer]) -> tuple[str, str] | None:
    """The blobs of `Features`: the last ReLUs of their sizes before the network grows again."""
    # Of the encoder's blobs, places along a side and channels.
    sizes = {INPUT: (NETWORK_SIZE, 1)}
    found: dict[tuple[int, int], str] = {}
    for layer in layers:
        inputs = [sizes[name] for name in layer.inputs if name in sizes]
        if layer.kind not in _ENCODERS or len(inputs) < max(1, len(layer.inputs)):
            continue
        side, channels = inputs[0]
        if layer.kind == "Convolution":
            side, channels = side // int(layer.numbers.get("3", 1)), int(layer.numbers["0"])
        elif layer.kind == "Pooling":
            side = 1 if layer.numbers.get("4") == "1" else side // int(layer.numbers.get("2", 1))
        sizes |= dict.fromkeys(layer.outputs, (side, channels))
        # A convolution's 9 is what follows it, 1 a ReLU.
        if layer.kind == "ReLU" or (layer.kind == "Convolution" and layer.numbers.get("9") == "1"):
            found[side, channels] = layer.outputs[0]
    fine, coarse = found.get((FINE, FEATURES)), found.get((COARSE, FEATURES))
    return (fine, coarse) if fine and coarse else None
