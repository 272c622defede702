"""Paths as routes see them, and as clients do where a proxy serves the service under a path."""

from contextvars import ContextVar
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEALTH = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")

_REDIRECT = 307
"""What Starlette answers where a path has a slash too many, or lacks one."""

root_path: ContextVar[str] = ContextVar("root_path", default="")
"""That of the request that the running code works for: "" or "/prefix", as ASGI has it."""


def enter(scope: Scope) -> None:
    """Remember the request's root path for the rest of its context."""
    root_path.set(scope.get("root_path", "").rstrip("/"))


def reference(path: str) -> str:
    """A path of the service's own, as its clients have to ask for it."""
    return root_path.get() + path


def route_path(scope: Scope) -> str:
    """The request's path as the routes see it: without the root path."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    rest = path.removeprefix(root)
    return rest if rest == "" or rest.startswith("/") else path


class Redirects:
    """Has a redirection (/colorize/ to /colorize) name a path alone.

    By which scheme and host clients ask, a proxy knows, and this service perhaps not: photos and
    keys that came by https would be sent again by http.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == _REDIRECT:
                headers = MutableHeaders(scope=message)
                headers["location"] = (
                    urlsplit(headers["location"])._replace(scheme="", netloc="").geturl()
                )
            await send(message)

        await self._app(scope, receive, sending)
