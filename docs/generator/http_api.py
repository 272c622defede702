"""The HTTP interface as the service's own OpenAPI document has it."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from app.main import create_app
from app.problems import KINDS, MEANINGS, OTHER
from app.settings import Settings
from docs.generator.schema import Schema, table, values


@cache
def _document() -> dict[str, Any]:
    return create_app(Settings(otel="off")).openapi()


def options_table(_: Sequence[str]) -> str:
    """The options of POST /colorize."""
    return _fields(_parameters(_document()["paths"]["/colorize"]["post"]), "option")


def headers_table(_: Sequence[str]) -> str:
    """The headers that the answer of POST /colorize may have."""
    headers = _document()["paths"]["/colorize"]["post"]["responses"]["200"]["headers"]
    rows = [
        [f"`{name}`", header["description"], f"`{header['example']}`"]
        for name, header in headers.items()
    ]
    return table(["header", "meaning", "example"], rows)


def problems_table(_: Sequence[str]) -> str:
    """Every kind of problem, by status."""
    kinds = sorted((*KINDS.values(), OTHER), key=lambda kind: kind.status)
    rows = [[str(kind.status), f"`{kind.slug}`", MEANINGS[kind.slug]] for kind in kinds]
    return table(["status", "kind", "when"], rows)


def routes(_: Sequence[str]) -> str:
    """Every route: what it does, takes and answers; then the objects that answers are made of."""
    parts = [
        _route(method, path, operation)
        for path, methods in _document()["paths"].items()
        for method, operation in methods.items()
    ]
    objects = [
        f"### {name}\n\n{_prose(schema.get('description', ''))}\n\n"
        + _fields(schema.get("properties", {}), "member")
        for name, schema in sorted(_document()["components"]["schemas"].items())
        if schema.get("properties") and "ValidationError" not in name
    ]
    return "\n\n".join([*parts, "## Objects", *objects])


def _route(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [f"## {method.upper()} {path}", _prose(operation.get("description", ""))]
    if parameters := _parameters(operation):
        parts.append(_fields(parameters, "parameter"))
    content = operation.get("requestBody", {}).get("content", {})
    if content:
        parts.append("Body: " + ", ".join(f"`{kind}`" for kind in content) + ".")
    # FastAPI documents its own 422; the service answers problems in its place.
    rows = [
        [status, ", ".join(f"`{kind}`" for kind in x.get("content", {})), x["description"]]
        for status, x in operation["responses"].items()
        if "HTTPValidationError" not in str(x)
    ]
    parts.append(table(["status", "content", "what"], rows))
    return "\n\n".join(part for part in parts if part)


def _parameters(operation: Mapping[str, Any]) -> dict[str, Schema]:
    return {
        x["name"]: {**x["schema"], "description": x.get("description", "")}
        for x in operation.get("parameters", [])
    }


def _prose(text: str) -> str:
    """Docstring text for Markdown: paragraphs kept, lines joined."""
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))


def _fields(fields: Mapping[str, Schema], what: str) -> str:
    rows = [
        [
            f"`{name}`",
            values(schema),
            _default(schema),
            str(schema.get("description", "")),
        ]
        for name, schema in fields.items()
    ]
    return table([what, "values", "default", "meaning"], rows)


def _default(schema: Schema) -> str:
    value = schema.get("default")
    return "" if value is None else f"`{str(value).lower() if value in (True, False) else value}`"
