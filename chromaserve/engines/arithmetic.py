"""TensorFlow's arithmetic on small arrays, in numpy: constants, and what one photo's options give.

`OPERATIONS` maps the name of an operation to a function of its inputs and attributes; names,
attributes and results are those of https://www.tensorflow.org/api_docs/python/tf/raw_ops.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Attributes = Mapping[str, Any]
Operation = Callable[[Sequence[Array], Attributes], Array]

ATTRIBUTES: Final = {
    "Cast": ("DstT",),
    "Pack": ("axis",),
    "Squeeze": ("squeeze_dims",),
    "StridedSlice": (
        "begin_mask",
        "ellipsis_mask",
        "end_mask",
        "new_axis_mask",
        "shrink_axis_mask",
    ),
}
"""The attributes that change what an operation computes; `DstT` is the name of a numpy type."""


def _of_numpy(function: Callable[..., Any]) -> Operation:
    return lambda inputs, _: np.asarray(function(*inputs))


def _strided_slice(inputs: Sequence[Array], attributes: Attributes) -> Array:
    value, begin, end, stride = inputs
    index: list[Any] = []
    for n in range(len(begin)):

        def says(mask: str, bit: int = 1 << n) -> bool:
            return bool(attributes[mask] & bit)

        if says("ellipsis_mask"):
            index.append(Ellipsis)
        elif says("new_axis_mask"):
            index.append(np.newaxis)
        elif says("shrink_axis_mask"):
            index.append(int(begin[n]))
        else:
            first = None if says("begin_mask") else int(begin[n])
            last = None if says("end_mask") else int(end[n])
            index.append(slice(first, last, int(stride[n])))
    return np.asarray(value[tuple(index)])


def _squeeze(inputs: Sequence[Array], attributes: Attributes) -> Array:
    return np.squeeze(inputs[0], tuple(attributes["squeeze_dims"]) or None)


OPERATIONS: Final[dict[str, Operation]] = {
    "Abs": _of_numpy(np.abs),
    "AddV2": _of_numpy(np.add),
    "Cast": lambda inputs, attributes: inputs[0].astype(attributes["DstT"]),
    "Exp": _of_numpy(np.exp),
    "ExpandDims": lambda inputs, _: np.expand_dims(inputs[0], int(inputs[1])),
    "Fill": lambda inputs, _: np.full(inputs[0], inputs[1], inputs[1].dtype),
    "GatherV2": lambda inputs, _: np.take(inputs[0], inputs[1], int(inputs[2])),
    "Identity": lambda inputs, _: inputs[0],
    "Log": _of_numpy(np.log),
    "Maximum": _of_numpy(np.maximum),
    "Minimum": _of_numpy(np.minimum),
    "Mul": _of_numpy(np.multiply),
    "Neg": _of_numpy(np.negative),
    "Pack": lambda inputs, attributes: np.stack(inputs, attributes["axis"]),
    "Pow": _of_numpy(np.power),
    "RealDiv": _of_numpy(np.true_divide),
    "Reshape": lambda inputs, _: inputs[0].reshape(inputs[1]),
    "Rsqrt": _of_numpy(lambda x: (1 / np.sqrt(x)).astype(x.dtype)),
    "Shape": lambda inputs, _: np.asarray(inputs[0].shape, np.int32),
    "Sqrt": _of_numpy(np.sqrt),
    "Squeeze": _squeeze,
    "StridedSlice": _strided_slice,
    "Sub": _of_numpy(np.subtract),
}
