"""Successful responses: one bare image, or many photos streamed as ZIP or JSON."""

import asyncio
import base64
import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from chromaserve.photos.encode import EXTENSIONS, MEDIA_TYPES
from chromaserve.photos.names import content_disposition, unique_names
from chromaserve.pipeline.body import Upload
from chromaserve.pipeline.options import Order
from chromaserve.pipeline.pipeline import Colored

from .manifest import PhotoResult, describe, manifest
from .requests import PhotoRun

_CHUNK = 256 * 1024

Chunks = AsyncIterator[bytes | memoryview]


class HeldStream(StreamingResponse):
    """A stream that gives back what its request holds when it ends, however it ends."""

    def __init__(
        self, chunks: Chunks, held: AsyncExitStack, media_type: str, headers: dict[str, str]
    ) -> None:
        super().__init__(chunks, headers=headers, media_type=media_type)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        async with self._held:
            await super().__call__(scope, receive, send)


def image_response(
    upload: Upload, colored: Colored, order: Order, held: AsyncExitStack
) -> HeldStream:
    """One result, bare."""
    name = unique_names([upload.name], EXTENSIONS[order.format])[0]
    headers = {
        "Content-Length": str(len(colored.data)),
        "Content-Disposition": content_disposition(name),
        **_headers(order, colored),
    }
    return HeldStream(pieces(colored.data), held, MEDIA_TYPES[order.format], headers)


def zip_response(
    uploads: list[Upload], run: PhotoRun, first: Colored, order: Order, held: AsyncExitStack
) -> HeldStream:
    """Results as they finish, stored in a ZIP, with manifest.json at its end."""
    headers = {"Content-Disposition": content_disposition("colorized.zip")}
    headers |= _headers(order, first)
    return HeldStream(_zip(uploads, run, order), held, "application/zip", headers)


def json_response(
    uploads: list[Upload], run: PhotoRun, first: Colored, order: Order, held: AsyncExitStack
) -> HeldStream:
    """Results as they finish, in base64 in one JSON document, a `Manifest`."""
    chunks = _json(uploads, run, order)
    return HeldStream(chunks, held, "application/json", _headers(order, first))


def _headers(order: Order, colored: Colored) -> dict[str, str]:
    return {
        "Server-Timing": colored.timings.header(),
        "X-Model-Version": str(order.model.version),
    }


async def pieces(data: bytes | memoryview) -> Chunks:
    """Data in pieces that a slow client takes one by one."""
    view = memoryview(data)
    for i in range(0, len(data), _CHUNK):
        yield view[i : i + _CHUNK]


async def _zip(uploads: list[Upload], run: PhotoRun, order: Order) -> Chunks:
    names = unique_names([upload.name for upload in uploads], EXTENSIONS[order.format])
    sink = _Sink()
    archive = zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED)
    results: list[PhotoResult] = []
    async for outcome in run:
        index = len(results)
        results.append(describe(index, uploads[index], names[index], outcome))
        if isinstance(outcome, Colored):
            with outcome.share:
                await asyncio.to_thread(archive.writestr, names[index], outcome.data)
                for chunk in sink.drain():
                    yield chunk
    told = manifest(order, results).model_dump(mode="json", exclude_none=True)
    archive.writestr("manifest.json", json.dumps(told, indent=2, ensure_ascii=False))
    archive.close()
    for chunk in sink.drain():
        yield chunk


async def _json(uploads: list[Upload], run: PhotoRun, order: Order) -> Chunks:
    names = unique_names([upload.name for upload in uploads], EXTENSIONS[order.format])
    index = 0
    yield manifest(order, []).model_dump_json().removesuffix("]}").encode()
    async for outcome in run:
        entry = describe(index, uploads[index], names[index], outcome)
        text = entry.model_dump_json(exclude_none=True)
        yield b"," if index else b""
        if isinstance(outcome, Colored):
            with outcome.share:
                yield text.removesuffix("}").encode() + b',"image":"'
                view = memoryview(outcome.data)
                step = _CHUNK // 3 * 3  # base64 of whole triplets can be joined
                for i in range(0, len(view), step):
                    yield base64.b64encode(view[i : i + step])
                yield b'"}'
        else:
            yield text.encode()
        index += 1
    yield b"]}"


class _Sink(io.RawIOBase):
    """A file for `zipfile` that hands on what is written, yet lets an entry's header be patched.

    Only what was written since the last `drain` is in memory and can be sought to.
    """

    def __init__(self) -> None:
        super().__init__()
        self._drained = 0
        self._buffer = io.BytesIO()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        return self._buffer.write(data)

    def tell(self) -> int:
        return self._drained + self._buffer.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        assert whence == io.SEEK_SET
        return self._drained + self._buffer.seek(offset - self._drained)

    def drain(self) -> list[memoryview]:
        """What was written since the last call, in pieces."""
        written = self._buffer.getbuffer()
        self._drained += len(written)
        self._buffer = io.BytesIO()
        return [written[i : i + _CHUNK] for i in range(0, len(written), _CHUNK)]
