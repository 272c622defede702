"""The service with an engine that fails on command: `python -m tests.app.broken_engine FILE`.

While FILE holds `raise`, `exit`, `nan` or `hang` the engine does that, new ones too.
"""

import sys
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.__main__ import main
from chromaserve.engines.ncnn_engine import NcnnEngine

Float = NDArray[np.float32]

armed = Path(sys.argv[1])
real = NcnnEngine.infer


def infer(self: NcnnEngine, L: Float, vividness: Float) -> Float:
    mode = armed.read_text() if armed.exists() else ""
    if mode == "raise":
        raise RuntimeError("engine is dead")
    if mode == "exit":
        raise SystemExit(3)
    if mode == "hang":
        threading.Event().wait()
    answer = real(self, L, vividness)
    return answer * np.float32("nan") if mode == "nan" else answer


NcnnEngine.infer = infer  # type: ignore[method-assign]
sys.exit(main())
