"""The engine that runs a TensorFlow SavedModel, on a GPU when there is one."""

import logging
import os
from functools import cache, cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chromaserve.engines import (
    COARSE,
    FEATURES,
    FINE,
    Distribution,
    EngineUnusable,
    Features,
)
from chromaserve.settings import PipelineSettings, usable_cores
from chromaserve.store.contract import NETWORK_SIZE, check_signatures
from chromaserve.store.errors import ModelCorrupt
from chromaserve.store.versions import ModelVersion

log = logging.getLogger("chromaserve.engine")

# TensorFlow has no types.
Function = Any
Tensor = Any

Device = Literal["auto", "cpu", "gpu"]
_MAX_BATCH = {"CPU": 8, "GPU": 32}
# On a CPU a second call works where the threads of the first wait for each other.
_STREAMS = {"CPU": 2, "GPU": 1}
_GROWING = {"Conv2DBackpropInput", "ResizeBilinear", "ResizeNearestNeighbor"}
"""Operations that a decoder begins with: a transposed convolution is the gradient of one."""


class NoGpu(RuntimeError):  # noqa: N818 - reads as a fact
    """A GPU was asked for and there is none."""


def load_replicas(
    model: ModelVersion, settings: PipelineSettings
) -> tuple["SavedModelEngine", ...]:
    """Load a version once for each GPU, or once for the CPU; warm. Blocks for seconds.

    `settings.replicas` says how many if not so: the first GPUs, or so many on the CPU, which share
    its threads, as TensorFlow has one pool of them in a process.

    Raises:
        ModelStoreError: the version cannot be used, or TensorFlow is not installed.
        NoGpu: a GPU was asked for, or more than there are.
    """
    _, _, names = _tensorflow(settings.device, settings.engine_threads)
    count = settings.replicas or len(names)
    if len(names) > 1 and count > len(names):
        raise NoGpu(f"CHROMASERVE_REPLICAS={count}, but there are {len(names)} GPUs.")
    engines = tuple(
        SavedModelEngine(
            model,
            device=settings.device,
            threads=settings.engine_threads,
            max_batch=settings.max_batch,
            index=n % len(names),
        )
        for n in range(count)
    )
    for engine in engines:
        engine.warm_up()
    return engines


@cache
def _tensorflow(device: Device, threads: int) -> tuple[Any, str, list[str]]:
    """TensorFlow configured for this process (once: it cannot be changed later).

    Returns:
        The module, "CPU" or "GPU", and the name of each such device.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow as tf
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        raise EngineUnusable(
            "a SavedModel needs TensorFlow, to run it and to convert it, and it is not installed:"
            " pip install 'chromaserve[tensorflow]'; in a container the variant tensorflow."
        ) from error

    tf.get_logger().setLevel("ERROR")
    gpus = [] if device == "cpu" else tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise NoGpu("CHROMASERVE_DEVICE=gpu, but TensorFlow finds no GPU. Use auto or cpu.")
    threads = threads or usable_cores()
    try:
        tf.config.set_visible_devices(gpus, "GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        log.warning("TensorFlow was in use before: its threads and devices stay as they are")
    if gpus:
        # TensorFloat-32's ten bits would let a photo's colours depend on its batch.
        tf.config.experimental.enable_tensor_float_32_execution(False)
        details = map(tf.config.experimental.get_device_details, gpus)
        return tf, "GPU", [f"GPU ({more.get('device_name', 'unknown')})" for more in details]
    logical = tf.config.get_logical_device_configuration(tf.config.list_physical_devices("CPU")[0])
    return tf, "CPU", [f"CPU ({threads} threads)"] * max(1, len(logical or ()))


class SavedModelEngine:
    """A SavedModel's `vivid` signature, loaded once and warm."""

    def __init__(
        self,
        model: ModelVersion,
        *,
        device: Device = "auto",
        threads: int = 0,
        max_batch: int | None = None,
        index: int = 0,
    ) -> None:
        """Load a version and check it against the contract; `warm_up` before serving.

        Args:
            model: a version whose files were verified.
            device: auto is a GPU where there is one.
            threads: of one operation on a CPU; 0: one a core.
            max_batch: None is 32 on a GPU and 8 on a CPU.
            index: which of several devices holds the weights and does the work.

        Raises:
            ContractMismatch: signatures other than the contract's.
            EngineUnusable: TensorFlow is not installed.
            ModelCorrupt: TensorFlow cannot load the files.
            NoGpu: device is "gpu" and there is none.
        """
        self._tf, kind, names = _tensorflow(device, threads)
        self._device = names[index]
        self._place = f"/{kind}:{index}"
        self._max_batch = max_batch or _MAX_BATCH[kind]
        self._streams = _STREAMS[kind]
        limit = self._max_batch
        self._sizes = sorted({limit} | {2**n for n in range(limit.bit_length())})
        try:
            with self._tf.device(self._place):
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
    def signature(self) -> Function:
        """TensorFlow's function of L and vividness."""
        return self._vivid

    @property
    def device(self) -> str:
        """Where it runs, with the threads or the card's name."""
        return self._device

    @property
    def max_batch(self) -> int:
        """The most photos that one call of `infer` may have."""
        return self._max_batch

    @property
    def streams(self) -> int:
        """See `Engine.streams`."""
        return self._streams

    def warm_up(self) -> None:
        """Run batches of 1, 2, 4… up to the limit, so that no request waits for tracing."""
        for size in self._sizes:
            L = np.full((size, NETWORK_SIZE, NETWORK_SIZE, 1), 50, np.float32)
            self.infer(L, np.full(size, 0.5, np.float32))
        log.info("warm: batches of up to %d on %s", self._max_batch, self._device)

    def infer(self, L: NDArray[np.float32], vividness: NDArray[np.float32]) -> NDArray[np.float32]:
        """Chroma of a batch; see `Engine.infer`."""
        constant = self._tf.constant
        with self._tf.device(self._place):
            ab = self._vivid(L=constant(L), vividness=constant(vividness))["ab"]
        return np.asarray(ab.numpy(), np.float32)

    @cached_property
    def has_distribution(self) -> bool:
        """See `Engine.has_distribution`."""
        graph = self._vivid.graph.as_graph_def()
        nodes = [graph.node, *(function.node_def for function in graph.library.function)]
        return [node.op for part in nodes for node in part].count("Softmax") == 1

    def distribution(self, L: NDArray[np.float32]) -> Distribution:
        """See `Engine.distribution`."""
        logits, bins = self._head
        with self._tf.device(self._place):
            any_vividness = self._tf.zeros(len(L))
            found = logits(self._tf.constant(L), any_vividness)
        return Distribution(np.asarray(found, np.float32), bins)

    @property
    def has_features(self) -> bool:
        """See `Engine.has_features`."""
        return self._seen is not None

    def features(self, L: NDArray[np.float32]) -> Features:
        """See `Engine.features`."""
        assert self._seen
        with self._tf.device(self._place):
            any_vividness = self._tf.zeros(len(L))
            fine, coarse = self._seen[0](self._tf.constant(L), any_vividness)
        return Features.of(fine.numpy(), coarse.numpy())

    def infer_with_features(
        self, L: NDArray[np.float32], vividness: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], Features]:
        """See `Engine.infer_with_features`."""
        assert self._seen
        constant = self._tf.constant
        with self._tf.device(self._place):
            ab, fine, coarse = self._seen[1](constant(L), constant(vividness))
        return np.asarray(ab.numpy(), np.float32), Features.of(fine.numpy(), coarse.numpy())

    @cached_property
    def _frozen(self) -> tuple[Function, list[Tensor]]:
        """`vivid` with its weights as constants, which may be cut off anywhere; L and vividness."""
        from tensorflow.python.framework.convert_to_constants import (
            convert_variables_to_constants_v2,
        )

        with self._tf.device(self._place):
            frozen = convert_variables_to_constants_v2(self._vivid)
        return frozen, sorted(frozen.inputs, key=lambda tensor: -tensor.shape.rank)

    @cached_property
    def _head(self) -> tuple[Function, NDArray[np.float32]]:
        """L and vividness -> logits, which is `vivid` cut off before its softmax; and the bins."""
        frozen, inputs = self._frozen
        with self._tf.device(self._place):
            (softmax,) = (op for op in frozen.graph.get_operations() if op.type == "Softmax")
            (mean,) = softmax.outputs[0].consumers()
            bins = self._tf.get_static_value(mean.inputs[1])
            return frozen.prune(inputs, softmax.inputs[0]), np.asarray(bins, np.float32).reshape(
                -1, 2
            )

    @cached_property
    def _seen(self) -> tuple[Function, Function] | None:
        """L and vividness -> features, and -> ab and features; None where there are none.

        These are the last ReLUs of their sizes before the network grows again.
        """
        frozen, inputs = self._frozen
        found: dict[tuple[int | None, ...], Tensor] = {}
        grown: set[str] = set()
        for op in frozen.graph.get_operations():  # each after those that it reads
            if op.type in _GROWING or any(each.op.name in grown for each in op.inputs):
                grown.add(op.name)
            elif op.type == "Relu" and op.outputs[0].shape.rank == 4:
                found[tuple(op.outputs[0].shape[1:])] = op.outputs[0]
        try:
            seen = [found[side, side, FEATURES] for side in (FINE, COARSE)]
        except KeyError:
            return None
        with self._tf.device(self._place):
            return frozen.prune(inputs, seen), frozen.prune(inputs, [frozen.outputs[0], *seen])
