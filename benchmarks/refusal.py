"""What it costs to refuse a photo: processor time of a 503 of a service whose queue is full.

    python -m benchmarks.refusal --count 500

In one process, without a socket and without a model: the application alone, from the request's head
to the answer, with 100 photos in its queue. Logs are off, as a pipe's reader would count, too.
"""

import argparse
import asyncio
import logging
import time
from statistics import median
from typing import Any, cast

from starlette.types import Message

from app.main import create_app
from app.service import Service
from app.settings import Settings
from benchmarks.serving.photos import CONTENT_TYPE
from chromaserve.pipeline.models import LoadedModel

QUEUE, PIXELS = 100, 256 * 256
_SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "path": "/colorize",
    "raw_path": b"/colorize",
    "query_string": b"",
    "root_path": "",
    "client": ("192.0.2.1", 5000),
    "server": ("127.0.0.1", 8000),
}


async def refusals(app: Any, count: int) -> float:  # noqa: ANN401 - an ASGI application
    """Milliseconds of processor time of one, of so many."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    began = time.process_time()
    for _ in range(count):
        sent.clear()
        head = [(b"host", b"localhost"), (b"content-type", CONTENT_TYPE.encode()),
                (b"content-length", b"1")]  # fmt: skip
        await app({**_SCOPE, "headers": head, "state": {}}, receive, send)
        assert sent[0]["status"] == 503, sent
    return 1000 * (time.process_time() - began) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=500, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    app = create_app(Settings(otel="off", max_queue=QUEUE))
    service: Service = app.state.service
    service.pipeline.models.default = cast(LoadedModel, object())  # never asked
    for _ in range(QUEUE):
        service.pipeline.backlog.accept([PIXELS])
    asyncio.run(refusals(app, 50))
    rounds = [asyncio.run(refusals(app, options.count)) for _ in range(options.rounds)]
    service.pipeline.close()
    told = " ".join(f"{each:.2f}" for each in rounds)
    print(f"a refusal: {median(rounds):.2f} ms of processor time ({told})")


if __name__ == "__main__":
    main()
