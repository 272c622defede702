"""Photos and options from a JSON body: base64 or data: URLs, as pages and workflows have them."""

import json
from base64 import b64decode
from codecs import BOM_UTF8
from string import whitespace
from typing import Any
from urllib.parse import unquote

from pydantic_core import from_json

from chromaserve.pipeline.body import Upload

from .errors import MalformedBody, NoPhoto, too_many_photos

_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_HOW = 'Send {"file": "data:image/jpeg;base64,…"}, or a list of such texts for several photos.'
_VALUES = 64 * 1024
"""Lists, objects and what is in them, beside the photos: each takes many times its bytes."""
_A_PHOTO = 8
"""So many more for each: a list, or an address with all that belongs to it."""


def parsed(body: bytes, most: int) -> dict[str, Any]:
    """A body's JSON object, of so many photos at most.

    Raises:
        MalformedBody: it is none, or one of so many values that reading it takes too much.
    """
    limit = _VALUES + _A_PHOTO * most
    if sum(map(body.count, (b",", b"[", b"{"))) > limit:
        raise MalformedBody(f"The JSON has more than {limit:,} values. {_HOW}")
    body = body.removeprefix(BOM_UTF8)  # as Windows' editors write it
    try:
        told = from_json(body, allow_inf_nan=False, cache_strings="none")
    except ValueError as error:
        raise MalformedBody(f"The body is no JSON: {error}. {_HOW}") from error
    if not isinstance(told, dict):
        raise MalformedBody(f"The body is no JSON object. {_HOW}")
    return told


def read_json(
    body: bytes, field: str, most: int, beside: str | None = None
) -> tuple[list[Upload], list[tuple[str, str]], Upload | None]:
    """The photos of `field`, one text or a list of them, and all else as form fields.

    Of `beside` a last one, where it is there.

    Raises:
        MalformedBody: it is no JSON object.
        NoPhoto: the field is missing, or is something else.
        TooManyPhotos: more than `most`.
    """
    told = parsed(body, most)
    photos = told.pop(field, None)
    if isinstance(photos, str):
        photos = [photos]
    if not isinstance(photos, list) or not photos:
        raise NoPhoto(f"The body has no photo in `{field}`. {_HOW}")
    if len(photos) > most:
        raise too_many_photos(most)
    uploads = []
    while photos:  # each text is let go when its photo is there
        uploads.append(Upload(None, decoded(photos.pop(0), field)))
    text = told.pop(beside, None) if beside else None
    other = None if beside is None or text is None else Upload(None, decoded(text, beside))
    return uploads, as_fields(told), other


def as_fields(told: dict[str, Any]) -> list[tuple[str, str]]:
    """An object's members as a form would have them; those that are null are left out."""
    return [
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, value in told.items()
        if value is not None
    ]


def decoded(text: object, field: str) -> bytes:
    """The bytes of a photo in base64, or of a data: URL.

    Raises:
        NoPhoto: the text, which came in this field, is neither.
    """
    if not isinstance(text, str):
        raise NoPhoto(f"`{field}` has something else than texts. {_HOW}")
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise NoPhoto(f"A data: URL in `{field}` is not in base64. {_HOW}")
        if "%" in text:
            text = unquote(text)
    plain = text.encode().translate(_URL_SAFE, whitespace.encode())
    try:
        data = b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except ValueError as error:
        raise NoPhoto(f"A text in `{field}` is no base64. {_HOW}") from error
    if not data:
        raise NoPhoto(f"A text in `{field}` is empty. {_HOW}")
    return data
