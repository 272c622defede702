"""Successful responses: one bare image, or many photos streamed as ZIP or JSON."""

import asyncio
import base64
import io
import json
import struct
import time
import zipfile
import zlib
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any, Self

from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from chromaserve.photos.formats import MEDIA_TYPES, SUFFIXES
from chromaserve.photos.names import ZIP_FIELD, content_disposition, unique_names
from chromaserve.pipeline.body import Upload
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.pipeline import Colored

from .departures import Departures
from .limits import cut_off
from .manifest import Manifest, PhotoResult, describe, manifest
from .requests import PhotoRun

_CHUNK = 64 * 1023
"""Bytes sent at a time: who takes so many within `send_timeout_s` has not stalled. Base64 of
whole triplets can be joined."""

MAP_SUFFIX = "-confidence"

Chunks = AsyncGenerator[bytes | memoryview, None]


class HeldStream(StreamingResponse):
    """A stream that gives back what its request holds when it ends, however it ends."""

    def __init__(
        self,
        chunks: Chunks,
        held: AsyncExitStack,
        media_type: str,
        headers: dict[str, str],
        *,
        done: bool = False,
    ) -> None:
        """`done`: chunks are there, so that none needs to be given up when the client goes."""
        super().__init__(chunks, headers=headers, media_type=media_type)
        self._chunks = chunks
        self._held = held
        self._done = done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        # A generator that nobody asks any more would keep what it holds until it is collected.
        async with self._held, aclosing(self._chunks):
            if self._done:
                await self.stream_response(send)
            else:
                await super().__call__(scope, receive, send)


class ResultStream(HeldStream):
    """Results of photos, which a reader who takes them too slowly loses where others need room."""

    def __init__(
        self,
        chunks: Chunks,
        run: PhotoRun,
        held: AsyncExitStack,
        media_type: str,
        headers: dict[str, str],
        *,
        done: bool = False,
    ) -> None:
        super().__init__(chunks, held, media_type, headers, done=done)
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream, and count what the client takes of it."""
        departures: Departures = scope["app"].state.service.departures

        async def counting(message: Message) -> None:
            await send(message)
            departure.sent += len(message.get("body", b""))

        try:
            async with asyncio.timeout(None) as limit:
                with departures.leaving(self._run, limit) as departure:
                    await super().__call__(scope, receive, counting)
        except TimeoutError:
            if not departure.cut:
                raise
            await cut_off(scope, 503)


def image_response(
    upload: Upload, run: PhotoRun, colored: Colored, order: Order, held: AsyncExitStack
) -> ResultStream:
    """One result, bare."""
    name = _names([upload], order)[0]
    headers = {
        "Content-Length": str(len(colored.data)),
        "Content-Disposition": content_disposition(name),
        **_headers(order, colored),
        **_told(colored),
    }
    media_type = MEDIA_TYPES[colored.format]
    return ResultStream(pieces(colored.data), run, held, media_type, headers, done=True)


def zip_response(
    uploads: list[Upload], run: PhotoRun, first: Colored, order: Order, held: AsyncExitStack
) -> ResultStream:
    """Results as they finish, stored in a ZIP, with manifest.json at its end."""
    headers = {"Content-Disposition": content_disposition("colorized.zip")}
    headers |= _headers(order, first)
    return ResultStream(_zip(uploads, run, order), run, held, "application/zip", headers)


def json_response(
    uploads: list[Upload], run: PhotoRun, first: Colored, order: Order, held: AsyncExitStack
) -> ResultStream:
    """Results as they finish, in base64 in one JSON document, a `Manifest`."""
    chunks = _json(uploads, run, order)
    return ResultStream(chunks, run, held, "application/json", _headers(order, first))


def _headers(order: Order, colored: Colored) -> dict[str, str]:
    return {
        "Server-Timing": colored.timings.header(),
        "X-Model-Version": str(order.model.version),
    }


def _told(colored: Colored) -> dict[str, str]:
    """What one photo was, in headers."""
    told = colored.told
    headers = {"X-Photo-Colour": f"{told.colour}; kept" if told.kept else told.colour}
    if told.page:
        headers["X-Photo-Page"] = told.page
    if told.warnings:
        headers["X-Photo-Warning"] = " ".join(told.warnings)
    if told.assessed:
        headers["X-Photo-Confidence"] = f"{told.assessed.figure:g}"
        headers["X-Hint-Places"] = " ".join(f"{x:g},{y:g}" for x, y in told.assessed.places)
    return headers


def _names(uploads: list[Upload], order: Order) -> list[str]:
    kind = MAP_SUFFIX if order.confidence == "png" else ""
    endings = [each.ending + kind + SUFFIXES[order.format_for(each.header)] for each in uploads]
    return unique_names([upload.name for upload in uploads], endings)


async def pieces(data: bytes | memoryview) -> Chunks:
    """Data in pieces that a slow client takes one by one."""
    for piece in _slices(data):
        yield piece


def _slices(data: bytes | memoryview) -> Iterator[memoryview]:
    view = memoryview(data)
    return (view[i : i + _CHUNK] for i in range(0, len(data), _CHUNK))


async def _zip(uploads: list[Upload], run: PhotoRun, order: Order) -> Chunks:
    names = _names(uploads, order)
    sink = Sink()
    archive = zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED)
    results: list[PhotoResult] = []
    async for outcome in run:
        index = len(results)
        results.append(describe(index, uploads[index], names[index], outcome))
        if isinstance(outcome, Colored):
            with outcome.share:
                entry = await asyncio.to_thread(Entry.of, names[index], outcome.data)
                entry.tell(outcome.told.members())
                with archive.open(entry, "w") as file:
                    for piece in _slices(outcome.data):
                        file.write(piece)
                        for chunk in sink.drain():
                            yield chunk
            del outcome, piece, chunk  # the next one may take a while
    for chunk in last_of(archive, sink, manifest(order, results)):
        yield chunk


def last_of(
    archive: zipfile.ZipFile, sink: "Sink", manifest: Manifest
) -> Iterator[bytes | memoryview]:
    """The end of a ZIP: manifest.json, and what is closed by it."""
    told = manifest.model_dump(mode="json", exclude_none=True)
    text = json.dumps(told, indent=2, ensure_ascii=False).encode()
    with archive.open(Entry.of("manifest.json", text), "w") as file:
        file.write(text)
    archive.close()
    yield from sink.drain()


async def _json(uploads: list[Upload], run: PhotoRun, order: Order) -> Chunks:
    names = _names(uploads, order)
    index = 0
    yield manifest(order, []).model_dump_json().removesuffix("]}").encode()
    async for outcome in run:
        entry = describe(index, uploads[index], names[index], outcome)
        text = entry.model_dump_json(exclude_none=True)
        yield b"," if index else b""
        if isinstance(outcome, Colored):
            with outcome.share:
                yield text.removesuffix("}").encode() + b',"image":"'
                for piece in _slices(outcome.data):
                    yield base64.b64encode(piece)
                yield b'"}'
            del outcome, piece  # the next one may take a while
        else:
            yield text.encode()
        index += 1
    yield b"]}"


class Entry(zipfile.ZipInfo):
    """An entry whose header says from the first how long it is: tools unpack while they load.

    zipstream-ng, which streams too, puts lengths behind the data, where such tools cannot use them.
    """

    def __init__(self, name: str, crc: int, size: int) -> None:
        super().__init__(name, time.localtime()[:6])
        self._known = crc, size

    @classmethod
    def of(cls, name: str, data: bytes) -> Self:
        """The entry of so named data."""
        return cls(name, zlib.crc32(data), len(data))

    def tell(self, members: Mapping[str, Any]) -> None:
        """Say what is told of the photo, for programs that read the archive while it comes."""
        told = json.dumps(members).encode()
        self.extra = struct.pack("<HH", ZIP_FIELD, len(told)) + told

    def FileHeader(self, zip64: bool | None = None) -> bytes:  # noqa: N802 - zipfile's own name
        """The entry's local header."""
        self.CRC, self.file_size = self._known
        self.compress_size = self.file_size
        return super().FileHeader(zip64)


class Sink(io.RawIOBase):
    """A file for `zipfile` that hands on what is written, without copies of it.

    `zipfile` writes an entry's header once more at the entry's end; it is the same one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._position = self._end = 0
        self._written: list[bytes | memoryview] = []

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """To where an entry's header is."""
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        """Take the next bytes; what is written a second time is left out."""
        if self._position == self._end:
            self._written.append(data)
        self._position += len(data)
        self._end = max(self._end, self._position)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back; of a ZIP that is given up `zipfile` asks after this is closed."""

    def tell(self) -> int:
        """Where the next bytes go."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        assert whence == io.SEEK_SET
        self._position = offset
        return offset

    def drain(self) -> list[bytes | memoryview]:
        """What was written since the last call."""
        written, self._written = self._written, []
        return written
