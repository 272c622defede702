"""A SavedModel converted for the CPU engine, compared with it, and measured beside it."""

import logging
import shutil
from pathlib import Path

import numpy as np

from chromaserve.engines import EngineUnusable
from chromaserve.engines.ncnn_engine import FOLDER, NUMBERS, PARAM, PROBE, WEIGHTS, NcnnEngine
from chromaserve.engines.probes import LIMIT_AB, difference, probes
from chromaserve.engines.savedmodel import SavedModelEngine
from chromaserve.store.contract import CpuEngine
from chromaserve.store.versions import ModelVersion

from .lowering import lower
from .pictures import UnsupportedOperation
from .speed import milliseconds

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
    theirs, ours = milliseconds([original, converted])
    return CpuEngine(difference_ab=round(apart, 5), savedmodel_ms=theirs, ncnn_ms=ours)


def convert_if_possible(model: ModelVersion, folder: Path) -> CpuEngine | None:
    """As `convert`; None, without files, where that cannot be: the SavedModel serves then."""
    try:
        return convert(model, folder)
    except EngineUnusable as error:
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
        log.warning("without a CPU engine: %s", error)
        return None
