"""Ray Serve: an ingress that decodes and encodes, and a deployment that batches for the network.

    python -m benchmarks.peers.with_ray_serve PORT

Two deployments joined by a handle are the documentation's way of scaling pre-processing apart from
the model; `serve.batch` batches. Ray's logical CPUs are set so that all replicas start.
"""

import asyncio
import os
import signal
import sys

import numpy as np
import ray
from fastapi import FastAPI, Response, UploadFile
from ray import serve
from ray.serve.handle import DeploymentHandle

from benchmarks.peers.colour import MAX_BATCH, Float, decode, encode
from benchmarks.peers.colour import Network as SavedModel

WORKERS = int(os.environ.get("PEER_WORKERS", "2"))
app = FastAPI()


@serve.deployment(num_replicas=1, max_ongoing_requests=4 * MAX_BATCH)
class Network:
    def __init__(self) -> None:
        self.network = SavedModel()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=0.02)
    async def predict(self, batch: list[Float]) -> list[Float]:
        return list(await asyncio.to_thread(self.network, np.stack(batch)))


@serve.deployment(num_replicas=WORKERS, max_ongoing_requests=2 * MAX_BATCH)
@serve.ingress(app)
class Colorizer:
    def __init__(self, network: "DeploymentHandle[Network]") -> None:
        self.network = network

    @app.post("/colorize")
    async def colorize(self, file: UploadFile) -> Response:
        L, small = await asyncio.to_thread(decode, await file.read())
        ab = await self.network.predict.remote(small)
        return Response(await asyncio.to_thread(encode, L, ab), media_type="image/png")


if __name__ == "__main__":
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Colorizer.bind(Network.bind()))  # type: ignore[attr-defined]
    signal.pause()
