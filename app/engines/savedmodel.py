"""The engine that runs a TensorFlow SavedModel, on a GPU when there is one."""

import logging
import os
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.settings import usable_cores
from model_store.contract import NETWORK_SIZE, check_signatures
from model_store.errors import ModelCorrupt
from model_store.store import ModelVersion

log = logging.getLogger("app.engine")

Device = Literal["auto", "cpu", "gpu"]
_MAX_BATCH = {"CPU": 8, "GPU": 32}


class NoGpu(RuntimeError):  # noqa: N818 - reads as a fact
    """A GPU was asked for and there is none."""


@cache
def _tensorflow(device: Device, threads: int) -> tuple[Any, str, str]:
    """TensorFlow configured for this process (once: it cannot be changed later), kind, name."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    gpus = [] if device == "cpu" else tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise NoGpu("CHROMASERVE_DEVICE=gpu, but TensorFlow finds no GPU. Use auto or cpu.")
    tf.config.set_visible_devices(gpus[:1], "GPU")
    for gpu in gpus[:1]:
        tf.config.experimental.set_memory_growth(gpu, True)
    threads = threads or usable_cores()
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if gpus:
        # TensorFloat-32's ten bits would let a photo's colours depend on its batch.
        tf.config.experimental.enable_tensor_float_32_execution(False)
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "unknown")
        return tf, "GPU", f"GPU ({name})"
    return tf, "CPU", f"CPU ({threads} threads)"


class SavedModelEngine:
    """A SavedModel's `vivid` signature, loaded once and warm."""

    def __init__(
        self,
        model: ModelVersion,
        *,
        device: Device = "auto",
        threads: int = 0,
        max_batch: int | None = None,
    ) -> None:
        """Load a version and check it against the contract; `warm_up` before serving.

        Raises:
            ContractMismatch: signatures other than the contract's.
            ModelCorrupt: TensorFlow cannot load the files.
            NoGpu: device is "gpu" and there is none.
        """
        self._tf, kind, self._device = _tensorflow(device, threads)
        self._max_batch = max_batch or _MAX_BATCH[kind]
        try:
            self._model = self._tf.saved_model.load(str(model.path))
        except Exception as error:
            raise ModelCorrupt(f"TensorFlow cannot load {model.path}: {error}") from error
        check_signatures(self._model.signatures)
        self._vivid = self._model.signatures["vivid"]

    @property
    def name(self) -> str:
        """What `CHROMASERVE_ENGINE` calls it."""
        return "savedmodel"

    @property
    def device(self) -> str:
        """Where it runs, with the threads or the card's name."""
        return self._device

    @property
    def max_batch(self) -> int:
        """The most photos that one call of `infer` may have."""
        return self._max_batch

    def warm_up(self) -> None:
        """Run batches of 1, 2, 4… up to the limit, so that no request waits for tracing."""
        sizes = {self._max_batch} | {2**n for n in range(self._max_batch.bit_length())}
        for size in sorted(sizes):
            L = np.full((size, NETWORK_SIZE, NETWORK_SIZE, 1), 50, np.float32)
            self.infer(L, np.full(size, 0.5, np.float32))
        log.info("warm: batches of up to %d on %s", self._max_batch, self._device)

    def infer(self, L: NDArray[np.float32], vividness: NDArray[np.float32]) -> NDArray[np.float32]:
        """Chroma of a batch; see `Engine.infer`."""
        constant = self._tf.constant
        ab = self._vivid(L=constant(L), vividness=constant(vividness))["ab"]
        return np.asarray(ab.numpy(), np.float32)
