"""A service for which a name resolves as a file says now: `python -m tests.jobs.resolving FILE`.

As a name of somebody else's does, who may have it lead elsewhere at any time.
"""

import runpy
import socket
import sys
from pathlib import Path
from typing import Any

import anyio._core._sockets as sockets

NAME = "photos.test"

if __name__ == "__main__":
    answers = Path(sys.argv[1])
    resolve = sockets.getaddrinfo

    async def resolved(host: str, port: int, **more: Any) -> Any:  # noqa: ANN401 - as anyio has it
        if host != NAME:
            return await resolve(host, port, **more)
        found: list[Any] = []
        for each in answers.read_text().split():
            found += socket.getaddrinfo(each, port, type=socket.SOCK_STREAM)
        return found

    sockets.getaddrinfo = resolved  # type: ignore[assignment]
    sys.argv[:] = ["app"]
    runpy.run_module("app", run_name="__main__", alter_sys=True)
