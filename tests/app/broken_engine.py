"""The service with an engine that fails on command: `python -m tests.app.broken_engine FILE`.

While FILE holds `raise`, `exit`, `nan` or `hang` the engine does that, new ones too; while it holds
`wait` the engine has not answered yet, and a file FILE.waits is there once somebody waits; while it
holds a number it answers so many times and then not yet. With `features` before it, the engine does
that where it is asked for features alone.
"""

import sys
import threading
import time
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.__main__ import main
from chromaserve.engines import Features
from chromaserve.engines.ncnn_engine import NcnnEngine

Float = NDArray[np.float32]

armed = Path(sys.argv[1])
real, real_features = NcnnEngine.infer, NcnnEngine.features
asked = count(1)


def fail(mode: str) -> None:
    if mode == "raise":
        raise RuntimeError("engine is dead")
    if mode == "exit":
        raise SystemExit(3)
    if mode == "hang":
        threading.Event().wait()
    if mode == "wait":
        armed.with_suffix(".waits").touch()
    while mode == "wait" and armed.exists():
        time.sleep(0.01)


def wanted() -> str:
    return armed.read_text() if armed.exists() else ""


def infer(self: NcnnEngine, L: Float, vividness: Float) -> Float:
    mode = wanted()
    if mode.isdecimal() and next(asked) > int(mode):
        mode = "wait"
    fail(mode)
    answer = real(self, L, vividness)
    return answer * np.float32("nan") if mode == "nan" else answer


def features(self: NcnnEngine, L: Float) -> Features:
    fail(wanted().removeprefix("features "))
    return real_features(self, L)


NcnnEngine.infer = infer  # type: ignore[method-assign]
NcnnEngine.features = features  # type: ignore[method-assign]
sys.exit(main())
