"""LitServe: requests batched in a worker process; decoding and encoding in threads of it.

    python -m benchmarks.peers.with_litserve PORT

LitServe calls `decode_request` and `encode_response` for one photo after the other. Its
documentation gives `batch` and `unbatch` for work on the whole batch: there they run in a pool.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import litserve
import numpy as np
from fastapi import Request, Response
from starlette.datastructures import FormData, UploadFile

from benchmarks.peers.colour import MAX_BATCH, Float, Network, decode, encode

WORKERS = int(os.environ.get("PEER_WORKERS", "1"))
Coloured = list[tuple[Float, Float]]


class Colorizer(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        self.network = Network()
        self.pool = ThreadPoolExecutor(os.cpu_count())

    def decode_request(self, request: Request) -> bytes:
        # LitServe takes forms where this is annotated so; what arrives is the parsed form.
        form = cast(FormData, request)
        return cast(UploadFile, form["file"]).file.read()

    def batch(self, photos: list[bytes]) -> Coloured:
        return list(self.pool.map(decode, photos))

    def predict(self, photos: Coloured) -> Coloured:
        ab = self.network(np.stack([small for _, small in photos]))
        return [(L, one) for (L, _), one in zip(photos, ab, strict=True)]

    def unbatch(self, photos: Coloured) -> list[bytes]:
        return list(self.pool.map(lambda photo: encode(*photo), photos))

    def encode_response(self, png: bytes) -> Response:
        return Response(png, media_type="image/png")


if __name__ == "__main__":
    api = Colorizer(max_batch_size=MAX_BATCH, batch_timeout=0.02, api_path="/colorize")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=WORKERS, timeout=60)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False
    )
