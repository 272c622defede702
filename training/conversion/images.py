"""The layers of an ncnn network while it is built.

Factors and offsets of channels (batch normalisation, scales, biases) are not layers of their own
where they can be part of a convolution's weights, before or after them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .ncnn_network import Layer
from .pictures import GraphOperation, Params, Picture, UnsupportedOperation

Array = NDArray[Any]
Operand = Picture | Array


class Images:
    """Collects the layers of a network as its operations are added."""

    def __init__(self, photo: str) -> None:
        """`photo` is the name of the input with the photo's luminance."""
        self._layers: list[Layer] = []
        self.input(photo)

    def input(self, name: str) -> str:
        """Add an input of the network and return its name."""
        self._layers.append(Layer("Input", name))
        return name

    def part_ways(self, picture: Picture) -> None:
        """Say that several operations read a picture: none may change what the others get."""
        self._close(picture)
        picture.source = None

    def finish(self, picture: Picture, name: str) -> list[Layer]:
        """All layers in order, the last of them, by the name given, a picture."""
        self.layer("Noop", [self.blob(picture)], picture.shape, name=name)
        return self._layers

    def layer(
        self,
        kind: str,
        inputs: Sequence[str],
        shape: tuple[int, ...],
        params: Params | None = None,
        weights: Sequence[Array] = (),
        name: str | None = None,
    ) -> Picture:
        """Add a layer; `name` is made from its kind where none is given."""
        name = name or f"{kind.lower()}_{len(self._layers)}"
        layer = Layer(kind, name, tuple(inputs), params or {}, list(weights))
        self._layers.append(layer)
        return Picture(name, shape, layer if weights and kind != "Scale" else None)

    def scaled(
        self,
        op: GraphOperation,
        picture: Picture,
        factor: Array,
        offset: Array,
        shape: tuple[int, ...],
    ) -> Picture:
        """A picture times a factor plus an offset, each of one value or one a channel.

        Raises:
            UnsupportedOperation: the result's shape is another, and not one channel made several.
        """
        if picture.shape != shape:
            # One channel becomes several: a convolution of 1 x 1.
            if picture.shape != (*shape[:-1], 1):
                raise UnsupportedOperation(op)
            width = shape[-1]
            params: Params = {0: width, 1: 1, 5: 1, 6: width}
            self._close(picture)
            kernel = (picture.factor * factor).reshape(-1, 1, 1, 1)
            bias = np.broadcast_to(picture.offset * factor + offset, width)
            kernel = np.broadcast_to(kernel, (width, 1, 1, 1))
            return self.layer("Convolution", [picture.blob], shape, params, [kernel, bias])
        return Picture(
            picture.blob,
            shape,
            picture.source,
            picture.factor * factor,
            picture.offset * factor + offset,
        )

    def _close(self, picture: Picture) -> None:
        """Make a picture's factors part of the layer that it comes from, if that has weights."""
        layer = picture.source
        if layer is not None and picture.is_scaled:
            kernel, bias = layer.weights
            factor = np.broadcast_to(picture.factor, bias.shape)
            layer.weights = [
                kernel * factor.reshape(-1, *[1] * (kernel.ndim - 1)),
                bias * factor + picture.offset,
            ]
            picture.settle(layer.name)

    def blob(self, picture: Picture) -> str:
        """The name of a picture's values, its factors applied."""
        self._close(picture)
        if picture.is_scaled:
            width = picture.shape[-1]
            scale = [np.broadcast_to(part, width) for part in (picture.factor, picture.offset)]
            made = self.layer("Scale", [picture.blob], picture.shape, {0: width, 1: 1}, scale)
            picture.settle(made.blob)
        return picture.blob

    def linear(
        self,
        op: GraphOperation,
        kind: str,
        picture: Operand,
        kernel: Array,
        shape: tuple[int, ...],
        params: Params,
    ) -> Picture:
        """A layer with weights [out, in, ...]; factors of its input go into them."""
        if not isinstance(picture, Picture):
            raise UnsupportedOperation(op)
        kernel = kernel.astype(np.float64)
        self._close(picture)
        blob = picture.blob
        if picture.offset.any() or kernel.shape[1] != picture.shape[-1]:
            blob = self.blob(picture)
        elif picture.is_scaled:
            width = kernel.shape[1]
            factor = np.broadcast_to(picture.factor, width)
            kernel = kernel * factor.reshape(1, width, *[1] * (kernel.ndim - 2))
        return self.layer(kind, [blob], shape, params, [kernel, np.zeros(shape[-1])])
