"""Convert a SavedModel for ncnn, compare the two, and measure both: a program of its own.

The service starts it and reads what it leaves: so TensorFlow, which it needs, takes no memory
where ncnn then serves.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from chromaserve.engines.agreement import LIMIT_AB, difference, probes
from chromaserve.engines.conversion import PROBE, Report
from chromaserve.engines.ncnn_engine import NUMBERS, PARAM, WEIGHTS, NcnnEngine
from chromaserve.engines.savedmodel import SavedModelEngine
from chromaserve.store.versions import ModelStore

from .lowering import lower
from .pictures import UnsupportedOperation
from .speed import milliseconds


def prepare(model: Path, folder: Path, threads: int, max_batch: int) -> Report:
    """Fill a folder with a conversion, unless it must be refused; say what came of it.

    Args:
        model: folder of a stored version.
        folder: exists and is empty.
        threads: what both engines run on.
        max_batch: photos in a full batch.

    Raises:
        ModelStoreError: the SavedModel cannot be used.
        EngineUnusable: ncnn cannot load what it was given.
    """
    version = ModelStore(model.parent.parent, model.parent.name).resolve(model.name)
    original = SavedModelEngine(version, device="cpu", threads=threads, max_batch=max_batch)
    try:
        lowered = lower(original.signature)
    except UnsupportedOperation as error:
        return Report(refused=str(error))
    (folder / PARAM).write_text(lowered.param, "utf-8")
    (folder / WEIGHTS).write_bytes(lowered.weights)
    (folder / NUMBERS).write_text(lowered.numbers.to_json(), "utf-8")
    converted = NcnnEngine(folder, threads=threads, max_batch=max_batch)
    L, vividness = probes()
    expected = np.concatenate(
        [original.infer(L[n : n + 1], vividness[n : n + 1]) for n in range(len(L))]
    )
    apart = difference(converted, L, vividness, expected)
    if apart > LIMIT_AB:
        return Report(refused=f"its ab differ by {apart:.2g} from the SavedModel's", apart=apart)
    np.savez(folder / PROBE, L=L[:1], vividness=vividness[:1], ab=expected[:1])
    # Full batches once before the clock runs: TensorFlow traces then.
    original.infer(np.resize(L, (max_batch, *L.shape[1:])), np.resize(vividness, max_batch))
    theirs, ours = milliseconds([original, converted])
    return Report(apart=apart, savedmodel_ms=theirs, ncnn_ms=ours)


def main() -> int:
    """Prepare as the arguments say, and print the report as JSON in the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("threads", type=int)
    parser.add_argument("max_batch", type=int)
    report = prepare(**vars(parser.parse_args()))
    print(json.dumps(report.to_dict()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
