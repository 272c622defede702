"""TensorFlow's operations on pictures as ncnn's layers.

The numbers of the parameters are those of
https://github.com/Tencent/ncnn/blob/master/docs/developer-guide/operators.md.
"""

from collections.abc import Callable, Sequence

import numpy as np

from .images import Images, Operand
from .pictures import (
    GraphOperation,
    Params,
    Picture,
    UnsupportedOperation,
    channels,
    window,
)

Shape = tuple[int, ...]

_BINARY = {"AddV2": 0, "Sub": 1, "Mul": 2, "RealDiv": 3}
_FACTORS = {"AddV2", "BiasAdd", "Mul", "RealDiv", "Sub"}


def add(
    images: Images, op: GraphOperation, inputs: Sequence[Operand], sole: Sequence[bool]
) -> Picture:
    """Add an operation to a network.

    Args:
        images: the network.
        op: of TensorFlow's graph, at least one of its inputs a picture.
        inputs: what its inputs are: pictures, or constants.
        sole: for each input, whether this operation alone reads it.

    Raises:
        UnsupportedOperation: it has no counterpart here.
    """
    for picture, alone in zip(inputs, sole, strict=True):
        if isinstance(picture, Picture) and not alone:
            images.part_ways(picture)
    shape = tuple(op.outputs[0].shape.as_list())
    if op.type in _FACTORS and sum(isinstance(value, Picture) for value in inputs) == 1:
        return _factors(images, op, inputs, shape)
    layers = _LAYERS.get(op.type)
    if layers is None:
        raise UnsupportedOperation(op)
    return layers(images, op, inputs, shape)


def _factors(
    images: Images, op: GraphOperation, inputs: Sequence[Operand], shape: Shape
) -> Picture:
    """A picture and a constant a channel, one of them the first."""
    first, second = inputs
    picture, constant = (first, second) if isinstance(first, Picture) else (second, first)
    assert isinstance(picture, Picture)
    value = channels(op, np.asarray(constant), shape)
    factor, offset = np.ones_like(value), np.zeros_like(value)
    if op.type == "Mul":
        factor = value
    elif op.type == "RealDiv" and picture is first:
        factor = 1 / value
    elif op.type == "Sub":
        factor, offset = (factor, -value) if picture is first else (-factor, value)
    elif op.type in {"AddV2", "BiasAdd"}:
        offset = value
    else:
        raise UnsupportedOperation(op)
    return images.scaled(op, picture, factor, offset, shape)


def _convolution(
    images: Images, op: GraphOperation, inputs: Sequence[Operand], shape: Shape
) -> Picture:
    picture, kernel = inputs
    if not isinstance(kernel, np.ndarray):
        raise UnsupportedOperation(op)
    params, kind = window(op, kernel.shape[:2], op.inputs[0].shape), "Convolution"
    depthwise = op.type == "DepthwiseConv2dNative"
    if depthwise:
        kind, groups = "ConvolutionDepthWise", kernel.shape[2]
        kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
        params[7] = groups
    kernel = kernel.transpose(3, 2, 0, 1)
    params |= {0: shape[-1], 5: 1, 6: kernel.size}
    return images.linear(op, kind, picture, kernel, shape, params)


def _transposed(
    images: Images, op: GraphOperation, inputs: Sequence[Operand], shape: Shape
) -> Picture:
    _, kernel, picture = inputs
    if not isinstance(kernel, np.ndarray):
        raise UnsupportedOperation(op)
    params = window(op, kernel.shape[:2], shape)
    before = tuple(op.inputs[2].shape)
    for axis, vertical, ends in ((1, 10, (14, 16)), (2, 0, (4, 15))):
        reach = (params[1 + vertical] - 1) * params[2 + vertical] + 1
        made = (before[axis] - 1) * params[3 + vertical] + reach
        if made - sum(params[end] for end in ends) != shape[axis]:
            raise UnsupportedOperation(op)
    kernel = kernel.transpose(2, 3, 0, 1)
    params |= {0: shape[-1], 5: 1, 6: kernel.size}
    return images.linear(op, "Deconvolution", picture, kernel, shape, params)


def _product(
    images: Images, op: GraphOperation, inputs: Sequence[Operand], shape: Shape
) -> Picture:
    picture, matrix = inputs
    turned = {"MatMul": ("transpose_a", "transpose_b"), "BatchMatMulV2": ("adj_x", "adj_y")}
    first, second = (op.get_attr(name) for name in turned[op.type])
    if first or not isinstance(matrix, np.ndarray):
        raise UnsupportedOperation(op)
    if matrix.size != matrix.shape[-1] * matrix.shape[-2]:
        raise UnsupportedOperation(op)
    matrix = matrix.reshape(matrix.shape[-2:])
    matrix = matrix if second else matrix.T
    if len(shape) == 2:
        params: Params = {0: shape[-1], 1: 1, 2: matrix.size}
        return images.linear(op, "InnerProduct", picture, matrix, shape, params)
    params = {0: shape[-1], 1: 1, 5: 1, 6: matrix.size}
    return images.linear(op, "Convolution", picture, matrix[:, :, None, None], shape, params)


def _relu(images: Images, op: GraphOperation, inputs: Sequence[Operand], shape: Shape) -> Picture:
    picture = _only(op, inputs)
    blob = images.blob(picture)
    if picture.source is not None:
        picture.source.params[9] = 1
        return Picture(blob, shape)
    return images.layer("ReLU", [blob], shape)


def _pool(images: Images, op: GraphOperation, inputs: Sequence[Operand], shape: Shape) -> Picture:
    blob = images.blob(_only(op, inputs))
    size = op.get_attr("ksize")
    params = window(op, size[1:3], op.inputs[0].shape)
    # ncnn's numbers for a pool's strides and padding are not a convolution's.
    renamed = {3: 2, 13: 12, 4: 3, 14: 13, 15: 14, 16: 15, 1: 1, 11: 11}
    if any(params[key] != 1 for key in (2, 12)):
        raise UnsupportedOperation(op)
    params = {new: params[key] for key, new in renamed.items()}
    params |= {0: int(op.type == "AvgPool"), 5: 1}
    return images.layer("Pooling", [blob], shape, params)


def _everywhere(
    images: Images, op: GraphOperation, inputs: Sequence[Operand], shape: Shape
) -> Picture:
    """Mean or maximum over height and width."""
    picture, axes = inputs
    if not isinstance(picture, Picture) or isinstance(axes, Picture):
        raise UnsupportedOperation(op)
    if len(picture.shape) != 4 or sorted(np.ravel(axes) % 4) != [1, 2]:
        raise UnsupportedOperation(op)
    params: Params = {0: int(op.type == "Mean"), 4: 1}
    pooled = images.layer("Pooling", [images.blob(picture)], (1, shape[-1]), params)
    return pooled if len(shape) == 2 else _reshaped(images, op, [pooled], shape)


def _reshaped(
    images: Images, op: GraphOperation, inputs: Sequence[Operand], shape: Shape
) -> Picture:
    picture = inputs[0]
    assert isinstance(picture, Picture)
    width = shape[-1]
    if picture.shape == shape:
        return picture
    if {picture.shape, shape} != {(1, width), (1, 1, 1, width)}:
        raise UnsupportedOperation(op)
    params: Params = {0: width}
    if len(shape) == 4:
        params = {0: 1, 1: 1, 2: width}
    return images.layer("Reshape", [images.blob(picture)], shape, params)


def _two(images: Images, op: GraphOperation, inputs: Sequence[Operand], shape: Shape) -> Picture:
    blobs = [images.blob(value) for value in inputs if isinstance(value, Picture)]
    return images.layer("BinaryOp", blobs, shape, {0: _BINARY[op.type]})


def _joined(images: Images, op: GraphOperation, inputs: Sequence[Operand], shape: Shape) -> Picture:
    *parts, axis = inputs
    blobs = [images.blob(part) for part in parts if isinstance(part, Picture)]
    if len(blobs) < len(parts) or int(np.asarray(axis)) % len(shape) != len(shape) - 1:
        raise UnsupportedOperation(op)
    return images.layer("Concat", blobs, shape, {0: 0})


def _softmax(
    images: Images, op: GraphOperation, inputs: Sequence[Operand], shape: Shape
) -> Picture:
    return images.layer("Softmax", [images.blob(_only(op, inputs))], shape, {0: 0, 1: 1})


def _enlarged(
    images: Images, op: GraphOperation, inputs: Sequence[Operand], shape: Shape
) -> Picture:
    picture = inputs[0]
    if not isinstance(picture, Picture) or not op.get_attr("half_pixel_centers"):
        raise UnsupportedOperation(op)
    params: Params = {0: 2, 3: shape[1], 4: shape[2]}
    return images.layer("Interp", [images.blob(picture)], shape, params)


def _only(op: GraphOperation, inputs: Sequence[Operand]) -> Picture:
    (picture,) = inputs
    if not isinstance(picture, Picture):
        raise UnsupportedOperation(op)
    return picture


_Add = Callable[[Images, GraphOperation, Sequence[Operand], Shape], Picture]
_LAYERS: dict[str, _Add] = {
    **dict.fromkeys(_BINARY, _two),
    "AvgPool": _pool,
    "BatchMatMulV2": _product,
    "ConcatV2": _joined,
    "Conv2D": _convolution,
    "Conv2DBackpropInput": _transposed,
    "DepthwiseConv2dNative": _convolution,
    "Identity": _reshaped,
    "MatMul": _product,
    "Max": _everywhere,
    "MaxPool": _pool,
    "Mean": _everywhere,
    "Relu": _relu,
    "Reshape": _reshaped,
    "ResizeBilinear": _enlarged,
    "Softmax": _softmax,
    "Squeeze": _reshaped,
}
