"""A SavedModel's function as an ncnn network: the frozen graph read operation by operation.

ncnn has no converter for TensorFlow (its `pnnx` reads TorchScript and ONNX, and needs PyTorch), so
this is one, for the operations that colorizers are made of. The network is made for one photo.
What depends on its vividness alone stays out of the network, as a short program of numbers
(`chromaserve.engines.photo_numbers`) whose results are inputs of the network.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chromaserve.engines.arithmetic import ATTRIBUTES, OPERATIONS, Array
from chromaserve.engines.ncnn_engine import INPUT, OUTPUT
from chromaserve.engines.photo_numbers import PhotoNumbers, Step
from chromaserve.store.contract import NETWORK_SIZE

from . import layers
from .images import Images
from .ncnn_network import written
from .pictures import GraphOperation, Picture, UnsupportedOperation

# TensorFlow has no types.
Signature = Any
GraphTensor = Any
Attribute = Any


@dataclass(frozen=True)
class Lowered:
    """A network as ncnn's two files, and the program that makes its further inputs."""

    param: str
    weights: bytes
    numbers: PhotoNumbers


@dataclass(frozen=True)
class _Number:
    """A value that depends on vividness alone, by its tensor's name."""

    name: str


_Value = NDArray[Any] | Picture | _Number


def lower(signature: Signature, *, half: bool = False) -> Lowered:
    """Convert a SavedModel's `vivid` signature; `half` keeps kernels in float16.

    Raises:
        UnsupportedOperation: the graph has one that ncnn, or this module, doesn't know.
    """
    output = _frozen(signature)
    operations = _ancestors(output.op)
    uses = Counter(tensor.name for op in operations for tensor in op.inputs)
    uses[output.name] += 1
    values: dict[str, _Value] = {}
    images = Images(INPUT)
    steps: list[Step] = []
    constants: dict[str, Array] = {}
    needed: dict[str, str] = {}

    def as_blob(value: _Number) -> str:
        return needed.setdefault(value.name, images.input(f"number_{len(needed)}"))

    for op in operations:
        inputs = [values[tensor.name] for tensor in op.inputs]
        attributes = {name: _plain(op.get_attr(name)) for name in ATTRIBUTES.get(op.type, ())}
        result: _Value
        if op.type == "Const":
            result = _constant(op)
        elif op.type == "Placeholder":
            is_photo = op.outputs[0].shape.rank == 4
            result = (
                Picture(INPUT, tuple(op.outputs[0].shape)) if is_photo else _Number("vividness")
            )
        elif op.type == "Shape":
            result = np.asarray(op.inputs[0].shape.as_list(), np.int32)
        elif any(isinstance(value, Picture) for value in inputs):
            operands = [
                value if not isinstance(value, _Number) else Picture(as_blob(value), ())
                for value in inputs
            ]
            sole = [uses[tensor.name] == 1 for tensor in op.inputs]
            result = layers.add(images, op, operands, sole)
        elif op.type not in OPERATIONS:
            raise UnsupportedOperation(op)
        elif any(isinstance(value, _Number) for value in inputs):
            names = []
            for tensor, value in zip(op.inputs, inputs, strict=True):
                if isinstance(value, _Number):
                    names.append(value.name)
                else:
                    assert isinstance(value, np.ndarray)
                    constants[tensor.name] = value
                    names.append(tensor.name)
            result = _Number(op.outputs[0].name)
            steps.append(Step(op.type, tuple(names), result.name, attributes))
        else:
            arrays = [value for value in inputs if isinstance(value, np.ndarray)]
            result = OPERATIONS[op.type](arrays, attributes)
        for tensor in op.outputs:
            values[tensor.name] = result
    picture = values[output.name]
    if not isinstance(picture, Picture):
        raise UnsupportedOperation(output.op)
    param, weights = written(images.finish(picture, OUTPUT), [OUTPUT], half=half)
    return Lowered(param, weights, PhotoNumbers("vividness", steps, constants, needed))


def _frozen(signature: Signature) -> GraphTensor:
    """The function for one photo, its variables made constants: its output."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    side = NETWORK_SIZE
    one = tf.function(lambda L, vividness: signature(L=L, vividness=vividness)["ab"])
    traced = one.get_concrete_function(
        tf.TensorSpec((1, side, side, 1), tf.float32), tf.TensorSpec((1,), tf.float32)
    )
    frozen = convert_variables_to_constants_v2(traced)
    return frozen.outputs[0]


def _ancestors(last: GraphOperation) -> list[GraphOperation]:
    """An operation and all that it depends on, each after its inputs."""
    order: list[GraphOperation] = []
    seen: set[str] = set()
    stack = [(last, False)]
    while stack:
        op, ready = stack.pop()
        if ready:
            order.append(op)
        elif op.name not in seen:
            seen.add(op.name)
            stack.append((op, True))
            stack += [(tensor.op, False) for tensor in op.inputs]
    return order


def _constant(op: GraphOperation) -> NDArray[Any]:
    import tensorflow as tf

    return np.asarray(tf.make_ndarray(op.get_attr("value")))


def _plain(attribute: Attribute) -> Attribute:
    """An attribute as JSON can hold it; a TensorFlow type by its numpy name."""
    if hasattr(attribute, "as_numpy_dtype"):
        return np.dtype(attribute.as_numpy_dtype).name
    if isinstance(attribute, (list, tuple)):
        return [int(part) for part in attribute]
    return int(attribute)
