"""What every peer does around the server: photo bytes to L, the SavedModel, ab to PNG bytes.

Colour is the repository's own, the functions of `model_store`, so that all contenders answer with
the same pixels; the rest is what OpenCV's and TensorFlow's documentation shows. With PEER_COLOUR
set to opencv the way back is OpenCV's alone: less work, other pixels.
"""

import os

import cv2
import numpy as np
from numpy.typing import NDArray

from chromaserve.color.lab import lab_to_srgb, srgb_to_L
from chromaserve.color.postprocess import enlarge_ab
from chromaserve.store.contract import network_input
from chromaserve.store.versions import BUNDLED_ROOT, ModelStore

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

Float = NDArray[np.float32]
MODEL = ModelStore(BUNDLED_ROOT).resolve("latest")
MAX_BATCH = 8
OPENCV = os.environ.get("PEER_COLOUR") == "opencv"


class Network:
    """The SavedModel's `vivid` signature at the model's default vividness, warm for any batch."""

    def __init__(self) -> None:
        """Load it, and run each batch size once."""
        import tensorflow as tf

        self._constant = tf.constant
        self._model = tf.saved_model.load(str(MODEL.path))
        self._vivid = self._model.signatures["vivid"]
        for size in range(1, MAX_BATCH + 1):
            self(np.zeros((size, 224, 224, 1), np.float32))

    def __call__(self, L: Float) -> Float:
        """L float32 [N, 224, 224, 1] to ab float32 [N, 224, 224, 2]."""
        vividness = np.full(len(L), MODEL.description.default_vividness, np.float32)
        out = self._vivid(L=self._constant(L), vividness=self._constant(vividness))
        return np.asarray(out["ab"].numpy(), np.float32)


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
