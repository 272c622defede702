"""Reading photos and options from a request body, in memory and within limits."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from chromaserve.pipeline.body import Body, Upload
from chromaserve.pipeline.memory import Share

from .arrivals import Arrivals, too_large
from .errors import MalformedBody, NoPhoto, TooManyPhotos, UnsupportedBody
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
        raise too_large(settings.max_upload_bytes)
    return int(header)


async def read_body(request: Request, settings: Settings, arrivals: Arrivals, share: Share) -> Body:
    """Read photos and form fields; `share` grows with the bytes and shrinks to what is kept.

    Raises:
        BodyTooLarge, TooManyPhotos: over a limit.
        UnsupportedBody: a Content-Type that does not carry photos.
        MalformedBody: multipart that cannot be taken apart.
        NoPhoto: no photo in it.
        UploadStalled: the client sends too slowly.
        Busy: there is no room for what it sends.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    stream = arrivals.receive(request, share)
    if media_type == "multipart/form-data":
        async with aclosing(stream):
            uploads, fields = await _read_multipart(request, stream, settings)
    elif media_type.startswith("image/") or media_type in ("", "application/octet-stream"):
        uploads, fields = [Upload(None, await joined(stream))], []
        if not uploads[0].data:
            raise NoPhoto(f"The request body is empty. {_HOW}")
    else:
        raise UnsupportedBody(f"A body of type {media_type[:80]} is not accepted. {_HOW}")
    share.shrink(max(sum(len(upload.data) for upload in uploads), 1))
    return Body(uploads, fields, share)


async def joined(stream: AsyncGenerator[bytes, None]) -> bytes:
    """All pieces of a body."""
    async with aclosing(stream):
        return b"".join([piece async for piece in stream])


async def _read_multipart(
    request: Request, stream: AsyncGenerator[bytes, None], settings: Settings
) -> tuple[list[Upload], list[tuple[str, str]]]:
    parser = MultiPartParser(
        _boundary_alone(request.headers),
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


def _boundary_alone(headers: Headers) -> Headers:
    """The Content-Type without its charset: the client does not choose what runs to decode."""
    _, parameters = parse_options_header(headers["content-type"])
    boundary = parameters.get(b"boundary", b"")
    if not boundary:
        raise MalformedBody(f"The multipart body names no boundary. {_HOW}")
    quoted = boundary.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    value = b'multipart/form-data; charset=utf-8; boundary="' + quoted + b'"'
    return Headers(raw=[(b"content-type", value)])


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
