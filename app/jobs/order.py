"""A request for a job: its photos or their addresses, and what is written down of it."""

import hashlib
from collections.abc import Sequence

from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request

from chromaserve.errors import InvalidOptions
from chromaserve.photos.formats import Format
from chromaserve.photos.names import unique_names
from chromaserve.photos.photo import Header
from chromaserve.pipeline.album import SEEN_BYTES
from chromaserve.pipeline.body import Body, Upload
from chromaserve.pipeline.memory import Share
from chromaserve.pipeline.order import Order
from chromaserve.pipeline.pages import has_several

from ..arrivals import Arrivals
from ..errors import MalformedBody, too_many_photos
from ..json_photos import as_fields, decoded, parsed, read_json
from ..manifest import manifest
from ..responses import MAP_SUFFIX
from ..settings import Settings
from ..uploads import FIELD, REFERENCE, check_coding, joined, media_type, read_body
from .options import JobOptions
from .queued import NewJob, NewPhoto

UNKNOWN_BYTES = 4 * 2**20
"""Reserved for the result of a photo that is not here yet; one that is larger waits for room, for
some minutes."""
_PACKED: dict[Format, float] = {"png": 1.0, "tiff": 1.0, "jpeg": 0.34, "webp": 0.34}
"""A result's bytes by those of its pixels, at most but for noise."""
_LEAST_BYTES = 64 * 1024
"""Of any result, its metadata with it."""


class Address(BaseModel):
    """Where one photo of a job comes from."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=4096, description="It is fetched from there by GET.")
    out: str | None = Field(
        default=None,
        max_length=4096,
        description="Its result is sent there by PUT, and is not kept here; such as a presigned"
        " address of an object store.",
    )
    name: str | None = Field(
        default=None, max_length=4096, description="By default the last part of its address."
    )


_ADDRESSES = TypeAdapter(list[Address])


async def read_order(
    request: Request, settings: Settings, arrivals: Arrivals, share: Share
) -> tuple[Body, list[Address]]:
    """The photos of a request, as `read_body` has them, or addresses of as many, still empty.

    Raises:
        ServiceError: as `read_body`.
        InvalidOptions: addresses that are none.
    """
    most = settings.jobs_photos
    if media_type(request) != "application/json":
        return await read_body(request, settings, arrivals, share, most, referring=True), []
    check_coding(request)
    data = await joined(arrivals.receive(request, share))
    if b'"photos"' not in data:
        uploads, fields, reference = await run_in_threadpool(
            read_json, data, FIELD, most, REFERENCE
        )
        addresses: list[Address] = []
    else:
        addresses, fields, reference = await run_in_threadpool(_read, data, most)
        uploads = [Upload(_name(each), b"") for each in addresses]
    share.shrink(max(sum(len(each.data) for each in (*uploads, reference) if each), 1))
    return Body(uploads, fields, share, reference), addresses


def _read(data: bytes, most: int) -> tuple[list[Address], list[tuple[str, str]], Upload | None]:
    try:
        told = parsed(data, most)
        addresses = _ADDRESSES.validate_python(told.pop("photos", None))
    except MalformedBody as error:
        raise InvalidOptions(f"photos: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(["photos", *map(str, first["loc"])])
        raise InvalidOptions(
            f'{where[:100]}: {first["msg"]}. Send {{"photos": [{{"url": "https://…"}}]}}.'
        ) from error
    if not addresses:
        raise InvalidOptions("photos: there is none.")
    if len(addresses) > most:
        raise too_many_photos(most)
    text = told.pop(REFERENCE, None)
    reference = None if text is None else Upload(None, decoded(text, REFERENCE))
    return addresses, as_fields(told), reference


def _name(address: Address) -> str:
    return address.name or address.url.partition("?")[0].rstrip("/").rpartition("/")[2]


def check_pages(order: Order, uploads: Sequence[Upload]) -> None:
    """Raise InvalidOptions where a photo, as far as it is here, would be more than one result."""
    several = [each.header for each in uploads if has_several(each.header)]
    if order.pages == "all" and any(order.format_for(header) != "tiff" for header in several):
        raise InvalidOptions(
            "pages=all makes one result of a photo's pages, as a TIFF alone: ask for format=tiff,"
            " or for each by its page."
        )


def new_job(
    owner: str,
    key: str | None,
    chosen: JobOptions,
    order: Order,
    body: Body,
    addresses: Sequence[Address],
) -> NewJob:
    """What is written down of a job; digests of large photos take a while.

    Args:
        owner: whose it is.
        key: of idempotency.
        chosen: options.
        order: what they make of the photos; its hints name them by number.
        body: the photos, looked at; empty where they are to be fetched. And perhaps a reference.
        addresses: of each photo, or none at all.
    """
    uploads, reference = body.uploads, body.reference.data if body.reference else b""
    album = chosen.album and len(uploads) > 1
    kept = chosen.model_copy(update={"hints": order.hints, "album": album})
    options = kept.model_dump_json(exclude_defaults=True)
    digest = hashlib.sha256(options.encode() + hashlib.sha256(reference).digest())
    photos: list[NewPhoto] = []
    names = [upload.name for upload in uploads for _ in range(order.proposals)]
    kind = MAP_SUFFIX if order.confidence == "png" else ""
    stems, start = unique_names(names, [kind] * len(names)), len(reference)
    for place, upload in enumerate(uploads):
        address = addresses[place] if addresses else None
        told = address.model_dump_json() if address else repr((upload.name, len(upload.data)))
        digest.update(told.encode())
        digest.update(upload.data)
        for _ in range(order.proposals):
            photos.append(
                NewPhoto(
                    upload.name,
                    stems[len(photos)],
                    start,
                    len(upload.data),
                    upload.pixels,
                    _reserved(upload, order, address),
                    address.url if address else None,
                    address.out if address else None,
                )
            )
        start += len(upload.data)
    told = manifest(order, []).model_dump_json()
    album_bytes = len(photos) * SEEN_BYTES if album else 0
    return NewJob(
        "", owner, key, digest.hexdigest(), options, told, chosen.callback, photos, album_bytes
    )


def _reserved(upload: Upload, order: Order, address: Address | None) -> int:
    """Bytes of disk that a result may take."""
    if address:
        return 0 if address.out else UNKNOWN_BYTES
    header = upload.header
    if not isinstance(header, Header):
        return 0
    pages = max(1, len(header.pages)) if order.pages == "all" else 1
    raw = header.pixels * (3 + header.alpha) * header.bits // 8 * pages
    return _LEAST_BYTES + int(raw * _PACKED[order.format_for(header)])
