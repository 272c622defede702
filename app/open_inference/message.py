"""An inference request taken apart: its JSON, and the binary tensors behind it.

Open Inference Protocol, inference request JSON object; Triton's binary tensor data extension.
"""

import gc
import json
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chromaserve.errors import BodyTooLarge

from ..errors import MalformedBody, UnsupportedBody

HEADER_LENGTH = "Inference-Header-Content-Length"
MAX_JSON = 8 * 2**20
"""Bytes of JSON; a parser holds up everything else for as long as it runs."""
JSON_MEMORY = 32
"""Bytes that a byte of JSON may take as Python objects; tests measure it."""
_PARSING = threading.Lock()
ENCODINGS = ("gzip", "deflate")

_Dimension = Annotated[int, Field(ge=0, lt=2**31, strict=True)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class InputParameters(_Part):
    """How a tensor of the request comes."""

    model_config = ConfigDict(extra="forbid")
    binary_data_size: Annotated[int, Field(ge=0, strict=True)] | None = None
    content_type: str | None = None


class OutputParameters(_Part):
    """How a tensor of the response goes."""

    model_config = ConfigDict(extra="forbid")
    binary_data: Annotated[bool, Field(strict=True)] | None = None


class Input(_Part):
    """A tensor of the request: `data` as JSON, or the bytes in `binary`."""

    name: str
    shape: Annotated[list[_Dimension], Field(max_length=8)]
    datatype: str
    parameters: InputParameters = InputParameters()
    data: list[Any] | None = None


class Output(_Part):
    """A tensor that the response is to have."""

    name: str
    parameters: OutputParameters = OutputParameters()


class InferenceRequest(_Part):
    """What to infer from, and what to answer."""

    id: Annotated[str, Field(max_length=1024)] | None = None
    parameters: dict[str, Any] = {}
    inputs: Annotated[list[Input], Field(min_length=1, max_length=16)]
    outputs: Annotated[list[Output], Field(max_length=16)] = []


@dataclass(frozen=True)
class Message:
    """A request's inputs, parameters and wishes; that the tensors fit a model is not yet known."""

    id: str | None
    parameters: dict[str, Any]
    inputs: dict[str, Input]
    binary: dict[str, memoryview]
    """Bytes of the inputs that came as binary data, parts of the body."""
    outputs: dict[str, bool]
    """Names asked for (none: all), and whether each is to be binary data."""
    binary_output: bool
    """Whether outputs that were not named are."""

    def wants_binary(self, output: str) -> bool:
        """Whether an output is to be sent as binary data."""
        return self.outputs.get(output, self.binary_output)

    def forget(self) -> None:
        """Let go of the tensors, which were read, and with them of the body."""
        self.inputs.clear()
        self.binary.clear()


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo a Content-Encoding, gzip (RFC 1952) or deflate (RFC 1950).

    Raises:
        UnsupportedBody: another encoding.
        BodyTooLarge: more than `limit` bytes come out; no more than that are ever made.
        MalformedBody: it is damaged or cut off.
    """
    if encoding not in ENCODINGS:
        raise UnsupportedBody(
            f"Content-Encoding: {encoding[:50]} is not accepted. Use gzip, deflate, or none."
        )
    stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | (16 if encoding == "gzip" else 0))
    try:
        inflated = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise MalformedBody(f"The body is not {encoding}: {error}.") from error
    if len(inflated) > limit:
        raise BodyTooLarge(
            f"The body has more than {limit:,} bytes when decompressed. Send fewer photos.",
            limit=limit,
        )
    if not stream.eof or stream.unused_data:
        raise MalformedBody(f"The {encoding} body is cut off, or something follows its end.")
    return inflated


def json_length(header: str | None, body: bytes) -> int:
    """Bytes of JSON at the beginning of a body, by the Inference-Header-Content-Length header.

    Raises:
        MalformedBody: it is no number, or more than the body has.
        BodyTooLarge: more than `MAX_JSON`.
    """
    length = len(body)
    if header is not None:
        plain = header.isascii() and header.isdecimal() and len(header) <= 20
        length = int(header) if plain else -1
        if not 0 < length <= len(body):
            raise MalformedBody(
                f"{HEADER_LENGTH}: {header[:20]} does not fit a body of {len(body):,} bytes."
            )
    if length > MAX_JSON:
        raise BodyTooLarge(
            f"The JSON may have {MAX_JSON:,} bytes at most. Send the tensors as binary data.",
            limit=MAX_JSON,
        )
    return length


def parse(body: bytes, length: int) -> Message:
    """Take a request apart.

    Args:
        body: JSON, then the binary tensors one after the other.
        length: bytes of JSON; see `json_length`.

    Raises:
        MalformedBody: it is not what the protocol says.
    """
    try:
        with _PARSING, _no_collections():
            given = json.loads(body[:length], parse_constant=_no_number)
        request = InferenceRequest.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "request"
        raise MalformedBody(f"In the JSON, {where[:100]}: {first['msg']}.") from error
    except (ValueError, RecursionError) as error:
        raise MalformedBody(f"The JSON cannot be read: {str(error)[:100]}.") from error
    inputs = {each.name: each for each in request.inputs}
    if len(inputs) < len(request.inputs):
        raise MalformedBody("Two inputs have the same name.")
    parameters = dict(request.parameters)
    binary_output = parameters.pop("binary_data_output", False)
    if not isinstance(binary_output, bool):
        raise MalformedBody("The parameter binary_data_output is true or false.")
    return Message(
        request.id,
        parameters,
        inputs,
        _binary(inputs, memoryview(body)[length:]),
        {
            each.name: binary_output
            if each.parameters.binary_data is None
            else each.parameters.binary_data
            for each in request.outputs
        },
        binary_output,
    )


def _binary(inputs: dict[str, Input], rest: memoryview) -> dict[str, memoryview]:
    binary: dict[str, memoryview] = {}
    for name, each in inputs.items():
        size = each.parameters.binary_data_size
        if (size is None) == (each.data is None):
            raise MalformedBody(
                f"The input {name[:50]!r} has data or binary_data_size, one of them."
            )
        if size is not None:
            if size > len(rest):
                raise MalformedBody(
                    f"The input {name[:50]!r} should have {size:,} bytes of binary data, and"
                    f" {len(rest):,} are left in the body. Is {HEADER_LENGTH} right?"
                )
            binary[name], rest = rest[:size], rest[size:]
    if rest:
        raise MalformedBody(
            f"{len(rest):,} bytes follow the last tensor. Is {HEADER_LENGTH} right?"
        )
    return binary


@contextmanager
def _no_collections() -> Iterator[None]:
    """Millions of lists without a look for garbage among them at each ten thousand: a tenth of the
    time, in which nothing else runs."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")
