"""Reading photos and options from a request body, in memory and within limits."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from email.header import decode_header
from urllib.parse import unquote_to_bytes

from fastapi.concurrency import run_in_threadpool
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from chromaserve.errors import InvalidOptions
from chromaserve.pipeline.body import Body, Upload
from chromaserve.pipeline.memory import Share

from .arrivals import Arrivals, too_large
from .errors import MalformedBody, NoPhoto, UnsupportedBody, too_many_photos
from .json_photos import read_json
from .settings import Settings

FIELD, REFERENCE = "file", "reference"
_MAX_FIELDS = 32
"""Of a form: every option, and some."""
_MAX_FIELD_BYTES = 128 * 1024  # as many points of hints as there may be, numbers at full length
_HOW = f"Send the photo as the multipart field `{FIELD}`, or bare as an image/* body."
_EXTENDED = re.compile(rb"""filename\*=["']?(utf-8|iso-8859-1)'[^']*'([^;"\s]*)""", re.IGNORECASE)
_CHARSETS = (None, "utf-8", "us-ascii", "iso-8859-1")
_MAX_NAME = 4096
_AS_IT_IS = ("", "binary", "8bit", "7bit")


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


def media_type(request: Request) -> str:
    """What the body is, in lower case and without parameters; empty where nobody says."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def content_coding(request: Request) -> str:
    """What the body is encoded by beside its own format; empty where it is by nothing."""
    given = ",".join(request.headers.getlist("content-encoding")).lower().split(",")
    return ", ".join(each.strip() for each in given if each.strip() not in ("", "identity"))


def check_coding(request: Request) -> None:
    """Raise UnsupportedBody where the body is encoded once more."""
    if coding := content_coding(request):
        raise UnsupportedBody(
            f"A body in the coding {coding[:50]!r} is not accepted: photos are compressed already."
            " Send it without Content-Encoding."
        )


async def read_body(
    request: Request,
    settings: Settings,
    arrivals: Arrivals,
    share: Share,
    max_photos: int | None = None,
    *,
    referring: bool = False,
) -> Body:
    """Read photos and form fields; `share` grows with the bytes and shrinks to what is kept.

    Args:
        request: whose body it is.
        settings: limits of it.
        arrivals: by which it is received.
        share: of the memory for uploads.
        max_photos: by default as many as a request to colorize may hold.
        referring: whether there may be a photo whose colours the others are to have.

    Raises:
        BodyTooLarge, TooManyPhotos: over a limit.
        UnsupportedBody: a Content-Type that does not carry photos.
        MalformedBody: multipart that cannot be taken apart.
        NoPhoto: no photo in it.
        UploadStalled: the client sends too slowly.
        Busy: there is no room for what it sends.
    """
    check_coding(request)
    kind = media_type(request)
    most = max_photos or settings.max_photos
    stream, reference = arrivals.receive(request, share), None
    if kind == "multipart/form-data":
        async with aclosing(stream):
            parts = await _read_multipart(request, stream, settings, most, referring=referring)
            uploads, fields, reference = parts
    elif kind.startswith("image/") or kind in ("", "application/octet-stream"):
        uploads, fields = [Upload(None, await joined(stream))], []
        if not uploads[0].data:
            raise NoPhoto(f"The request body is empty. {_HOW}")
    elif kind == "application/json":
        uploads, fields, reference = await run_in_threadpool(
            read_json, await joined(stream), FIELD, most, REFERENCE if referring else None
        )
    else:
        raise UnsupportedBody(f"A body of type {kind[:80]} is not accepted. {_HOW}")
    share.shrink(max(sum(len(each.data) for each in (*uploads, reference) if each), 1))
    return Body(uploads, fields, share, reference)


async def joined(stream: AsyncGenerator[bytes, None]) -> bytes:
    """All pieces of a body."""
    async with aclosing(stream):
        return b"".join([piece async for piece in stream])


async def _read_multipart(
    request: Request,
    stream: AsyncGenerator[bytes, None],
    settings: Settings,
    most: int,
    *,
    referring: bool,
) -> tuple[list[Upload], list[tuple[str, str]], Upload | None]:
    parser = _Parser(
        _boundary_alone(request.headers),
        stream,
        max_files=most + 1 + referring,
        max_fields=_MAX_FIELDS,
        max_part_size=_MAX_FIELD_BYTES,
    )
    # Never to disk: a container's /tmp may be memory too, and that nobody would count.
    parser.spool_max_size = settings.max_upload_bytes + 1
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise too_many_photos(most) from error
        raise MalformedBody(f"{error.message.rstrip('.')}. {_HOW}") from error
    except (UnicodeError, ValueError, KeyError) as error:
        raise MalformedBody(f"The multipart body cannot be taken apart. {_HOW}") from error
    if not parser.is_whole:
        await form.close()
        raise MalformedBody(f"The multipart body ends before its last boundary. {_HOW}")
    uploads: list[Upload] = []
    references: list[Upload] = []
    fields: list[tuple[str, str]] = []
    for name, value in form.multi_items():
        if isinstance(value, str):
            fields.append((name, value))
            continue
        if name != FIELD and not (referring and name == REFERENCE):
            await form.close()
            raise NoPhoto(f"A file came in the field {name[:50]!r}. {_HOW}")
        (uploads if name == FIELD else references).append(await _taken(value))
    # A form whose field was left empty sends a file of no bytes, without a name; or as a blob.
    uploads = [each for each in uploads if each.data or each.name]
    if not uploads:
        raise NoPhoto(f"The request holds no photo. {_HOW}")
    if len(uploads) > most:
        raise too_many_photos(most)
    references = [each for each in references if each.data or each.name not in (None, "blob")]
    if len(references) > 1:
        raise InvalidOptions(f"reference is one photo, and {len(references)} came. Send one.")
    return uploads, fields, references[0] if references else None


class _Parser(MultiPartParser):
    """Starlette's, which knows a photo by its field, whether its name is there or not."""

    is_whole = False

    def on_end(self) -> None:
        """The last boundary is here."""
        self.is_whole = True

    def on_headers_finished(self) -> None:
        """A part begins."""
        part = self._current_part
        coding = Headers(raw=part.item_headers).get("content-transfer-encoding", "").strip().lower()
        if coding not in _AS_IT_IS:  # which nobody is to use (RFC 7578, 4.7)
            raise MultiPartException(f"A part is in {coding[:50]}: send its bytes as they are")
        disposition = part.content_disposition or b""
        _, told = parse_options_header(disposition)
        field = told.get(b"name", b"").decode("latin-1")
        if field in (FIELD, REFERENCE):
            name = _file_name(disposition, told.get(b"filename", b""))
            part.content_disposition = _named(field, name)
        super().on_headers_finished()


def _file_name(disposition: bytes, plain: bytes) -> str:
    """A photo's name, empty where there is none.

    `plain` as browsers send it (RFC 7578), or in an encoded word (RFC 2047), as .NET does, which
    adds `filename*` (RFC 5987); that counts where it is alone.
    """
    if extended := _EXTENDED.search(disposition) if not plain else None:
        charset = extended[1].decode().lower()
        return unquote_to_bytes(extended[2]).decode(charset, "replace")
    try:
        name = plain.decode()
    except UnicodeDecodeError:
        return plain.decode("latin-1")
    if name.startswith("=?") and len(name) < _MAX_NAME:
        words = decode_header(name)
        # The client does not choose what runs to decode.
        if all(charset in _CHARSETS for _, charset in words):
            return "".join(
                word if isinstance(word, str) else word.decode(charset or "ascii", "replace")
                for word, charset in words
            )
    return name


def _named(field: str, name: str) -> bytes:
    quoted = _quoted(name.encode("utf-8", "replace"))
    return b'form-data; name="' + field.encode() + b'"; filename=' + quoted


def _quoted(value: bytes) -> bytes:
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _boundary_alone(headers: Headers) -> Headers:
    """The Content-Type without its charset: the client does not choose what runs to decode."""
    _, parameters = parse_options_header(headers["content-type"])
    boundary = parameters.get(b"boundary", b"")
    if not boundary:
        raise MalformedBody(f"The multipart body names no boundary. {_HOW}")
    value = b"multipart/form-data; charset=utf-8; boundary=" + _quoted(boundary)
    return Headers(raw=[(b"content-type", value)])


async def _taken(file: UploadFile) -> Upload:
    """The file's bytes, its buffer let go."""
    data = await file.read()
    await file.close()
    return Upload(file.filename or None, data)
