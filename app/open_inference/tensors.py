"""Tensors of the protocol, to and from arrays and bytes; whatever does not fit is refused."""

import base64
import binascii
import itertools
import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidTensor, MalformedBody
from .catalogue import TensorSpec
from .message import Input

Float = NDArray[np.float32]
Binary = memoryview | None

_LENGTH = struct.Struct("<I")


def rows(given: Input, spec: TensorSpec) -> int:
    """How many photos a tensor is for, its datatype and shape held against the model's.

    Raises:
        InvalidTensor: they differ, or there are none.
    """
    if given.datatype != spec.datatype:
        raise InvalidTensor(f"{spec.name} is {spec.datatype}, and {given.datatype[:20]!r} came.")
    if len(given.shape) != len(spec.shape) or list(spec.shape[1:]) != given.shape[1:]:
        raise InvalidTensor(f"{spec.name} has the shape {_shown(spec)}, and {given.shape} came.")
    if not given.shape[0]:
        raise InvalidTensor(f"{spec.name} is empty: its shape is {given.shape}.")
    return given.shape[0]


def read_floats(given: Input, binary: Binary, low: float, high: float) -> Float:
    """An FP32 tensor, its shape checked by `rows`, as an array of that shape.

    Raises:
        MalformedBody: not as many bytes or numbers as the shape says.
        InvalidTensor: a value that is not finite or not in [low, high].
    """
    count = math.prod(given.shape)
    if binary is None:
        array = _from_json(given, count)
    else:
        if len(binary) != 4 * count:
            raise MalformedBody(
                f"{given.name} has {4 * count:,} bytes by its shape, and {len(binary):,} came."
            )
        array = np.frombuffer(binary, "<f4").astype(np.float32)  # aligned, and no view of the body
    # Comparisons with NaN are false.
    if not (array.min() >= low and array.max() <= high):
        raise InvalidTensor(f"{given.name} has values outside {low:g} to {high:g}, or not finite.")
    return array.reshape(given.shape)


def _from_json(given: Input, count: int) -> Float:
    flat: list[Any] = given.data or []
    for size in given.shape[1:]:
        if not (flat and isinstance(flat[0], list)):
            break  # row-major without nesting is as good
        if not all(isinstance(each, list) and len(each) == size for each in flat):
            raise MalformedBody(f"{given.name}: its data is not nested as its shape says.")
        flat = list(itertools.chain.from_iterable(flat))
    if len(flat) != count:
        raise MalformedBody(f"{given.name} has {count:,} numbers by its shape: {len(flat):,} came.")
    if not set(map(type, flat)) <= {int, float}:
        raise MalformedBody(f"{given.name}: its data is not all numbers.")
    try:
        with np.errstate(over="ignore"):  # infinity is refused below
            return np.array(flat, np.float64).astype(np.float32)
    except OverflowError as error:
        raise InvalidTensor(f"{given.name}: a number is too large.") from error


def read_bytes(given: Input, binary: Binary) -> list[bytes]:
    """A BYTES tensor [N], its shape checked by `rows`: binary data, or base64 in JSON.

    Raises:
        MalformedBody: not as many elements as the shape says, or cut off.
        InvalidTensor: JSON in another encoding than base64.
    """
    count = given.shape[0]
    elements = _decoded(given) if binary is None else _split(given.name, binary, count)
    if len(elements) != count:
        raise MalformedBody(
            f"{given.name} has {count} elements by its shape, and {len(elements)} came."
        )
    return elements


def _split(name: str, rest: memoryview, count: int) -> list[bytes]:
    elements: list[bytes] = []
    while rest and len(elements) <= count:
        size = _LENGTH.unpack_from(rest)[0] if len(rest) >= _LENGTH.size else 0
        end = _LENGTH.size + size
        if end > len(rest):
            raise MalformedBody(f"{name}: element {len(elements)} is cut off.")
        elements.append(bytes(rest[_LENGTH.size : end]))
        rest = rest[end:]
    return elements


def _decoded(given: Input) -> list[bytes]:
    if given.parameters.content_type not in (None, "base64"):
        raise InvalidTensor(f"{given.name}: in JSON its elements are base64 and nothing else.")
    try:
        return [base64.b64decode(each, validate=True) for each in given.data or []]
    except (TypeError, ValueError, binascii.Error) as error:
        raise MalformedBody(
            f"{given.name}: in JSON every element is base64. Better send binary data."
        ) from error


def written_bytes(elements: list[bytes]) -> list[bytes]:
    """A BYTES tensor as binary data, in pieces."""
    return [piece for each in elements for piece in (_LENGTH.pack(len(each)), each)]


def _shown(spec: TensorSpec) -> str:
    return "[" + ", ".join("N" if size < 0 else str(size) for size in spec.shape) + "]"
