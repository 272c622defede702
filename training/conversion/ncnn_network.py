"""A network in ncnn's own two files: the layers as text, and their weights in the same order.

https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_MAGIC = 7767517
# Their first weights may be stored in other ways than float32, which a flag before them says.
_FLAGGED = {"Convolution", "ConvolutionDepthWise", "Deconvolution", "InnerProduct"}
_FLOAT32, _FLOAT16 = np.uint32(0), np.uint32(0x01306B47)
_ALIGNED = 4  # bytes


@dataclass
class Layer:
    """One layer with one output, which bears its name.

    `kind` and the numbers of the parameters are ncnn's (its wiki, "operation param weight table");
    kernels are stored as [out, in, height, width].
    """

    kind: str
    name: str
    inputs: tuple[str, ...] = ()
    params: dict[int, int | float] = field(default_factory=dict)
    weights: list[NDArray[np.floating]] = field(default_factory=list)


def written(
    layers: Iterable[Layer], outputs: Sequence[str], *, half: bool = False
) -> tuple[str, bytes]:
    """Write a network.

    Args:
        layers: in an order in which each follows its inputs.
        outputs: names of the layers that will be extracted; they keep their names whoever else
            reads them.
        half: keep kernels in float16.

    Returns:
        The text of the .param file and the content of the .bin file.
    """
    layers = list(layers)
    readers = Counter(name for layer in layers for name in layer.inputs)
    readers.update(outputs)
    copies: dict[str, list[str]] = defaultdict(list)
    lines, blobs, binary = [], 0, []
    for layer in layers:
        # In ncnn a blob has one reader: a Split makes the copies that the others read.
        inputs = [copies[name].pop() if name in copies else name for name in layer.inputs]
        shared = readers[layer.name] > 1
        output = f"{layer.name}_split" if shared else layer.name
        lines.append(_line(layer.kind, layer.name, inputs, [output], layer.params))
        blobs += 1
        for position, weights in enumerate(layer.weights):
            kernel = position == 0 and layer.kind in _FLAGGED
            kind = np.float16 if half and kernel else np.float32
            if kernel:
                binary.append((_FLOAT16 if half else _FLOAT32).tobytes())
            data = np.ascontiguousarray(weights, kind).tobytes()
            binary.append(data + bytes(-len(data) % _ALIGNED))
        if shared:
            wanted = outputs.count(layer.name)
            named = [layer.name] * wanted
            others = [f"{layer.name}_{n}" for n in range(readers[layer.name] - wanted)]
            lines.append(_line("Split", output, [output], named + others, {}))
            copies[layer.name] = others
            blobs += readers[layer.name]
    return f"{_MAGIC}\n{len(lines)} {blobs}\n" + "\n".join(lines) + "\n", b"".join(binary)


def _line(
    kind: str,
    name: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    params: dict[int, int | float],
) -> str:
    head = [kind, name, str(len(inputs)), str(len(outputs)), *inputs, *outputs]
    # A number with a point or an exponent is read as a float, any other as an integer.
    values = [
        f"{key}={value:.9e}" if isinstance(value, float) else f"{key}={value}"
        for key, value in params.items()
    ]
    return " ".join(head + values)
