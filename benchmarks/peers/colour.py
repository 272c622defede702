"""What every peer does around the server: photo bytes to L, the network, ab to PNG bytes.

The network is the SavedModel, as TensorFlow's documentation runs one, or with PEER_ENGINE set to
ncnn chromaserve's own CPU engine. Colour is the repository's own, so that all contenders answer
with the same pixels; the rest is what OpenCV's documentation shows. With PEER_COLOUR set to opencv
the way back is OpenCV's alone: less work, other pixels.
"""

import os
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.color.lab import lab_to_srgb, srgb_to_L
from chromaserve.color.postprocess import enlarge_ab
from chromaserve.color.vividness import asked, livened
from chromaserve.store.contract import network_input
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

Float = NDArray[np.float32]
MODEL = ModelStore(BUNDLED_ROOT).resolve("latest")
MAX_BATCH = 8
ENGINE = os.environ.get("PEER_ENGINE", "savedmodel")
OPENCV = os.environ.get("PEER_COLOUR") == "opencv"
VIVIDNESS, BLEND = MODEL.description.default_vividness, MODEL.description.blend


class Network:
    """The network at the model's default vividness, warm for any batch."""

    def __init__(self) -> None:
        """Load it, and run each batch size once."""
        self._infer = _ncnn() if ENGINE == "ncnn" else _savedmodel()
        for size in range(1, MAX_BATCH + 1):
            self(np.zeros((size, 224, 224, 1), np.float32))

    def __call__(self, L: Float) -> Float:
        """L float32 [N, 224, 224, 1] to ab float32 [N, 224, 224, 2]."""
        ab = self._infer(L, np.full(len(L), asked(VIVIDNESS, BLEND), np.float32))
        return np.stack([livened(one, VIVIDNESS, BLEND) for one in ab])


def _savedmodel() -> Callable[[Float, Float], Float]:
    """The SavedModel's `vivid` signature."""
    import tensorflow as tf

    model = tf.saved_model.load(str(MODEL.path))
    vivid = model.signatures["vivid"]

    def infer(L: Float, vividness: Float, _: object = model) -> Float:
        out = vivid(L=tf.constant(L), vividness=tf.constant(vividness))
        return np.asarray(out["ab"].numpy(), np.float32)

    return infer


def _ncnn() -> Callable[[Float, Float], Float]:
    """chromaserve's CPU engine, which runs several photos of a batch at once."""
    from chromaserve.engines.ncnn_engine import FOLDER, NcnnEngine

    return NcnnEngine(MODEL.path / FOLDER).infer


def decode(data: bytes) -> tuple[Float, Float]:
    """A photo's L, float32 [H, W], and the network's input, float32 [224, 224, 1]."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR)
    if pixels is None:
        raise ValueError("not an image that OpenCV reads")
    rgb = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    L = srgb_to_L(np.asarray(rgb, np.uint8))
    return L, network_input(L)


def encode(L: Float, ab: Float) -> bytes:
    """The PNG of a photo's L [H, W] and its ab [224, 224, 2]."""
    if OPENCV:
        return _encode_by_opencv(L, ab)
    description = MODEL.description
    chroma = enlarge_ab(ab, L, method=description.postprocess, guided=description.guided_filter)
    bgr = cv2.cvtColor(lab_to_srgb(L, chroma), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", bgr)[1].tobytes()


def _encode_by_opencv(L: Float, ab: Float) -> bytes:
    """The same with bilinear chroma and OpenCV's Lab, which clips colours outside sRGB."""
    chroma = cv2.resize(ab, L.shape[::-1], interpolation=cv2.INTER_LINEAR)
    bgr = cv2.cvtColor(cv2.merge([L, *cv2.split(chroma)]), cv2.COLOR_Lab2BGR)
    return cv2.imencode(".png", cv2.convertScaleAbs(bgr, alpha=255))[1].tobytes()
