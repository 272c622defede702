"""An ASGI layer that has HEAD answered as GET is; and the methods that a path takes."""

from fastapi import Request
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Heads:
    """Answers HEAD with the head that GET has; what would make the body finds the client gone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        asked: Scope = {**scope, "method": "GET"}

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body"})

        try:
            await self._app(asked, receive, sending)
        finally:
            scope.update({**asked, "method": "HEAD"})  # the route, and what log and metrics tell


def taken_at(request: Request) -> list[str]:
    """The methods that the request's path takes."""
    routes = request.app.routes
    found = [
        method
        for method in _METHODS
        if any(r.matches({**request.scope, "method": method})[0] is Match.FULL for r in routes)
    ]
    return [*found, *(["HEAD"] if "GET" in found else []), "OPTIONS"]
