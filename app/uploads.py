"""Reading photos and options from a request body, in memory and within limits."""

import asyncio
from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from chromaserve.errors import BodyTooLarge
from chromaserve.pipeline.body import Body, Upload
from chromaserve.pipeline.memory import Share

from .errors import MalformedBody, NoPhoto, TooManyPhotos, UnsupportedBody, UploadStalled
from .settings import Settings

FIELD = "file"
_MAX_FIELDS = 16
_MAX_FIELD_BYTES = 64 * 1024  # as many hints as there may be, their numbers at full length
_HOW = f"Send the photo as the multipart field `{FIELD}`, or bare as an image/* body."


def announced_length(request: Request, settings: Settings) -> int | None:
    """Content-Length, None without one.

    Raises:
        BodyTooLarge: it exceeds the limit, so that not a byte need be read.
    """
    header = request.headers.get("content-length", "")
    if not header.isdecimal():
        return None
    if int(header) > settings.max_upload_bytes:
        raise _too_large(settings)
    return int(header)


async def read_body(request: Request, settings: Settings, share: Share) -> Body:
    """Read photos and form fields; `share` accounts for the bytes and shrinks to what is kept.

    Raises:
        BodyTooLarge, TooManyPhotos: over a limit.
        UnsupportedBody: a Content-Type that does not carry photos.
        MalformedBody: multipart that cannot be taken apart.
        NoPhoto: no photo in it.
        UploadStalled: the client has been silent for too long.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    stream = limited(request, settings)
    if media_type == "multipart/form-data":
        uploads, fields = await _read_multipart(request, stream, settings)
    elif media_type.startswith("image/") or media_type in ("", "application/octet-stream"):
        chunks = [chunk async for chunk in stream]
        uploads, fields = [Upload(None, b"".join(chunks))], []
        if not uploads[0].data:
            raise NoPhoto(f"The request body is empty. {_HOW}")
    else:
        raise UnsupportedBody(f"A body of type {media_type[:80]} is not accepted. {_HOW}")
    share.shrink(max(sum(len(upload.data) for upload in uploads), 1))
    return Body(uploads, fields, share)


async def limited(request: Request, settings: Settings) -> AsyncGenerator[bytes, None]:
    """The body's chunks, counted and timed.

    Raises:
        BodyTooLarge, UploadStalled: see `read_body`.
    """
    stream = request.stream()
    count = 0
    while True:
        try:
            async with asyncio.timeout(settings.upload_timeout_s):
                chunk = await anext(stream, None)
        except TimeoutError as error:
            raise UploadStalled(
                f"Nothing arrived for {settings.upload_timeout_s:g} s. Send the request again."
            ) from error
        if chunk is None:
            return
        count += len(chunk)
        if count > settings.max_upload_bytes:
            raise _too_large(settings)
        yield chunk


def _too_large(settings: Settings) -> BodyTooLarge:
    return BodyTooLarge(
        f"A request body may have {settings.max_upload_bytes:,} bytes at most. Send fewer photos"
        " in one request, or smaller ones.",
        limit=settings.max_upload_bytes,
    )


async def _read_multipart(
    request: Request, stream: AsyncGenerator[bytes, None], settings: Settings
) -> tuple[list[Upload], list[tuple[str, str]]]:
    parser = MultiPartParser(
        request.headers,
        stream,
        max_files=settings.max_photos + 1,
        max_fields=_MAX_FIELDS,
        max_part_size=_MAX_FIELD_BYTES,
    )
    # Never to disk: a container's /tmp may be memory too, and that nobody would count.
    parser.spool_max_size = settings.max_upload_bytes + 1
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise too_many_photos(settings.max_photos) from error
        raise MalformedBody(f"{error.message.rstrip('.')}. {_HOW}") from error
    except (UnicodeError, ValueError, KeyError) as error:
        raise MalformedBody(f"The multipart body cannot be taken apart. {_HOW}") from error
    uploads: list[Upload] = []
    fields: list[tuple[str, str]] = []
    for name, value in form.multi_items():
        if isinstance(value, str):
            fields.append((name, value))
            continue
        if name != FIELD:
            await form.close()
            raise NoPhoto(f"A file came in the field {name[:50]!r}. {_HOW}")
        uploads.append(await _taken(value))
    if any(name == FIELD for name, _ in fields):
        raise NoPhoto(f"The field `{FIELD}` came as text, without a filename. {_HOW}")
    if not [upload for upload in uploads if upload.data or upload.name]:
        raise NoPhoto(f"The request holds no photo. {_HOW}")
    if len(uploads) > settings.max_photos:
        raise too_many_photos(settings.max_photos)
    return uploads, fields


async def _taken(file: UploadFile) -> Upload:
    """The file's bytes, its buffer let go."""
    data = await file.read()
    await file.close()
    return Upload(file.filename or None, data)


def too_many_photos(limit: int) -> TooManyPhotos:
    """The error for a request that holds more photos than one may."""
    return TooManyPhotos(
        f"A request may hold {limit} photos at most. Send the rest in another.", limit=limit
    )
