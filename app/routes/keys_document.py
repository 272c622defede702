"""What the OpenAPI document says of keys."""

from typing import Any

from ..auth import is_open
from .openapi import problems

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def describe_keys(document: dict[str, Any]) -> dict[str, Any]:
    """The document, with the ways to send a key, where none is needed, and the 401 elsewhere."""
    document["components"]["securitySchemes"] = _SCHEMES
    document["security"] = [{scheme: []} for scheme in _SCHEMES]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if is_open(path):
                operation["security"] = []
            else:
                operation["responses"] |= {str(k): v for k, v in problems(401).items()}
    return document
