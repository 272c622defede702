"""GET /docs: the API described and tried out in a browser, by Swagger UI from an own dependency."""

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.staticfiles import StaticFiles

from .page import HEADERS, file, policy

# What it draws are answers' pictures (blob:) and its own icons (data:). DOMPurify, which it passes
# descriptions through, and React's way to set HTML want no trusted types.
_HEADERS = {**HEADERS, "Content-Security-Policy": policy(img_src="'self' blob: data:")}
_FILES = frozenset(("swagger-ui-bundle.js", "swagger-ui.css"))
_package = StaticFiles(packages=[("fastapi_swagger", "resources")])

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Give the page that shows /openapi.json."""
    response = await file(request, "docs.html")
    response.headers.update(_HEADERS)
    return response


@router.get("/docs/{name}")
async def swagger(request: Request, name: str) -> Response:
    """Give one of Swagger UI's own files."""
    if name not in _FILES:
        raise HTTPException(404)
    response = await _package.get_response(name, request.scope)
    response.headers.update(_HEADERS)
    return response
