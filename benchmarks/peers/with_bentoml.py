"""BentoML: one service that decodes and encodes, another with adaptive batching for the network.

    bentoml serve benchmarks.peers.with_bentoml:Colorizer --port PORT

Two services joined by `bentoml.depends` are the documentation's way of working beside the network;
`workers` for work bound by the CPU too.
"""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import bentoml
import numpy as np
from bentoml.validators import ContentType

from benchmarks.peers.colour import MAX_BATCH, decode, encode
from benchmarks.peers.colour import Network as SavedModel

WORKERS = int(os.environ.get("PEER_WORKERS", "2"))


@bentoml.service(workers=1, traffic={"timeout": 60})
class Network:
    def __init__(self) -> None:
        self.network = SavedModel()

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=60_000)
    def predict(self, L: np.ndarray) -> np.ndarray:
        return self.network(L)


@bentoml.service(workers=WORKERS, traffic={"timeout": 60})
class Colorizer:
    network = bentoml.depends(Network)

    @bentoml.api(route="/colorize")
    async def colorize(
        self, file: Annotated[Path, ContentType("image/jpeg")]
    ) -> Annotated[bytes, ContentType("image/png")]:
        L, small = await asyncio.to_thread(lambda: decode(file.read_bytes()))
        ab = await self.network.to_async.predict(small[np.newaxis])
        return await asyncio.to_thread(encode, L, ab[0])
