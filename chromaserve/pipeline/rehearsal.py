"""A photo of nobody's, coloured before the first one comes, so that the pace is known by then."""

import math
import time

import cv2
import numpy as np

from chromaserve.engines.probes import probes
from chromaserve.photos.decode import decode
from chromaserve.photos.free_cores import ALONE
from chromaserve.photos.header import inspect
from chromaserve.pipeline.inference import Answer
from chromaserve.pipeline.models import LoadedModel
from chromaserve.pipeline.options import Options
from chromaserve.pipeline.steps import decoded_by, encoded_by, reading, writing
from chromaserve.pipeline.timings import Timings
from chromaserve.pipeline.waiting import Inference
from chromaserve.settings import PipelineSettings
from chromaserve.store.contract import NETWORK_SIZE

_SIDE = 1024
"""Of the photo, pixels: so many that what a photo costs whatever its size weighs little."""


def rehearse(model: LoadedModel, settings: PipelineSettings) -> tuple[Timings, int]:
    """Colorize a photo with default options, on this thread; blocks for a fraction of a second.

    Returns:
        What it took as the only photo, and how many pixels it has.

    Raises:
        Exception: what the engine raises.
    """
    order = Options().order(model)
    side = min(_SIDE, settings.max_side, math.isqrt(settings.max_pixels))
    data = _photo(side)
    start = time.perf_counter()
    header = inspect(data, max_pixels=settings.max_pixels, max_side=settings.max_side)
    photo, looks = decoded_by(lambda: decode(data, header, **reading(order, ALONE)), order)
    decoded = time.perf_counter()
    ab = model.engine.infer(looks.whole[None], np.array([order.vividness], np.float32))[0]
    inferred = time.perf_counter()
    write = writing("png", order, settings.png_level, None)
    encoded_by(photo, Answer(Inference.kept(ab)), order, write, ALONE)
    done = time.perf_counter()
    took = inferred - decoded
    timings = Timings(
        admission_s=0,
        decode_s=decoded - start,
        queue_s=0,
        inference_s=took,
        batch=1,
        calls=1,
        encode_s=done - inferred,
        total_s=done - start,
        model_s=took,
    )
    return timings, header.pixels


def _photo(side: int) -> bytes:
    """A grey JPEG with about as much in it as photos have: one that engines are tried with."""
    L = probes()[0][0, :, :, 0]
    times = -(-side // NETWORK_SIZE)
    grey = np.tile(np.rint(2.55 * L).astype(np.uint8), (times, times))[:side, :side]
    _, data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return data.tobytes()
