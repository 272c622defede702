"""An inference request held against the model that it is for: tensors and options."""

from dataclasses import dataclass

from chromaserve.errors import InvalidOptions
from chromaserve.pipeline.options import Options

from ..errors import InvalidTensor, too_many_photos
from .catalogue import LIGHTNESS, NETWORK, VIVIDNESS, ProtocolModel
from .message import Message
from .tensors import Float, read_bytes, read_floats, rows

_MICROSECONDS = 1_000_000
_LONGEST = 3600 * _MICROSECONDS


@dataclass(frozen=True)
class Rows:
    """Input of the bare network: float32 [N, 224, 224, 1] in [0, 100] and [N] in [0, 1]."""

    L: Float
    vividness: Float | None
    """None: the same for all, by the options."""


Tensors = Rows | list[bytes]
"""What a request brings for the network, or its encoded photos."""


def check(message: Message, model: ProtocolModel, max_photos: int) -> None:
    """Hold a request's names, datatypes and shapes against the model.

    Raises:
        InvalidTensor, InvalidOptions: they do not fit.
        TooManyPhotos: more than one request may hold.
    """
    specs = {spec.name: spec for spec in model.inputs}
    required = model.inputs[0].name
    if required not in message.inputs:
        raise InvalidTensor(f"{model.name} needs an input {required}.")
    unknown = [
        *(message.inputs.keys() - specs.keys()),
        *(message.outputs.keys() - {model.output.name}),
    ]
    if unknown:
        raise InvalidTensor(
            f"{model.name} has no tensor {unknown[0][:50]!r}. Its inputs are {', '.join(specs)},"
            f" its output is {model.output.name}."
        )
    counts = {name: rows(message.inputs[name], specs[name]) for name in message.inputs}
    photos = counts[required]
    if set(counts.values()) != {photos}:
        raise InvalidTensor(f"The inputs are for different numbers of photos: {counts}.")
    if photos > max_photos:
        raise too_many_photos(max_photos)


def options(message: Message, model: ProtocolModel) -> Options:
    """The options in a request's parameters; Triton's `timeout`, in microseconds, is a deadline.

    Raises:
        InvalidOptions: one that the model does not have, or a value out of range.
    """
    given = dict(message.parameters)
    timeout = given.pop("timeout", None)
    if timeout is not None:
        if type(timeout) is not int or not 0 < timeout <= _LONGEST:
            raise InvalidOptions(
                f"timeout is a whole number of microseconds, from 1 to {_LONGEST:,}."
            )
        given.setdefault("deadline_s", timeout / _MICROSECONDS)
    unknown = given.keys() - model.parameters
    if unknown:
        raise InvalidOptions(
            f"{model.name} has no parameter {min(unknown)[:50]!r}. It has"
            f" {', '.join(sorted(model.parameters))}."
        )
    return Options.checked(given)


def tensors(message: Message, model: ProtocolModel) -> Tensors:
    """Read the tensors of a request that passed `check`; blocks briefly.

    Raises:
        MalformedBody, InvalidTensor: as `read_floats` and `read_bytes`.
    """
    inputs, binary = message.inputs, message.binary
    if model is not NETWORK:
        name = model.inputs[0].name
        return read_bytes(inputs[name], binary.get(name))
    name = LIGHTNESS.name
    L = read_floats(inputs[name], binary.get(name), low=0, high=100)
    name = VIVIDNESS.name
    if name not in inputs:
        return Rows(L, None)
    return Rows(L, read_floats(inputs[name], binary.get(name), low=0, high=1))
