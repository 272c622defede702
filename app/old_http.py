"""HTTP/1.0, which old proxies and simple clients speak, and which knows no chunks."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def unchunked(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """The application, with bodies whose length is not told ended by the connection's end.

    Args:
        app: that is called once, for the request.
        cycle: uvicorn's, which would send such a body in chunks.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        unknown = False

        async def sending(message: Message) -> None:
            nonlocal unknown
            if message["type"] == "http.response.start":
                unknown = "content-length" not in Headers(raw=message["headers"])
                cycle.chunked_encoding = False if unknown else None
            elif unknown:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, sending)

    return answer
