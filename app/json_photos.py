"""Photos and options from a JSON body: base64 or data: URLs, as pages and workflows have them."""

import json
from base64 import b64decode
from urllib.parse import unquote

from pydantic_core import from_json

from chromaserve.pipeline.body import Upload

from .errors import MalformedBody, NoPhoto

_URL_SAFE = str.maketrans("-_", "+/")
_HOW = 'Send {"file": "data:image/jpeg;base64,…"}, or a list of such texts for several photos.'


def read_json(
    body: bytes, field: str, beside: str | None = None
) -> tuple[list[Upload], list[tuple[str, str]], Upload | None]:
    """The photos of `field`, one text or a list of them, and all else as form fields.

    Of `beside` a last one, where it is there.

    Raises:
        MalformedBody: it is no JSON object.
        NoPhoto: the field is missing, or is something else.
    """
    try:
        told = from_json(body, allow_inf_nan=False, cache_strings="none")
    except ValueError as error:
        raise MalformedBody(f"The body is no JSON: {error}. {_HOW}") from error
    if not isinstance(told, dict):
        raise MalformedBody(f"The body is no JSON object. {_HOW}")
    photos = told.pop(field, None)
    if isinstance(photos, str):
        photos = [photos]
    if not isinstance(photos, list) or not photos:
        raise NoPhoto(f"The body has no photo in `{field}`. {_HOW}")
    uploads = []
    while photos:  # each text is let go when its photo is there
        uploads.append(Upload(None, _decoded(photos.pop(0), field)))
    text = told.pop(beside, None) if beside else None
    other = None if beside is None or text is None else Upload(None, _decoded(text, beside))
    fields = [(name, _text(value)) for name, value in told.items() if value is not None]
    return uploads, fields, other


def _text(value: object) -> str:
    """An option's value as a form would have it."""
    return value if isinstance(value, str) else json.dumps(value)


def _decoded(text: object, field: str) -> bytes:
    if not isinstance(text, str):
        raise NoPhoto(f"`{field}` has something else than texts. {_HOW}")
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise NoPhoto(f"A data: URL in `{field}` is not in base64. {_HOW}")
        if "%" in text:
            text = unquote(text)
    if "-" in text or "_" in text:
        text = text.translate(_URL_SAFE)
    text = "".join(text.split())
    try:
        data = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError as error:
        raise NoPhoto(f"A text in `{field}` is no base64. {_HOW}") from error
    if not data:
        raise NoPhoto(f"A text in `{field}` is empty. {_HOW}")
    return data
