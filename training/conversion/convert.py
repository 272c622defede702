"""A SavedModel converted for the CPU engine, compared with it, and measured beside it."""

import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chromaserve.engines import Engine, EngineUnusable
from chromaserve.engines.ncnn_engine import FOLDER, NUMBERS, PARAM, PROBE, WEIGHTS, NcnnEngine
from chromaserve.engines.probes import LIMIT_AB, difference, probes
from chromaserve.engines.savedmodel import SavedModelEngine
from chromaserve.engines.throughput import throughput
from chromaserve.store.contract import CpuEngine
from chromaserve.store.versions import ModelVersion

from .lowering import lower
from .pictures import UnsupportedOperation

_ROUNDS = {False: 5, True: 2}  # that speed is measured in: of one photo, of many
_BUSY_S = 1.5
log = logging.getLogger(__name__)


def convert(model: ModelVersion, folder: Path, *, threads: int = 0) -> CpuEngine:
    """Write the CPU engine's files of a version: the network of its `vivid` signature for ncnn.

    Kernels are kept in half precision, as the SavedModel keeps them; the arithmetic is float32.

    Args:
        model: a version, stored or about to be.
        folder: gets the files in a folder of its own, `cpu`.
        threads: that both engines are measured on; 0: one a core.

    Returns:
        How far the two are apart on made-up photos, and how fast each is.

    Raises:
        EngineUnusable: the network has an operation that is not known, or the answers differ.
        ModelStoreError: the SavedModel cannot be used.
    """
    original = SavedModelEngine(model, device="cpu", threads=threads)
    try:
        lowered = lower(original.signature, half=True)
    except UnsupportedOperation as error:
        raise EngineUnusable(str(error)) from error
    place = folder / FOLDER
    place.mkdir(parents=True)
    (place / PARAM).write_text(lowered.param, "utf-8")
    (place / WEIGHTS).write_bytes(lowered.weights)
    (place / NUMBERS).write_text(lowered.numbers.to_json(), "utf-8")
    L, vividness = probes()
    expected = np.concatenate(
        [original.infer(L[n : n + 1], vividness[n : n + 1]) for n in range(len(L))]
    )
    np.savez_compressed(place / PROBE, L=L[:1], vividness=vividness[:1], ab=expected[:1])
    converted = NcnnEngine(place, threads=threads)
    apart = difference(converted, L, vividness, expected)
    if apart > LIMIT_AB:
        raise EngineUnusable(f"its ab differ by {apart:.2g} from the SavedModel's")
    theirs, ours = _milliseconds([original, converted])
    return CpuEngine(difference_ab=round(apart, 5), savedmodel_ms=theirs, ncnn_ms=ours)


def convert_if_possible(model: ModelVersion, folder: Path) -> CpuEngine | None:
    """As `convert`; None, without files, where that cannot be: the SavedModel serves then."""
    try:
        return convert(model, folder)
    except EngineUnusable as error:
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
        log.warning("without a CPU engine: %s", error)
        return None


def _milliseconds(engines: Sequence[Engine]) -> list[tuple[float, float]]:
    """For each engine the ms of one photo alone, and of one photo of many.

    The engines take turns, and the best of a few rounds counts, so that other work on the machine
    disturbs them alike and little.
    """
    L, vividness = probes()
    best = [[np.inf, np.inf] for _ in engines]
    for full in (False, True):
        for _ in range(_ROUNDS[full]):
            for engine, fastest in zip(engines, best, strict=True):
                if full:
                    took = 1000 / throughput(engine, _BUSY_S)
                else:
                    started = time.perf_counter()
                    engine.infer(L[:1], vividness[:1])
                    took = 1000 * (time.perf_counter() - started)
                fastest[full] = min(fastest[full], took)
    return [(round(alone, 1), round(batched, 1)) for alone, batched in best]
