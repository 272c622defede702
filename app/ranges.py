"""An ASGI layer for parts of files (Range): what is not to be had is refused as all else is."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import MalformedRequest, NoSuchPart
from .problems import ProblemResponse, error_response


class Ranges:
    """Has Starlette's refusals of Range, which are plain text, be problems.

    A Range in another unit than bytes is ignored (RFC 9110, 14.2), which Starlette refuses.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        refused = False

        async def sending(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] in (400, 416):
                headers = Headers(raw=message["headers"])
                refused = headers.get("content-type", "").startswith("text/plain")
                if refused:
                    await _refusal(headers, scope["path"])(scope, receive, send)
            if not refused:
                await send(message)

        if scope["type"] == "http":
            scope["headers"] = [each for each in scope["headers"] if not _is_in_another_unit(*each)]
        await self._app(scope, receive, sending)


def _is_in_another_unit(name: bytes, value: bytes) -> bool:
    return name == b"range" and value.partition(b"=")[0].strip().lower() != b"bytes"


def _refusal(headers: Headers, path: str) -> ProblemResponse:
    whole = headers.get("content-range")
    if whole is None:
        detail = "The Range header cannot be read. bytes=0-499 asks for the first 500 bytes."
        return error_response(MalformedRequest(detail), path)
    size = int(whole.rpartition("/")[2])
    answer = error_response(NoSuchPart(f"The file has {size:,} bytes. Ask for some of them."), path)
    answer.headers["Content-Range"] = whole
    return answer
