"""A TensorFlow tensor [1, height, width, channels] on its way into ncnn, and its geometry."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .ncnn_network import Layer

GraphOperation = Any
"""An operation of a TensorFlow graph, whose package has no types."""

Floats = NDArray[np.float64]
Params = dict[int, int | float]


class UnsupportedOperation(Exception):  # noqa: N818 - reads as a fact
    """The network has an operation that this program cannot give to ncnn."""

    def __init__(self, op: GraphOperation) -> None:
        """Name the operation of TensorFlow's graph."""
        super().__init__(f"ncnn cannot run {op.type} as {op.name} uses it")


@dataclass
class Picture:
    """A blob of ncnn times `factor` plus `offset`, each of one value or one a channel."""

    blob: str
    shape: tuple[int, ...]
    source: Layer | None = None
    """The layer with weights that it comes from, where nothing else reads what is between."""
    factor: Floats = field(default_factory=lambda: np.ones(1))
    offset: Floats = field(default_factory=lambda: np.zeros(1))

    @property
    def is_scaled(self) -> bool:
        """Whether its blob's values are not yet its own."""
        return bool((self.factor != 1).any() or self.offset.any())

    def settle(self, blob: str) -> None:
        """Say that this blob holds its values as they are."""
        self.blob, self.factor, self.offset = blob, np.ones(1), np.zeros(1)


def channels(op: GraphOperation, constant: NDArray[Any], shape: tuple[int, ...]) -> Floats:
    """A constant as one value, or one a channel of a result of this shape."""
    if (constant.size != 1 and constant.shape[-1:] != shape[-1:]) or constant.size > shape[-1]:
        raise UnsupportedOperation(op)
    return constant.reshape(-1).astype(np.float64)


def window(op: GraphOperation, kernel: Sequence[int], picture: Sequence[int]) -> Params:
    """A convolution's kernel size, steps and padding over a picture [1, height, width, channels].

    The keys are those of ncnn's Convolution: 1 size, 2 dilation, 3 stride, 4 left, 15 right; with
    ten more for what is vertical (16 for the bottom).
    """
    known = {attribute.name for attribute in op.op_def.attr}
    dilations = op.get_attr("dilations") if "dilations" in known else [1, 1, 1, 1]
    padding = op.get_attr("padding").decode()
    if op.get_attr("data_format") != b"NHWC" or padding not in {"SAME", "VALID"}:
        raise UnsupportedOperation(op)
    params: Params = {}
    for axis, vertical, (before, after) in ((1, 10, (14, 16)), (2, 0, (4, 15))):
        size, stride = kernel[axis - 1], op.get_attr("strides")[axis]
        reach = (size - 1) * dilations[axis] + 1
        missing = 0
        if padding == "SAME":
            missing = max(0, (-(-picture[axis] // stride) - 1) * stride + reach - picture[axis])
        params |= {1 + vertical: int(size), 2 + vertical: dilations[axis], 3 + vertical: stride}
        params |= {before: missing // 2, after: missing - missing // 2}
    return params
