"""An inference response: JSON, with the output in it or as binary data behind it."""

import base64
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..responses import Chunks, HeldStream, pieces
from .catalogue import TensorSpec
from .message import HEADER_LENGTH
from .tensors import Float, written_bytes

Encoded = Sequence[bytes | memoryview]


@dataclass(frozen=True)
class Output:
    """The model's one output, ready to be sent."""

    spec: TensorSpec
    rows: int
    data: Encoded
    """Binary data, or the inside of a JSON array."""
    binary: bool

    def described(self) -> dict[str, Any]:
        """The protocol's `response_output`, without its data."""
        parameters: dict[str, Any] = {}
        if self.binary:
            parameters["binary_data_size"] = sum(len(piece) for piece in self.data)
        elif self.spec.datatype == "BYTES":
            parameters["content_type"] = "base64"
        told = {**self.spec.metadata(), "shape": [self.rows, *self.spec.shape[1:]]}
        return {**told, "parameters": parameters} if parameters else told


def floats(spec: TensorSpec, rows: list[Float], binary: bool) -> Output:
    """An FP32 output from its rows; blocks for milliseconds a row where it goes out as JSON."""
    data: list[bytes | memoryview] = []
    for i, row in enumerate(rows):
        if binary:
            data.append(np.ascontiguousarray(row, "<f4").data.cast("B"))
        else:
            text = json.dumps(row.ravel().tolist(), separators=(",", ":"))
            data += [b"," if i else b"", text[1:-1].encode()]
    return Output(spec, len(rows), data, binary)


def encoded(spec: TensorSpec, elements: list[bytes], binary: bool) -> Output:
    """A BYTES output; in JSON as base64."""
    if binary:
        return Output(spec, len(elements), written_bytes(elements), binary)
    data: list[bytes] = []
    for i, each in enumerate(elements):
        data += [b',"' if i else b'"', base64.b64encode(each), b'"']
    return Output(spec, len(elements), data, binary)


def response(
    told: dict[str, Any], output: Output, headers: dict[str, str], held: AsyncExitStack
) -> HeldStream:
    """The whole response; `told` is what its JSON says beside the outputs."""
    head = json.dumps({**told, "outputs": [output.described()]}, separators=(",", ":")).encode()
    if output.binary:
        tail = b""
        headers = {**headers, HEADER_LENGTH: str(len(head))}
        media_type = "application/octet-stream"
    else:
        head, tail = head.removesuffix(b"}]}") + b',"data":[', b"]}]}"
        media_type = "application/json"
    length = len(head) + sum(len(piece) for piece in output.data) + len(tail)
    headers = {**headers, "Content-Length": str(length)}
    return HeldStream(_stream(head, output.data, tail), held, media_type, headers, done=True)


async def _stream(head: bytes, data: Encoded, tail: bytes) -> Chunks:
    for each in (head, *data, tail):
        async for piece in pieces(each):
            yield piece
