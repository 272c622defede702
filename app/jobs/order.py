"""A request for a job: its photos or their addresses, and what is written down of it."""

import hashlib
import json
from collections.abc import Sequence

from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from chromaserve.errors import InvalidOptions
from chromaserve.photos.formats import Format
from chromaserve.photos.names import unique_names
from chromaserve.photos.photo import Header
from chromaserve.pipeline.body import Body, Upload
from chromaserve.pipeline.memory import Share
from chromaserve.pipeline.options import Order

from ..arrivals import Arrivals
from ..json_photos import read_json
from ..manifest import manifest
from ..settings import Settings
from ..uploads import FIELD, joined, read_body, too_many_photos
from .options import JobOptions
from .store import NewJob, NewPhoto

UNKNOWN_BYTES = 4 * 2**20
"""Reserved for the result of a photo that is not here yet; one that is larger waits for room."""
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
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    most = settings.jobs_photos
    if media_type != "application/json":
        return await read_body(request, settings, arrivals, share, most), []
    data = await joined(arrivals.receive(request, share))
    if b'"photos"' not in data:
        uploads, fields, _ = await run_in_threadpool(read_json, data, FIELD)
        if len(uploads) > most:
            raise too_many_photos(most)
        share.shrink(max(sum(len(upload.data) for upload in uploads), 1))
        return Body(uploads, fields, share), []
    addresses, fields = await run_in_threadpool(_read, data)
    if len(addresses) > most:
        raise too_many_photos(most)
    share.shrink(1)
    return Body([Upload(_name(each), b"") for each in addresses], fields, share), addresses


def _read(data: bytes) -> tuple[list[Address], list[tuple[str, str]]]:
    try:
        told = from_json(data, allow_inf_nan=False)
        addresses = _ADDRESSES.validate_python(told.pop("photos"))
    except (ValueError, AttributeError, KeyError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        said = f"{first['loc']}: {first['msg']}" if first else str(error)
        raise InvalidOptions(
            f'photos: {said}. Send {{"photos": [{{"url": "https://…"}}]}}.'
        ) from error
    if not addresses:
        raise InvalidOptions("photos: there is none.")
    plain = {k: v if isinstance(v, str) else json.dumps(v) for k, v in told.items()}
    return addresses, list(plain.items())


def _name(address: Address) -> str:
    return address.name or address.url.partition("?")[0].rstrip("/").rpartition("/")[2]


def new_job(
    owner: str,
    key: str | None,
    chosen: JobOptions,
    order: Order,
    uploads: Sequence[Upload],
    addresses: Sequence[Address],
) -> NewJob:
    """What is written down of a job; digests of large photos take a while.

    Args:
        owner: whose it is.
        key: of idempotency.
        chosen: options.
        order: what they make of the photos.
        uploads: the photos, looked at; empty where they are to be fetched.
        addresses: of each photo, or none at all.
    """
    options = chosen.model_dump_json(exclude_defaults=True)
    digest = hashlib.sha256(options.encode())
    photos: list[NewPhoto] = []
    names = [upload.name for upload in uploads for _ in range(order.proposals)]
    stems, start = unique_names(names, [""] * len(names)), 0
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
    return NewJob("", owner, key, digest.hexdigest(), options, told, chosen.callback, photos)


def _reserved(upload: Upload, order: Order, address: Address | None) -> int:
    """Bytes of disk that a result may take."""
    if address:
        return 0 if address.out else UNKNOWN_BYTES
    header = upload.header
    if not isinstance(header, Header):
        return 0
    raw = header.pixels * (3 + header.alpha) * header.bits // 8 * max(1, len(header.pages))
    return _LEAST_BYTES + int(raw * _PACKED[order.format_for(header)])
