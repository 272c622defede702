"""Plain FastAPI: a `def` route, which FastAPI runs in its pool of threads; one photo a call.

    python -m benchmarks.peers.plain_fastapi PORT

FastAPI's documentation says to write blocking work as a `def` route; Starlette's, to bound its
threads by AnyIO's limiter.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
import uvicorn
from fastapi import FastAPI, Response, UploadFile

from benchmarks.peers.colour import Network, decode, encode

THREADS = int(os.environ.get("PEER_WORKERS", "4"))


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


network = Network()
app = FastAPI(lifespan=lifespan)


@app.post("/colorize")
def colorize(file: UploadFile) -> Response:
    L, small = decode(file.file.read())
    return Response(encode(L, network(small[None])[0]), media_type="image/png")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
