"""Which engine runs a model on this machine, and how often."""

import ctypes
import logging

import numpy as np

from chromaserve.engines import Engine, EngineUnusable
from chromaserve.engines.agreement import LIMIT_AB, difference
from chromaserve.engines.conversion import PROBE, converted
from chromaserve.engines.ncnn_engine import MAX_BATCH, NcnnEngine
from chromaserve.settings import PipelineSettings, usable_cores
from chromaserve.store.versions import ModelVersion

log = logging.getLogger("chromaserve.engine")


def load_engines(model: ModelVersion, settings: PipelineSettings) -> tuple[Engine, ...]:
    """Load a version's engines, checked and warm: one a replica, never none. Blocks for seconds.

    The SavedModel runs on a GPU. On a CPU it is the faster of it and ncnn, if that agrees with it.

    Args:
        model: a version whose files were verified.
        settings: engine, device, threads, replicas, batch limit, cache.

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
    on_cpu = settings.device == "cpu" or (settings.device == "auto" and not _may_have_gpu())
    if settings.engine == "auto" and on_cpu:
        try:
            return _ncnn_engines(model, settings)
        except EngineUnusable as error:
            log.warning("the SavedModel serves, not ncnn: %s", error)
    # TensorFlow is imported only where it serves.
    from chromaserve.engines.savedmodel import load_replicas

    return load_replicas(model, settings)


def _ncnn_engines(model: ModelVersion, settings: PipelineSettings) -> tuple[Engine, ...]:
    """ncnn's engines.

    Raises:
        EngineUnusable: also where the settings leave the choice and the SavedModel is faster.
    """
    replicas = settings.replicas or 1
    threads = max(1, (settings.engine_threads or usable_cores()) // replicas)
    max_batch = settings.max_batch or MAX_BATCH
    with converted(
        model,
        cache=settings.engine_cache,
        threads=threads,
        max_batch=max_batch,
        measured=settings.engine == "auto",
    ) as (folder, report):
        if report.refused:
            raise EngineUnusable(report.refused)
        if report.ncnn_ms:
            log.info(
                "measured, ms a photo alone and in a batch of %d: SavedModel %s, ncnn %s;"
                " they differ by %.1g ab at most",
                max_batch,
                report.savedmodel_ms,
                report.ncnn_ms,
                report.apart,
            )
        if settings.engine == "auto" and not report.ncnn_is_faster:
            raise EngineUnusable("the SavedModel is faster here")
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
    for engine in engines:
        engine.warm_up()
    return engines


def _may_have_gpu() -> bool:
    """Whether CUDA's driver sees a device; asked of it, as TensorFlow takes seconds to start."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return (
        cuda.cuInit(0) == 0 and cuda.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    )
