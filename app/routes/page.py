"""GET / and /page/…: the page, for people; static files with a strict Content-Security-Policy."""

from html import escape
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from ..root_path import reference

FOLDER = Path(__file__).resolve().parent.parent / "page"


def policy(**more: str) -> str:
    """A Content-Security-Policy that allows what comes from here, and `more`: img_src, …"""
    directives = {
        "default_src": "'none'",
        "script_src": "'self'",
        "style_src": "'self'",
        "img_src": "'self' blob:",
        "connect_src": "'self'",
        "base_uri": "'self'",
        "form_action": "'none'",
        "frame_ancestors": "'none'",
        **more,
    }
    return "; ".join(f"{name.replace('_', '-')} {value}" for name, value in directives.items())


HEADERS = {
    "Content-Security-Policy": policy(require_trusted_types_for="'script'", trusted_types="'none'"),
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Asked for anew each time, and answered by 304 while it is the same: a new version is seen.
    "Cache-Control": "no-cache",
}

router = APIRouter(include_in_schema=False)
static = StaticFiles(directory=FOLDER)


@router.get("/")
async def index(request: Request) -> Response:
    """Give the page.

    A proxy that strips a path strips its slash too, and does not say whether there was one: under a
    root path the page names the address that its own are relative to.
    """
    base = reference("/")
    if base == "/":
        return await file(request, "index.html")
    html = (FOLDER / "index.html").read_text("utf-8")
    named = html.replace("<head>", f'<head>\n  <base href="{escape(base)}">', 1)
    return HTMLResponse(named, headers=HEADERS)


@router.get("/page/{path:path}")
async def file(request: Request, path: str) -> Response:
    """Give one of the page's files; there is nothing else below /page."""
    response = await static.get_response(path, request.scope)
    response.headers.update(HEADERS)
    return response
