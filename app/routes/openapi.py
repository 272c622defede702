"""What the OpenAPI document says of request bodies, problems and keys."""

from collections.abc import Callable
from copy import deepcopy
from functools import reduce
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ..auth import is_for_admins, is_open
from ..manifest import Manifest
from ..open_inference.message import InferenceRequest
from ..problems import KINDS, PROBLEM_JSON, Problem
from ..uploads import FIELD, REFERENCE

_REFERENCE = "#/components/schemas/{model}"
_FILE = {"type": "string", "format": "binary"}
BINARY: dict[str, Any] = {"schema": _FILE}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of what a query can hold: left out or a value, but no null."""
    kept = {k: v for k, v in schema.items() if k != "anyOf" and (k, v) != ("default", None)}
    for choice in schema.get("anyOf", ()):
        kept |= {} if choice == {"type": "null"} else choice
    return kept


_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}

# JSON is not among them: clients made by openapi-generator would send files in it as they are.
_REFERENCE_FIELD = {
    REFERENCE: {
        **_FILE,
        "description": "A photo in colour: what looks like it gets its colours.",
    }
}
REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {
                    FIELD: {
                        "type": "array",
                        "items": _FILE,
                        "minItems": 1,
                        "description": "One photo, or several.",
                    },
                },
            },
            "encoding": {FIELD: {"contentType": "image/*"}},
        },
        "image/*": BINARY,
        "application/octet-stream": BINARY,
    },
}


def with_reference(body: dict[str, Any]) -> dict[str, Any]:
    """The same request body with a field more, for a reference."""
    more = deepcopy(body)
    form = more["content"]["multipart/form-data"]
    form["schema"]["properties"] |= _REFERENCE_FIELD
    form["encoding"][REFERENCE] = {"contentType": "image/*"}
    return more


def reference(model: type[BaseModel]) -> dict[str, str]:
    """A reference to one of the schemas that `describe` adds."""
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def describe(app: FastAPI, *more: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Add to the document the schemas that no route returns in FastAPI's own way, and `more`."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        _, schemas = models_json_schema(
            [
                (Problem, "serialization"),
                (Manifest, "serialization"),
                (InferenceRequest, "validation"),
            ],
            ref_template=_REFERENCE,
        )
        described = document["components"]["schemas"]
        described |= schemas["$defs"]
        for operations in document["paths"].values():
            for operation in operations.values():
                for parameter in operation.get("parameters", ()):
                    parameter["schema"] = _without_null(parameter["schema"])
                invalid = operation["responses"].get("422", {}).get("content", {})
                if "application/json" in invalid:  # FastAPI's own, which nothing answers here
                    operation["responses"]["422"] = problems(422)[422]
        for unused in ("HTTPValidationError", "ValidationError"):
            described.pop(unused, None)
        return reduce(lambda so_far, add: add(so_far), more, document)

    app.openapi = openapi  # type: ignore[method-assign]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Documentation of problem responses: for each status the kinds that it may be."""
    kinds = KINDS.values()
    documented: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        titles = sorted({kind.title for kind in kinds if kind.status == status})
        example = next(kind for kind in kinds if kind.status == status)
        documented[status] = {
            "description": " / ".join(titles),
            "content": {
                PROBLEM_JSON: {
                    "schema": reference(Problem),
                    "example": {
                        "type": f"/problems/{example.slug}",
                        "title": example.title,
                        "status": status,
                        "detail": "A sentence that says what happened and what to do.",
                        "instance": "/colorize",
                    },
                }
            },
        }
    return documented


def describe_keys(document: dict[str, Any]) -> dict[str, Any]:
    """The document, with the ways to send a key, where none is needed, and the 401 elsewhere."""
    document["components"]["securitySchemes"] = _SCHEMES
    document["security"] = [{scheme: []} for scheme in _SCHEMES]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if is_for_admins(method.upper(), path):
                operation["responses"] |= {str(k): v for k, v in problems(403).items()}
            if is_open(path):
                operation["security"] = []
            else:
                operation["responses"] |= {str(k): v for k, v in problems(401).items()}
    return document


def describe_rate(document: dict[str, Any]) -> dict[str, Any]:
    """The document, with the 429 of whatever asks for work."""
    for operations in document["paths"].values():
        if "post" in operations:
            operations["post"]["responses"] |= {str(k): v for k, v in problems(429).items()}
    return document
