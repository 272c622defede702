"""Which engine runs a model on this machine, and how often."""

import ctypes
import logging
import os

import numpy as np

from chromaserve.engines import Engine, EngineUnusable
from chromaserve.engines.ncnn_engine import FOLDER, MAX_BATCH, PROBE, NcnnEngine
from chromaserve.engines.probes import LIMIT_AB, difference
from chromaserve.settings import PipelineSettings, usable_cores
from chromaserve.store.versions import ModelVersion

log = logging.getLogger("chromaserve.engine")


def load_engines(model: ModelVersion, settings: PipelineSettings) -> tuple[Engine, ...]:
    """Load a version's engines, checked and warm: one a replica, never none. Blocks for a second.

    The SavedModel runs on a GPU. A CPU runs the version's CPU engine, or the SavedModel where the
    version has none.

    Args:
        model: a version whose files were verified.
        settings: engine, device, threads, replicas, batch limit.

    Raises:
        ModelStoreError: the version cannot be used.
        NoGpu: a GPU was asked for and there is none.
        EngineUnusable: ncnn was asked for and cannot run this model here.
    """
    if settings.engine == "ncnn":
        if settings.device == "gpu":
            raise EngineUnusable("CHROMASERVE_ENGINE=ncnn runs on a CPU: CHROMASERVE_DEVICE=gpu.")
        try:
            return _ncnn_engines(model, settings)
        except EngineUnusable as error:
            raise EngineUnusable(
                f"CHROMASERVE_ENGINE=ncnn cannot run model {model.version}: {error}. Use auto."
            ) from error
    on_cpu = settings.device == "cpu" or (settings.device == "auto" and not visible_gpus())
    if settings.engine == "auto" and on_cpu:
        try:
            return _ncnn_engines(model, settings)
        except EngineUnusable as error:
            log.warning("the SavedModel serves, not ncnn: %s", error)
    # TensorFlow is imported only where it serves.
    from chromaserve.engines.savedmodel import load_replicas

    return load_replicas(model, settings)


def _ncnn_engines(model: ModelVersion, settings: PipelineSettings) -> tuple[Engine, ...]:
    """The version's CPU engines; EngineUnusable where it has none, or they are wrong here."""
    folder = model.path / FOLDER
    if not folder.is_dir():
        raise EngineUnusable(
            f"version {model.version} has no CPU engine; `chromaserve models convert"
            f" {model.version}` makes one"
        )
    replicas = settings.replicas or 1
    threads = max(1, (settings.engine_threads or usable_cores()) // replicas)
    max_batch = settings.max_batch or MAX_BATCH
    try:
        engines = tuple(
            NcnnEngine(folder, threads=threads, max_batch=max_batch) for _ in range(replicas)
        )
        with np.load(folder / PROBE) as probe:
            apart = difference(engines[0], probe["L"], probe["vividness"], probe["ab"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineUnusable(f"its files cannot be read: {error}") from error
    if apart > LIMIT_AB:
        raise EngineUnusable(f"its ab differ by {apart:.2g} from the SavedModel's on this machine")
    for engine in engines[1:]:
        engine.warm_up()  # the first has just run
    return engines


def visible_gpus() -> list[str]:
    """Names, as CUDA_VISIBLE_DEVICES has them, of the GPUs that this process may use.

    CUDA's driver is asked, as TensorFlow takes seconds to start.
    """
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return []
    count = ctypes.c_int(0)
    if cuda.cuInit(0) != 0 or cuda.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = named.split(",") if named else map(str, range(count.value))
    return list(names)[: count.value]
